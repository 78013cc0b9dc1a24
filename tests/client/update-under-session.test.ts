// What real sessions see of a plugin that is updated while they run, or whose update was killed on its way.
import { execFile } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { recover } from '../../server/src/machine/change/transaction.ts';
import { collectVersions } from '../../server/src/machine/processes/leases.ts';
import { withLock } from '../../server/src/machine/processes/lock.ts';
import { bundleChild } from '../machine/bundle.ts';
import { makeRig, type Rig } from '../machine/rig.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import type { SessionEvents } from './harness/session.ts';
import { scriptedSession } from './harness/with-model.ts';
import { PING, versionedFiles } from './versioned-plugin.ts';

const BASH = { tool: 'Bash', input: { command: 'true', description: 'Does nothing' } };
const ASK = { tool: PING, input: {} };
const ALLOWED = { extraArgs: ['--allowedTools', `Bash(true),${PING}`] };

let home: TempHome;
let rig: Rig;
let log: string;

beforeEach(async () => {
  home = await tempHome('updates');
  rig = await makeRig({ home: home.home });
  log = join(home.project, 'hook.log');
  await rig.apply({ install: [await store('1.0.0')] });
});
afterEach(() => home.remove());

const store = (version: string) =>
  rig.store('versioned', version, versionedFiles(version, log), { executable: ['hook.sh'] });

const hookLines = async (): Promise<string[]> => (await readFile(log, 'utf8').catch(() => '')).trim().split('\n');
const plugin = (session: SessionEvents) => session.init.plugins.find(({ name }) => name === 'versioned');
const commands = (session: SessionEvents) =>
  session.init.slash_commands.filter((name) => name.startsWith('versioned:'));
const answers = (session: SessionEvents) =>
  session.toolResults.map((result) => result.text).filter((text) => text !== '');

/** The session's version, by the folder it loaded; every other part must be of the same. */
function expectWhole(session: SessionEvents, hooks: string[]): string {
  const version = /\/([0-9.]+)-[0-9a-f]{12}$/.exec(plugin(session)?.path ?? '')?.[1] ?? 'none';
  expect(['1.0.0', '2.0.0']).toContain(version);
  expect(commands(session)).toEqual([`versioned:only-${version.replaceAll('.', '-')}`]);
  expect(session.toolResults.map((result) => result.isError)).toEqual([false, false]);
  expect(answers(session)).toContain(`server ${version} data ${version}`);
  expect(hooks).toEqual([`hook ${version} data ${version}`]);
  return version;
}

it('a session keeps the version it started with, the next has the new one', { timeout: 180_000 }, async () => {
  const next = await store('2.0.0');
  const update = async () => {
    await rig.apply({ install: [next], reason: 'update' });
    await collectVersions(rig.machine, { graceMs: -1 });
    return BASH;
  };
  const session = await scriptedSession(home, [ASK, update, ASK], ALLOWED);
  expect(plugin(session)?.path).toMatch(/1\.0\.0-[0-9a-f]{12}$/);
  expect(answers(session).filter((text) => text.startsWith('server'))).toEqual(
    Array(2).fill('server 1.0.0 data 1.0.0'),
  );
  // The hook ran after the update, from the old files.
  expect(await hookLines()).toEqual(['hook 1.0.0 data 1.0.0']);
  await rm(log);
  expect(expectWhole(await scriptedSession(home, [ASK, BASH], ALLOWED), await hookLines())).toBe('2.0.0');
});

it('after a SIGKILL in the middle of an update a session has either version whole', { timeout: 300_000 }, async () => {
  await store('2.0.0');
  const child = await bundleChild(new URL('update-child.ts', import.meta.url).pathname);
  const seen: string[] = [];
  try {
    for (let at = 8; ; at += 7) {
      const killed = await promisify(execFile)('node', [child.file, home.home, log, String(at)]).then(
        () => false,
        (error: { signal?: string }) => error.signal === 'SIGKILL',
      );
      await rm(log, { force: true });
      const session = await scriptedSession(home, [ASK, BASH], ALLOWED);
      seen.push(expectWhole(session, await hookLines()));
      if (!killed) break;
      await withLock(rig.machine, 'check', async () => {
        const outcome = await recover(rig.machine);
        // The first operations come before the journal: then there is nothing to undo.
        expect(seen.at(-1) === '1.0.0' ? ['nothing', 'rolled-back'] : ['rolled-forward']).toContain(outcome);
        // Back, for the next kill.
        if (outcome === 'rolled-forward') await rig.apply({ install: [await store('1.0.0')], reason: 'rollback' });
      });
    }
  } finally {
    await child.close();
  }
  console.log('killed, and then seen:', seen.join(' '));
  expect(new Set(seen)).toEqual(new Set(['1.0.0', '2.0.0']));
  expect(seen.length).toBeGreaterThan(3);
});
