// Copies of the loose layout and bare commands: read again before the commit, so that one spoilt by the disk rolls all of a change back.
import { rm, symlink } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyChange, type Change, type Install, recover } from '../../server/src/machine/change/transaction.ts';
import { inspect } from '../../server/src/machine/drift.ts';
import { type FilePort, realFilePort } from '../../server/src/machine/files/file-port.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { makeRig, type Rig } from './rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await makeRig();
});
afterEach(() => rig.close());

const AGENT = '.claude/agents/auditor.md';
const BARE = '.claude/commands/hv.md';
const ops = (version: string): Promise<Install> =>
  rig.store('ops', version, {
    'commands/go.md': `go ${version}`,
    'agents/auditor.md': `---\nname: auditor\n---\n${version}`,
    'skills/triage/SKILL.md': `---\nname: triage\n---\n${version}`,
    [`skills/triage/${version}/table.txt`]: 'table',
  });
const core = (version: string): Promise<Install> =>
  rig.store('haivemind-core', version, { 'commands/hv.md': `hv ${version}` }, { globalCommands: true });
const change = (rest: Partial<Change>): Change => ({ install: [], remove: [], reason: 'sync', ...rest });

/** A disk that keeps other bytes than it was given, in what is written beside this place. */
function spoiling(path: string, isBad: () => boolean = () => true): FilePort {
  const real = realFilePort();
  const beside = path.replace(/([^/]+)$/, '.$1.hv-tmp');
  return {
    ...real,
    writeFile: (to, bytes, options) => real.writeFile(to, isBad() && to.endsWith(beside) ? 'spoilt' : bytes, options),
  };
}

/** Applies a change on a disk that spoils one copy; all must be as before. */
async function isUndone(path: string, name: string, wanted: Change): Promise<void> {
  const before = await rig.snapshot();
  const m = rig.withPort(spoiling(path));
  await expect(applyChange(m, wanted)).rejects.toMatchObject({
    code: 'VERIFY_FAILED',
    message: expect.stringContaining('does not read back as it was written'),
    details: { name, path: rig.path(path) },
  });
  expect(await rig.snapshot()).toEqual(before);
  expect(await recover(m)).toBe('nothing');
}

describe('a copy that does not read back as it was written', () => {
  it('undoes an installation, with the folders that were made for it', async () => {
    await rig.write('.claude/settings.json', '{}');
    await rig.apply({ install: [await rig.store('other', '1.0.0', { 'agents/other.md': 'o' })], layout: 'loose' });
    await isUndone(AGENT, 'ops', change({ install: [await ops('1.0.0')] }));
    await rig.apply({ install: [await ops('1.0.0')] });
    expect(await rig.read(AGENT)).toContain('1.0.0');
  });

  it('undoes an update: the version before it is whole', async () => {
    await rig.apply({ install: [await ops('1.0.0')], layout: 'loose' });
    await isUndone('.claude/skills/triage/2.0.0/table.txt', 'ops', change({ install: [await ops('2.0.0')] }));
    expect(await inspect(rig.machine)).toMatchObject([
      { version: '1.0.0', state: 'verified', edited: [], missing: [] },
    ]);
  });

  it('undoes a rollback to a tree that lies there already', async () => {
    const one = await ops('1.0.0');
    await rig.apply({ install: [one], layout: 'loose' });
    await rig.apply({ install: [await ops('2.0.0')] });
    await isUndone(AGENT, 'ops', change({ install: [one], reason: 'rollback' }));
    expect((await readReceipts(rig.machine)).holds).toEqual({});
  });

  it('undoes a switch of the layout, in both directions', async () => {
    await rig.apply({ install: [await ops('1.0.0'), await core('1.0.0')] });
    await isUndone(BARE, 'haivemind-core', change({ layout: 'loose', install: [await core('2.0.0')] }));
    await isUndone(AGENT, 'ops', change({ layout: 'loose' }));
    await rig.apply({ layout: 'loose' });
    await rig.write(BARE, 'mine');
    await isUndone(BARE, 'haivemind-core', change({ layout: 'native', install: [await core('2.0.0')] }));
  });

  it('undoes the update of a bare command', async () => {
    await rig.apply({ install: [await core('1.0.0')] });
    await isUndone(BARE, 'haivemind-core', change({ install: [await core('2.0.0')] }));
    expect(await rig.read(BARE)).toBe('hv 1.0.0');
  });

  it('undoes an update of a file that is a link to where somebody keeps it', async () => {
    await rig.apply({ install: [await ops('1.0.0')], layout: 'loose' });
    await rig.write('dotfiles/auditor.md', await rig.read(AGENT));
    await rm(rig.path(AGENT));
    await symlink(rig.path('dotfiles/auditor.md'), rig.path(AGENT));
    const before = await rig.snapshot();
    const m = rig.withPort(spoiling('dotfiles/auditor.md'));
    const wanted = change({ install: [await ops('2.0.0')] });
    await expect(applyChange(m, wanted)).rejects.toMatchObject({ code: 'VERIFY_FAILED' });
    expect(await rig.snapshot()).toEqual(before);
  });

  it('does not get into place behind the commit either, where a recovery writes it anew', async () => {
    let bad = false;
    const port = spoiling(AGENT, () => bad);
    const rename: FilePort['rename'] = async (from, to) => {
      if (!bad && to.endsWith('auditor.md')) throw Object.assign(new Error('EIO'), { code: 'EIO' });
      return port.rename(from, to);
    };
    const dying = rig.withPort({ ...port, rename });
    const wanted = change({ install: [await ops('1.0.0')], layout: 'loose' });
    await expect(applyChange(dying, wanted)).rejects.toMatchObject({ code: 'IO_ERROR' });
    bad = true;
    await expect(recover(rig.withPort(port))).rejects.toMatchObject({ code: 'VERIFY_FAILED' });
    expect(Object.keys(await rig.snapshot())).not.toContain(AGENT);
    bad = false;
    expect(await recover(rig.withPort(port))).toBe('rolled-forward');
    expect(await inspect(rig.machine)).toMatchObject([{ name: 'ops', state: 'verified', edited: [] }]);
    expect(Object.keys(await rig.snapshot()).filter((path) => path.endsWith('.hv-tmp'))).toEqual([]);
  });
});

it('copies wait for the disk with the trees, and not before the journal that knows of them', async () => {
  const real = realFilePort();
  const did: string[] = [];
  const m = rig.withPort({
    ...real,
    writeFile: (path, bytes, options) => {
      if (path.endsWith('.auditor.md.hv-tmp')) did.push(options?.fsync ? 'copy, alone' : 'copy');
      return real.writeFile(path, bytes, options);
    },
    syncAll: (paths) => {
      const isCopyThere = paths.some((path) => path.endsWith('.auditor.md.hv-tmp'));
      if (paths.includes(m.paths.journal)) did.push(isCopyThere ? 'all synced' : 'journal synced');
      return real.syncAll(paths);
    },
    rename: (from, to) => {
      if (to === m.paths.marketplace) did.push('commit');
      if (to.endsWith('auditor.md')) did.push('in place');
      return real.rename(from, to);
    },
  });
  await rig.apply({ install: [await ops('1.0.0')], layout: 'loose' });
  await applyChange(m, change({ install: [await ops('2.0.0')] }));
  expect(did).toEqual(['journal synced', 'copy', 'all synced', 'commit', 'in place']);
});
