import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { REPOSITORY } from '../support/repository.ts';

const SHELLS = ['/bin/sh', '/bin/bash'];
const NOTICE = '{"systemMessage":"hAIveMind: waiting: a 1.0.0 \\u2192 1.1.0 \\\\ $HOME `x` %s"}';

let root: string;
let home: string;
let bin: string;
let plugin: string;

beforeAll(async () => {
  root = await mkdtemp(join(await realpath(tmpdir()), 'hv hook ü-'));
  bin = join(root, 'bin');
  await mkdir(bin);
  plugin = join(root, 'plugin ü');
  await mkdir(join(plugin, 'hooks'), { recursive: true });
  await mkdir(join(plugin, 'server', 'dist'), { recursive: true });
  await cp(join(REPOSITORY, 'hooks', 'session-start.sh'), join(plugin, 'hooks', 'session-start.sh'));
  await writeFile(join(plugin, 'server', 'dist', 'hook.cjs'), '');
  // Stands for node: says what it was started with.
  await writeFile(join(bin, 'node'), '#!/bin/sh\nprintf \'NODE %s\\n\' "$1"\n');
  await chmod(join(bin, 'node'), 0o755);
});
beforeEach(async () => {
  home = await mkdtemp(join(root, 'home '));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function startTime(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return stat === '' ? '0' : (stat.slice(stat.lastIndexOf(') ') + 2).split(' ')[19] ?? '0');
}

const inState = (pid: number, state: string) =>
  expect.poll(() => readFile(`/proc/${pid}/stat`, 'utf8'), { timeout: 20_000 }).toContain(`) ${state} `);

async function live(text: string | Buffer, claudeDir = join(home, '.claude')): Promise<void> {
  const folder = join(claudeDir, 'plugins', '.haivemind');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'live'), text);
}

function run(shell: string, env: Record<string, string> = {}, script = join(plugin, 'hooks', 'session-start.sh')) {
  const result = spawnSync(shell, [script], {
    env: { HOME: home, PATH: bin, ...env },
    input: '{"hook_event_name":"SessionStart","source":"startup"}',
    encoding: 'utf8',
  });
  return { status: result.status, stdout: result.stdout, stderr: result.stderr };
}

const fast = (stdout: string) => ({ status: 0, stdout, stderr: '' });
describe.each(SHELLS)('session-start.sh in %s', (shell) => {
  const expectNode = (result: ReturnType<typeof run>): void => {
    expect(result).toEqual({ ...fast(''), stdout: expect.stringMatching(/^NODE .*\/server\/dist\/hook\.cjs\n$/) });
  };

  it('prints the ready notice of a live process and starts no program at all', async () => {
    await live(`v1 ${process.pid} ${await startTime(process.pid)} 1700000000\n${NOTICE}\n`);
    expect(run(shell, { PATH: '/nonexistent' })).toEqual(fast(`${NOTICE}\n`));
  });

  it('says nothing when the live process has nothing to say', async () => {
    await live(`v1 ${process.pid} ${await startTime(process.pid)} 1700000000\n\n`);
    expect(run(shell)).toEqual(fast(''));
    await live(`v1 ${process.pid} ${await startTime(process.pid)} 1700000000`);
    expectNode(run(shell));
    await live(`v1 ${process.pid} ${await startTime(process.pid)} 1700000000\n${NOTICE}`);
    expect(run(shell)).toEqual(fast(`${NOTICE}\n`));
  });

  it('looks below CLAUDE_CONFIG_DIR', async () => {
    const other = join(home, 'other place');
    await live(`v1 ${process.pid} ${await startTime(process.pid)} 1\n${NOTICE}\n`, other);
    expectNode(run(shell));
    expect(run(shell, { CLAUDE_CONFIG_DIR: other })).toEqual(fast(`${NOTICE}\n`));
  });

  it('starts Node when nothing lives here yet', () => {
    expectNode(run(shell));
  });

  it('starts Node when the process is dead', async () => {
    const child = spawn('/bin/sleep', ['60']);
    const pid = child.pid ?? 0;
    const started = await startTime(pid);
    await live(`v1 ${pid} ${started} 1700000000\n${NOTICE}\n`);
    expect(run(shell)).toEqual(fast(`${NOTICE}\n`));
    child.kill('SIGKILL');
    await once(child, 'exit');
    expectNode(run(shell));
  });

  it.runIf(process.platform === 'linux')('starts Node when another process has the id now', async () => {
    await live(`v1 ${process.pid} 12345 1700000000\n${NOTICE}\n`);
    expectNode(run(shell));
  });

  it.runIf(process.platform === 'linux')('starts Node when the process is stopped', async () => {
    const child = spawn('/bin/sleep', ['60']);
    const pid = child.pid ?? 0;
    try {
      await live(`v1 ${pid} ${await startTime(pid)} 1700000000\n${NOTICE}\n`);
      child.kill('SIGSTOP');
      await inState(pid, 'T');
      expectNode(run(shell));
      child.kill('SIGCONT');
      await inState(pid, 'S');
      expect(run(shell)).toEqual(fast(`${NOTICE}\n`));
    } finally {
      child.kill('SIGKILL');
    }
  });

  it.runIf(process.platform === 'linux')(
    'starts Node when the process has ended and nobody waited for it',
    async () => {
      // A shell that has become another program never waits for what it started; before that it would.
      const child = `/bin/sh -c 'until [ "$(cat /proc/$PPID/comm)" = sleep ]; do :; done'`;
      const parent = spawn('/bin/sh', ['-c', `${child} & echo $!; exec sleep 60`], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      try {
        const [line] = await once(parent.stdout, 'data');
        const pid = Number(String(line));
        await inState(pid, 'Z');
        await live(`v1 ${pid} ${await startTime(pid)} 1700000000\n${NOTICE}\n`);
        expectNode(run(shell));
      } finally {
        parent.kill('SIGKILL');
      }
    },
  );

  it.each([
    ['another form', `v2 ${process.pid} 0 1\n${NOTICE}\n`],
    ['an empty file', ''],
    ['words', 'some words\nand more\n'],
    ['a process group', `v1 -1 0 1\n${NOTICE}\n`],
    ['every process', `v1 0 0 1\n${NOTICE}\n`],
    ['bytes', Buffer.from([0, 255, 10, 0, 200, 10])],
    ['a command', 'v1 $(touch pwned) 0 1\nx\n'],
  ])('starts Node when the file holds %s', async (_, text) => {
    await live(text);
    expectNode(run(shell));
  });

  it('starts Node when the place of the file is a folder', async () => {
    await mkdir(join(home, '.claude', 'plugins', '.haivemind', 'live'), { recursive: true });
    expectNode(run(shell));
  });

  it('says so when the bundle is not there', async () => {
    const bare = join(home, 'hooks');
    await mkdir(bare);
    await cp(join(plugin, 'hooks', 'session-start.sh'), join(bare, 'session-start.sh'));
    const result = run(shell, {}, join(bare, 'session-start.sh'));
    expect({ status: result.status, stderr: result.stderr }).toEqual({ status: 0, stderr: '' });
    expect(JSON.parse(result.stdout)).toEqual({ systemMessage: expect.stringContaining('server/dist') });
  });

  it('says so in one quiet line when there is no Node, and does not fail', () => {
    const result = run(shell, { PATH: '/nonexistent' });
    expect({ status: result.status, stderr: result.stderr }).toEqual({ status: 0, stderr: '' });
    expect(JSON.parse(result.stdout)).toEqual({ systemMessage: expect.stringContaining('Node.js') });
  });
});
