import { spawnSync } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Collective, DEVOPS } from '../support/collective.ts';
import { hvOk } from '../support/hv.ts';
import { startMcp } from '../support/mcp-client.ts';
import { pluginCopy } from '../support/repository.ts';

let copy: Awaited<ReturnType<typeof pluginCopy>>;
let collective: Collective;

beforeAll(async () => {
  copy = await pluginCopy();
  collective = await Collective.start();
});
afterAll(async () => {
  await collective?.close();
  await copy?.remove();
});

/** Waits until `question` answers with something. */
async function until<T>(question: () => Promise<T | null>): Promise<T> {
  for (let tries = 0; tries < 300; tries++) {
    const answer = await question().catch(() => null);
    if (answer !== null) return answer;
    await sleep(100);
  }
  throw new Error('it did not happen within 30 s');
}

it('one session of a machine holds its live channel, applies what is published, and gives it back', async () => {
  const home = await collective.machine('live', DEVOPS);
  const root = join(home.home, '.claude', 'plugins', '.haivemind');
  const live = () => readFile(join(root, 'live'), 'utf8');
  const hook = () =>
    spawnSync('/bin/sh', [join(copy.root, 'hooks', 'session-start.sh')], {
      env: { HOME: home.home, PATH: '/nonexistent' },
      encoding: 'utf8',
    }).stdout;

  const first = await startMcp(copy.root, home);
  expect(await until(async () => (await live()).split(' ')[1] ?? null)).toBe(String(first.pid));
  const second = await startMcp(copy.root, home);
  try {
    expect(hook()).toBe('');
    await collective.publish('base-memory-tools', { args: ['--all'] });
    const path = join(home.home, '.claude', 'plugins', 'base-memory-tools', '.claude-plugin', 'plugin.json');
    expect(JSON.parse(await until(() => readFile(path, 'utf8')))).toMatchObject({ version: '1.0.0' });
    expect((await live()).split(' ')[1]).toBe(String(first.pid));

    // An update waits for the person, and the next session start says so without Node.
    await collective.publish('base-memory-tools', { version: '1.1.0', args: ['--all'] });
    const notice = await until(async () => (hook().includes('1.1.0') ? hook() : null));
    expect(JSON.parse(notice).systemMessage).toMatch(/base-memory-tools 1\.0\.0 → 1\.1\.0.*\/hv-sync/);
    expect(JSON.parse(await readFile(path, 'utf8')).version).toBe('1.0.0');
  } finally {
    await first.close();
    await second.close();
  }
  // The pid is gone, so the hook would start Node now.
  expect(JSON.parse(hook()).systemMessage).toContain('Node.js');
});

it('leaves the channel alone where auto_sync is off', async () => {
  const home = await collective.machine('quiet');
  await hvOk(home, ['config', 'set', 'plugins.auto_sync', 'false']);
  await rm(join(home.home, '.claude', 'plugins', '.haivemind', 'live'), { force: true });
  const mcp = await startMcp(copy.root, home);
  await sleep(1500);
  await mcp.close();
  await expect(readFile(join(home.home, '.claude', 'plugins', '.haivemind', 'live'))).rejects.toThrow('ENOENT');
  expect(mcp.stderr()).toBe('');
});
