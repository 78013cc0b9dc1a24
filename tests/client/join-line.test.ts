// The one line the hub prints: on a machine with nothing but Node it fetches hv, checks it, joins, and the client has the core.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Collective } from '../support/collective.ts';
import { runProcess } from '../support/run-process.ts';
import { listPlugins } from './harness/claude-plugin.ts';
import { scriptedSession } from './harness/with-model.ts';

let collective: Collective;
let line: string;
beforeAll(async () => {
  collective = await Collective.start();
  line = String(collective.hub.ready.join_line);
});
afterAll(() => collective?.close());

it('joins a fresh machine, keeps hv, and the next session has the core', async () => {
  expect(line).toContain(collective.hub.url);
  const home = await collective.home('fresh');
  const run = await runProcess('sh', ['-c', line], { cwd: home.project, env: home.env() });
  expect({ code: run.code, stderr: run.stderr }).toEqual({ code: 0, stderr: '' });
  const kept = join(home.home, '.haivemind', 'bin', 'hv.mjs');
  const status = await runProcess(process.execPath, [kept, 'status', '--json'], { cwd: home.project, env: home.env() });
  expect(JSON.parse(status.stdout).plugins).toEqual([
    expect.objectContaining({ name: 'haivemind-core', state: 'verified' }),
  ]);
  expect((await stat(join(home.home, '.haivemind', 'config.json'))).mode & 0o777).toBe(0o600);
  const { init } = await scriptedSession(home);
  expect(init.plugins.map((plugin) => plugin.name)).toEqual(['haivemind-core']);
  expect(init.slash_commands).toContain('hv-plugin');
  expect((await listPlugins(home)).map((plugin) => plugin.id)).toEqual(['haivemind-core@collective']);
});

it('refuses a bundle whose bytes are not those the line was printed for', async () => {
  const sha = /[0-9a-f]{64}/.exec(line)?.[0] ?? '';
  expect(sha).toHaveLength(64);
  const home = await collective.home('tampered');
  const wrong = line.replace(sha, `${sha[0] === '0' ? '1' : '0'}${sha.slice(1)}`);
  const run = await runProcess('sh', ['-c', wrong], { cwd: home.project, env: home.env() });
  expect(run.code).not.toBe(0);
  await expect(readFile(join(home.home, '.haivemind', 'bin', 'hv.mjs'))).rejects.toThrow();
});
