// `sudo hv` on a person's HOME: whatever root writes there stays, or becomes, the person's.
import fs, {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { writeCodeCache } from '../../server/src/interfaces/carried-bundle.ts';
import { applyChange, recover } from '../../server/src/machine/change/transaction.ts';
import { updateConfig } from '../../server/src/machine/config-file.ts';
import { writeAtomic } from '../../server/src/machine/files/atomic-file.ts';
import {
  FILE_OPERATIONS,
  type FilePort,
  fileError,
  readFileOrNull,
  realFilePort,
} from '../../server/src/machine/files/file-port.ts';
import { leaveMachine } from '../../server/src/machine/leave.ts';
import { withLock } from '../../server/src/machine/processes/lock.ts';
import { makeRig, type Rig, snapshot } from './rig.ts';

const UID = 65_534;
const GID = 65_533;

let home: string;
let rig: Rig;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'hv owned ü-'));
  rig = await makeRig({ home });
});
afterEach(() => rig.close());

/** Everything below a folder that is no link and not the person's. */
function strange(dir = home): string[] {
  return readdirSync(dir).flatMap((name) => {
    const path = join(dir, name);
    const stat = lstatSync(path);
    if (stat.isSymbolicLink()) return [];
    const own = stat.uid === UID && stat.gid === GID;
    return [...(own ? [] : [path]), ...(stat.isDirectory() ? strange(path) : [])];
  });
}

describe.runIf(process.getuid?.() === 0)('as root', () => {
  beforeEach(() => {
    chownSync(home, UID, GID);
  });
  const theirs = (path: string, text: string, mode: number): string => {
    const at = join(home, path);
    writeFileSync(at, text, { mode });
    chownSync(at, UID, GID);
    return at;
  };

  it("an install, an update, the configuration and leaving make nothing root's, in both layouts", async () => {
    const files = { 'commands/a.md': '---\ndescription: a\n---\na', 'hooks/run.sh': 'true' };
    const extra = { globalCommands: true, executable: ['hooks/run.sh'] };
    const settings = theirs('settings.json', '{}', 0o600);
    mkdirSync(join(home, '.claude'));
    chownSync(join(home, '.claude'), UID, GID);
    symlinkSync('../settings.json', join(home, '.claude/settings.json'));
    for (const layout of ['native', 'loose'] as const) {
      await withLock(rig.machine, 'test', async () => {
        await rig.apply({ install: [await rig.store('ops', '1.0.0', files, extra)], layout });
        await rig.apply({ install: [await rig.store('ops', '1.1.0', { ...files, 'more.md': 'x' }, extra)] });
      });
      await updateConfig(rig.machine, (raw) => ({ ...raw, role: layout }));
      expect(strange()).toEqual([]);
      expect(lstatSync(settings).mode & 0o777).toBe(0o600);
      await withLock(rig.machine, 'test', () => leaveMachine(rig.machine));
      expect(strange()).toEqual([]);
    }
  });

  it("wherever the process dies in between, recovery leaves nothing that is root's", async () => {
    const install = [await rig.store('ops', '1.0.0', { 'commands/a.md': 'a' }, { globalCommands: true })];
    mkdirSync(join(home, '.claude'), { recursive: true });
    theirs('.claude/settings.json', '{"model":"opus"}', 0o600);
    let tried = 0;
    for (let at = 1; ; at++) {
      const before = await snapshot(home);
      let count = 0;
      const dying = stopping(() => ++count >= at);
      const done = await applyChange(rig.withPort(dying), { install, remove: [], reason: 'install' }).then(
        () => true,
        () => false,
      );
      await recover(rig.machine);
      expect(strange()).toEqual([]);
      if (done) break;
      tried++;
      const after = await snapshot(home);
      if (JSON.stringify(after) !== JSON.stringify(before)) await rig.apply({ remove: ['ops'] });
    }
    expect(tried).toBeGreaterThan(20);
  });

  it("a file that is replaced keeps its owner, whoever the folder belongs to; what root has stays root's", async () => {
    const port = realFilePort();
    mkdirSync(join(home, 'of root'));
    const replaced = theirs('of root/a.json', '{}', 0o640);
    await writeAtomic(port, replaced, '{"a":1}');
    expect(lstatSync(replaced)).toMatchObject({ uid: UID, gid: GID });
    await writeAtomic(port, join(home, 'of root/b.json'), '{}');
    expect(lstatSync(join(home, 'of root/b.json'))).toMatchObject({ uid: 0, gid: 0 });
  });

  it('nothing is given away that was there before, nor what a link or a second name leads to', async () => {
    const port = realFilePort();
    const secret = join(home, '..', `hv secret ${process.pid}`);
    writeFileSync(secret, 'secret', { mode: 0o600 });
    try {
      symlinkSync(secret, join(home, 'link'));
      linkSync(secret, join(home, 'name'));
      for (const name of ['link', 'name']) await port.writeFile(join(home, name), 'x', { append: true });
      expect(readFileSync(secret, 'utf8')).toBe('secretxx');
      expect(lstatSync(secret)).toMatchObject({ uid: 0, gid: 0 });
      await expect(port.writeFile(join(home, 'name'), 'x', { exclusive: true })).rejects.toMatchObject({
        code: 'EEXIST',
      });
    } finally {
      await rm(secret, { force: true });
    }
  });

  describe('where an owner cannot be set', () => {
    const refusing = (code: string): void => {
      vi.spyOn(fs, 'fchownSync').mockImplementation(() => {
        throw Object.assign(new Error(code), { code });
      });
      syncBuiltinESMExports();
    };
    afterEach(() => {
      vi.restoreAllMocks();
      syncBuiltinESMExports();
    });

    it.each(['EPERM', 'EINVAL', 'ENOTSUP'])('%s: files and folders are made all the same', async (code) => {
      refusing(code);
      const install = [await rig.store('ops', '1.0.0', { 'commands/a.md': 'a' }, { globalCommands: true })];
      await rig.apply({ install });
      expect(readFileSync(join(home, '.claude/settings.json'), 'utf8')).toContain('ops@collective');
      expect(strange().length).toBeGreaterThan(0);
    });

    it('a disk that fails is told, and nothing half made stays', async () => {
      refusing('EIO');
      const port = realFilePort();
      await expect(port.writeFile(join(home, 'new'), 'x', { exclusive: true })).rejects.toThrow();
      await expect(port.mkdir(join(home, 'folder'))).rejects.toThrow();
      expect(readdirSync(home)).toEqual([]);
    });
  });

  it("no code cache is left in a person's folder", () => {
    writeCodeCache(join(home, '.haivemind/cache/cli.v8'), Buffer.from('x'));
    expect(existsSync(join(home, '.haivemind'))).toBe(false);
    chownSync(home, 0, 0);
    writeCodeCache(join(home, '.haivemind/cache/cli.v8'), Buffer.from('x'));
    expect(existsSync(join(home, '.haivemind/cache/cli.v8'))).toBe(true);
  });
});

/** The real operations until `dead` says so; from then on none happens. */
function stopping(dead: () => boolean): FilePort {
  const real = realFilePort() as unknown as Record<string, (...args: unknown[]) => Promise<void>>;
  const until =
    (name: string) =>
    async (...args: unknown[]) => {
      if (dead()) throw new Error('dead');
      await real[name]?.(...args);
    };
  return Object.fromEntries(FILE_OPERATIONS.map((name) => [name, until(name)])) as unknown as FilePort;
}

describe('what may not be read', () => {
  const denied = Object.assign(new Error('EACCES'), { code: 'EACCES' });

  it('is told so, not as what may not be written', () => {
    expect(fileError(denied, '/x', 'read')).toMatchObject({
      code: 'READ_ONLY',
      message: '/x may not be read (EACCES)',
    });
    expect(fileError(denied, '/x')).toMatchObject({ code: 'READ_ONLY', message: '/x may not be written (EACCES)' });
  });

  it.runIf(process.getuid?.() !== 0)('in the message of a reader', async () => {
    writeFileSync(join(home, 'closed'), 'x');
    chmodSync(join(home, 'closed'), 0);
    await expect(readFileOrNull(join(home, 'closed'))).rejects.toMatchObject({
      message: expect.stringContaining('may not be read'),
    });
  });
});
