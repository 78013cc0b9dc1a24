// A script that lost its executable bit, as after a backup that keeps no modes: every verb that looks says so, and what mends brings it back.
import { chmod, lstat, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openClient } from '../../server/src/client/context.ts';
import { makeReport } from '../../server/src/client/report/index.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { Collective } from '../support/collective.ts';
import { hv, hvOk } from '../support/hv.ts';
import type { TempHome } from '../support/temp-home.ts';

const SCRIPT = 'scripts/deny.sh';
let collective: Collective;
let home: TempHome;
const at = (path: string) => join(home.home, '.claude', 'plugins', 'base-memory-tools', path);
const isExecutable = async () => ((await lstat(at(SCRIPT))).mode & 0o100) !== 0;
const row = async () => (await hvOk(home, ['status', 'base-memory-tools'])).plugins[0];
const open = () => {
  const none = { claudeConfigDir: undefined, haivemindHome: undefined, hubUrl: undefined, token: undefined };
  return openClient({ home: home.home, path: '', caFile: undefined, ...none });
};

beforeAll(async () => {
  collective = await Collective.start();
  await collective.publish('base-memory-tools', {
    args: ['--all'],
    async edit(folder) {
      await mkdir(join(folder, 'scripts'));
      await writeFile(join(folder, SCRIPT), '#!/bin/sh\nexit 2\n', { mode: 0o755 });
    },
  });
  home = await collective.machine('desk');
  await hvOk(home, ['sync']);
});
afterAll(() => collective?.close());

// Windows has no such bits.
describe.skipIf(process.platform === 'win32')('a lost executable bit', () => {
  beforeEach(() => chmod(at(SCRIPT), 0o644));

  it('is named by status, diff and doctor, and to the hub, and is no edit', async () => {
    expect(await row()).toMatchObject({ state: 'damaged', edited: [], unexecutable: [SCRIPT] });
    expect((await hv(home, ['status'])).stdout).toContain('1 file(s) not executable any more; `hv repair base-memory');
    expect((await hv(home, ['status', 'base-memory-tools'])).stdout).toContain(
      `! ${SCRIPT} is not executable any more`,
    );
    expect(await hvOk(home, ['diff', 'base-memory-tools'])).toMatchObject({ edits: [], unexecutable: [SCRIPT] });
    const { stdout } = await hv(home, ['diff', 'base-memory-tools']);
    expect(stdout).toContain(`not executable any more ${SCRIPT}`);
    expect(stdout).not.toContain('as it was published');
    expect((await hv(home, ['doctor'])).stdout).toMatch(
      /✗ plugins: .*base-memory-tools \(not executable any more: scripts\/deny\.sh\)/,
    );
    const report = (await makeReport(await open())).plugins.find((p) => p.name === 'base-memory-tools');
    expect(report).toMatchObject({ state: 'failed', error: { message: `${SCRIPT} is not executable any more` } });
    expect(report?.edited).toBeUndefined();
  });

  it('is not fought by what happens by itself', async () => {
    await syncMachine(await open(), { mode: 'agent' });
    expect(await isExecutable()).toBe(false);
  });

  it.each(['', SCRIPT])('comes back with hv repair NAME %s', async (path) => {
    const args = ['repair', 'base-memory-tools', ...(path === '' ? [] : [path])];
    expect(await hvOk(home, args)).toMatchObject({ paths: [SCRIPT], edited: [] });
    expect(await isExecutable()).toBe(true);
    expect(await row()).toMatchObject({ state: 'verified', unexecutable: [] });
    const again = await hv(home, ['repair', 'base-memory-tools', SCRIPT, '--json']);
    expect(again.json.error.code).toBe('NOT_FOUND');
  });

  it.each(['sync', 'doctor --fix'])('comes back with hv %s, and edits stay', async (verb) => {
    await writeFile(at('README.md'), 'mine');
    await hvOk(home, verb.split(' '));
    expect(await isExecutable()).toBe(true);
    expect(await row()).toMatchObject({ state: 'edited', edited: ['README.md'], unexecutable: [] });
    expect(await hvOk(home, ['repair', 'base-memory-tools'])).toMatchObject({ paths: ['README.md'] });
  });

  it('cannot be kept as an edit', async () => {
    const { json } = await hv(home, ['repair', 'base-memory-tools', SCRIPT, '--keep', '--json']);
    expect(json.error.code).toBe('NOT_FOUND');
  });
});
