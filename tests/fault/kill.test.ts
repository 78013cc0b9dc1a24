import { type ChildProcess, spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { recover } from '../../server/src/machine/change/transaction.ts';
import { marketplaceText } from '../../server/src/machine/claude/marketplace.ts';
import { inspect } from '../../server/src/machine/drift.ts';
import { withLock } from '../../server/src/machine/processes/lock.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { bundleChild } from '../machine/bundle.ts';
import { makeRig, type Rig } from '../machine/rig.ts';

let rig: Rig;
let child: Awaited<ReturnType<typeof bundleChild>>;

beforeAll(async () => {
  child = await bundleChild(new URL('kill-child.ts', import.meta.url).pathname);
});
afterAll(() => child.close());
beforeEach(async () => {
  rig = await makeRig();
});
afterEach(() => rig.close());

const SETTINGS = '{"model": "opus",\n "enabledPlugins": {"x@y": true}}';

/** What must hold between any two changes, whoever died. */
async function checkWhole(): Promise<void> {
  const receipts = await readReceipts(rig.machine);
  const names = Object.keys(receipts.plugins).sort();
  const settings = JSON.parse(await rig.read('.claude/settings.json'));
  const list = JSON.parse(await rig.read('.claude/plugins/installed_plugins.json').catch(() => '{"plugins":{}}'));
  expect(settings.model).toBe('opus');
  expect(settings.enabledPlugins['x@y']).toBe(true);
  const keys = names.map((name) => `${name}@collective`);
  expect(Object.keys(settings.enabledPlugins).sort()).toEqual([...keys, 'x@y']);
  expect(Object.keys(list.plugins).sort()).toEqual(keys);
  if (names.length > 0)
    expect(await rig.read('.claude/plugins/.haivemind/.claude-plugin/marketplace.json')).toBe(
      marketplaceText(receipts),
    );
  const states = (await inspect(rig.machine)).map(({ name, state, edited, missing }) => ({
    name,
    state,
    edited,
    missing,
  }));
  expect(states).toEqual(names.map((name) => ({ name, state: 'verified', edited: [], missing: [] })));
  const links = (await readdir(rig.path('.claude/plugins'))).filter((name) => /^[abc]$/.test(name));
  expect(links).toEqual(names);
  const temporary = (await readdir(rig.path('.claude'), { recursive: true })).filter((path) => /\.hv-tmp$/.test(path));
  expect(temporary).toEqual([]);
}

it('processes killed at random in the middle of changes leave every plugin whole', { timeout: 180_000 }, async () => {
  await rig.write('.claude/settings.json', SETTINGS);
  for (const name of ['a', 'b', 'c'])
    for (const version of ['1.0.0', '2.0.0', '3.0.0'])
      await rig.store(name, version, { 'commands/x.md': `x ${version}`, same: name });
  const running = new Set<ChildProcess>();
  const errors: string[] = [];
  const start = (): void => {
    const process = spawn('node', [child.file, rig.home], { stdio: ['ignore', 'ignore', 'pipe'] });
    process.stderr?.on('data', (bytes) => errors.push(String(bytes)));
    process.once('exit', () => running.delete(process));
    running.add(process);
  };
  const outcomes: Record<string, number> = {};
  for (let i = 0; i < 3; i++) start();
  await sleep(500);
  for (let round = 0; round < 40; round++) {
    await sleep(100 + Math.random() * 60);
    const victim = [...running][Math.floor(Math.random() * running.size)];
    victim?.kill('SIGKILL');
    await withLock(
      rig.machine,
      'check',
      async () => {
        const outcome = await recover(rig.machine);
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
        await checkWhole();
      },
      { waitMs: 60_000 },
    );
    start();
  }
  for (const process of running) process.kill('SIGKILL');
  while (running.size > 0) await sleep(10);
  await withLock(rig.machine, 'check', async () => {
    await recover(rig.machine);
    await checkWhole();
  });
  console.log('after the kills, recovery did', outcomes);
  expect(errors).toEqual([]);
});
