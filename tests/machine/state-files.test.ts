import { spawn } from 'node:child_process';
import { chmod, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keyIdOf } from '../../server/src/domain/signing/dsse.ts';
import { recover } from '../../server/src/machine/change/transaction.ts';
import { readConfig, updateConfig } from '../../server/src/machine/config-file.ts';
import { clearLive, readLive, writeLive } from '../../server/src/machine/live-state.ts';
import { ensureRoot } from '../../server/src/machine/machine.ts';
import { machinePaths } from '../../server/src/machine/paths.ts';
import { collectVersions, leasedDirs, takeLease } from '../../server/src/machine/processes/leases.ts';
import { publisherKey } from '../../server/src/machine/publisher-key.ts';
import { receiptsBytes } from '../../server/src/machine/receipts/bytes.ts';
import { noReceipts, type Receipts, readReceipts } from '../../server/src/machine/receipts/index.ts';
import {
  collectBlobs,
  hasBlob,
  missingBlobs,
  putBlob,
  readBlob,
  sha256Of,
} from '../../server/src/machine/store/blob-store.ts';
import { makeRig, makeVersion, type Rig } from './rig.ts';

let rig: Rig;

beforeEach(async () => {
  rig = await makeRig();
});
afterEach(() => rig.close());

describe('the bytes of the receipts', () => {
  const whole = (receipts: Receipts): string => `${JSON.stringify(receipts)}\n`;

  it('are those of the whole object, with and without plugins, also where nothing is said', () => {
    for (const receipts of [
      noReceipts(),
      { ...noReceipts(), dev: undefined, audit: undefined } as unknown as Receipts,
    ]) {
      expect(receiptsBytes(receipts).toString()).toBe(whole(receipts));
    }
  });

  it('follow every change of a plugin, whether the others are frozen or not', async () => {
    const [a, b] = [await rig.store('a', '1.0.0', { 'é.md': 'é' }), await rig.store('b', '1.0.0', {})];
    await rig.apply({ install: [b, a] });
    const before = await readReceipts(rig.machine);
    expect(Object.isFrozen(before.plugins.a)).toBe(true);
    expect(receiptsBytes(before).toString()).toBe(whole(before));
    const after = {
      ...before,
      plugins: { ...before.plugins, a: structuredClone(before.plugins.a as never) },
    } as Receipts;
    for (const version of ['1.1.0', '1.2.0']) {
      Object.assign(after.plugins.a ?? {}, { version, description: 'Über "alles"' });
      expect(receiptsBytes(after).toString()).toBe(whole(after));
    }
    expect(await rig.read('.claude/plugins/.haivemind/receipts.json')).toBe(whole(before));
  });
});

describe('the configuration', () => {
  it('has defaults, keeps unknown keys, and is for its owner only', async () => {
    expect(await readConfig(rig.machine)).toMatchObject({
      groups: [],
      plugins: { auto_sync: true, sync_interval: 3600 },
    });
    await rig.write('.haivemind/config.json', '{"mine":1,"plugins":{"auto_sync":false,"x":2}}');
    await rm(rig.path('.haivemind/config.json'));
    await updateConfig(rig.machine, () => ({ mine: 1, plugins: { auto_sync: false, x: 2 } }));
    await updateConfig(rig.machine, (raw) => ({ ...raw, token: 't' }));
    expect(JSON.parse(await rig.read('.haivemind/config.json'))).toEqual({
      format: 1,
      mine: 1,
      token: 't',
      plugins: { auto_sync: false, x: 2 },
    });
    expect((await stat(rig.machine.paths.config)).mode & 0o777).toBe(0o600);
  });

  it('that a person wrote for all to read is for its owner only once a token is in it', async () => {
    await rig.write('.haivemind/config.json', '{"plugins":{"auto_sync":false}}');
    await chmod(rig.machine.paths.config, 0o644);
    await updateConfig(rig.machine, (raw) => ({ ...raw, token: 't' }));
    expect((await stat(rig.machine.paths.config)).mode & 0o777).toBe(0o600);
  });

  it.each([
    ['CONFIG_INVALID', '{"plugins":{"sync_interval":"often"}}', 'plugins.sync_interval'],
    ['CONFIG_INVALID', '[]', 'not a JSON object'],
    ['CONFIG_INVALID', '{', 'not a JSON object'],
    ['FORMAT_UNSUPPORTED', '{"format":2}', 'format 2'],
  ])('is refused with %s: %s', async (code, text, message) => {
    await rig.write('.haivemind/config.json', text);
    await expect(readConfig(rig.machine)).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
    const hint = message === 'not a JSON object' ? 'Mend it by hand' : '';
    await expect(updateConfig(rig.machine, (raw) => raw)).rejects.toMatchObject({
      code,
      hint: expect.stringContaining(hint),
    });
    expect(await rig.read('.haivemind/config.json')).toBe(text);
  });
});

describe('paths', () => {
  it('follow CLAUDE_CONFIG_DIR and install_path', () => {
    const plain = machinePaths({ home: '/h', installPath: '~/.claude/plugins' });
    expect(plain).toEqual(machinePaths({ home: '/h' }));
    const moved = machinePaths({ home: '/h', claudeConfigDir: '/c', installPath: '~/.claude/plugins' });
    expect(moved.root).toBe('/c/plugins/.haivemind');
    const own = machinePaths({ home: '/h', installPath: '~/my plugins' });
    expect([own.root, own.installedPlugins]).toEqual([
      '/h/my plugins/.haivemind',
      '/h/.claude/plugins/installed_plugins.json',
    ]);
  });
});

describe('the publisher key', () => {
  it('is made once, also by several at once, for its owner only', async () => {
    const keys = await Promise.all([1, 2, 3].map(() => publisherKey(rig.machine)));
    expect(new Set(keys.map((key) => key.keyid)).size).toBe(1);
    expect(keys[0]?.keyid).toBe(keyIdOf(keys[0]?.publicKey ?? ''));
    expect((await stat(rig.machine.paths.publisherKey)).mode & 0o777).toBe(0o600);
    expect(await readdir(rig.machine.paths.keys)).toEqual(['publisher.pem']);
    await writeFile(rig.machine.paths.publisherKey, 'no key');
    await expect(publisherKey(rig.machine)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      hint: expect.stringContaining('hv trust add'),
    });
  });
});

describe('blobs', () => {
  it('are checked in and out, and a damaged one is fetched again', async () => {
    const sha = sha256Of('abc');
    await expect(putBlob(rig.machine, sha, Buffer.from('abd'))).rejects.toMatchObject({ code: 'HASH_MISMATCH' });
    await expect(readBlob(rig.machine, sha)).rejects.toMatchObject({ code: 'BLOB_MISSING' });
    await expect(readBlob(rig.machine, '../x')).rejects.toMatchObject({ code: 'HASH_MISMATCH' });
    await putBlob(rig.machine, sha, Buffer.from('abc'));
    expect((await readBlob(rig.machine, sha)).toString()).toBe('abc');
    await writeFile(join(rig.machine.paths.blobs, sha), 'abX');
    await putBlob(rig.machine, sha, Buffer.from('abc'));
    expect((await readBlob(rig.machine, sha)).toString()).toBe('abc');
    await writeFile(join(rig.machine.paths.blobs, sha), 'abX');
    await expect(readBlob(rig.machine, sha)).rejects.toMatchObject({ code: 'HASH_MISMATCH' });
    expect(await hasBlob(rig.machine, sha)).toBe(false);
    const { install } = makeVersion('p', '1.0.0', { a: 'abc' });
    expect((await missingBlobs(rig.machine, [install.record])).map((b) => b.sha256)).toContain(sha);
  });

  it('nobody needs go after a day', async () => {
    const kept = await rig.store('p', '1.0.0', { a: 'kept' });
    await putBlob(rig.machine, sha256Of('old'), Buffer.from('old'));
    await putBlob(rig.machine, sha256Of('new'), Buffer.from('new'));
    const { blobs } = rig.machine.paths;
    const old = new Date(rig.machine.clock().getTime() - 25 * 3600_000);
    const now = rig.machine.clock();
    for (const name of await readdir(blobs)) await utimes(join(blobs, name), old, old);
    await utimes(join(blobs, sha256Of('new')), now, now);
    expect(await collectBlobs(rig.machine, [kept.record.digest])).toBe(1);
    const left = await Promise.all(['old', 'new', 'kept'].map((text) => hasBlob(rig.machine, sha256Of(text))));
    expect(left).toEqual([false, true, true]);
  });
});

describe('leases and collection', () => {
  it('keep a tree while a session lives, and what a person changed in it for good', async () => {
    for (const n of [1, 2, 3, 4, 5]) {
      await rig.apply({ install: [await rig.store('ops', `${n}.0.0`, { a: String(n) })] });
      if (n !== 1) continue;
      const session = spawn('sleep', ['60']);
      await takeLease(rig.machine, { pid: session.pid ?? 0, sessionId: 's' });
      const [dir = ''] = await leasedDirs(rig.machine);
      await writeFile(rig.path('.claude/plugins/.haivemind', dir, 'late.txt'), 'late');
      const gone = new Promise((done) => session.once('exit', done));
      session.kill('SIGSTOP');
      rig.close = ((close) => async () => {
        session.kill('SIGKILL');
        await gone;
        await close();
      })(rig.close);
    }
    const dirs = async (): Promise<string[]> =>
      (await readdir(join(rig.machine.paths.versions, 'ops'))).map((dir) => dir.slice(0, 1)).sort();
    expect(await dirs()).toEqual(['1', '2', '3', '4', '5']);
    expect(await collectVersions(rig.machine)).toEqual([]);
    expect(await collectVersions(rig.machine, { graceMs: -1 })).toHaveLength(1);
    expect(await dirs()).toEqual(['1', '3', '4', '5']);
    const file = (await readdir(rig.machine.paths.leases))[0] ?? '';
    const lease = JSON.parse(await readFile(join(rig.machine.paths.leases, file), 'utf8'));
    await writeFile(join(rig.machine.paths.leases, file), JSON.stringify({ ...lease, start: '1' }));
    expect(await collectVersions(rig.machine, { graceMs: -1 })).toHaveLength(1);
    expect(await dirs()).toEqual(['3', '4', '5']);
    expect(await readdir(rig.machine.paths.leases)).toEqual([]);
    expect((await readReceipts(rig.machine)).retired).toEqual([]);
    // It was carried into version 2 and so on: the live tree holds it, no copy is needed.
    expect(await rig.read('.claude/plugins/ops/late.txt')).toBe('late');
    const tree = (await readReceipts(rig.machine)).plugins.ops?.previous[1]?.dir ?? '';
    await rig.write(`.claude/plugins/.haivemind/${tree}/a`, 'only here');
    await collectVersions(rig.machine, { keep: 1, graceMs: -1 });
    expect(await rig.read('.claude/plugins/.haivemind/backups/edits', tree.slice(9), 'a')).toBe('only here');
  });

  it('are given back', async () => {
    await rig.apply({ install: [await rig.store('ops', '1.0.0', { a: 'a' })] });
    const lease = await takeLease(rig.machine, { pid: process.pid, sessionId: 's' });
    expect([...(await leasedDirs(rig.machine))]).toEqual(lease.dirs);
    await lease.release();
    expect((await leasedDirs(rig.machine)).size).toBe(0);
  });
});

describe('the live file', () => {
  it('names a process and what the hook prints, in two lines', async () => {
    await writeLive(rig.machine, { output: { systemMessage: 'ü\n' } });
    const text = await readFile(rig.machine.paths.live, 'utf8');
    const start = (await readFile(`/proc/${process.pid}/stat`, 'utf8')).split(') ')[1]?.split(' ')[19];
    expect(text).toBe(`v1 ${process.pid} ${start} 1777636800\n{"systemMessage":"ü\\n"}\n`);
    await clearLive(rig.machine, 1);
    expect((await readLive(rig.machine))?.pid).toBe(process.pid);
    await writeLive(rig.machine, {});
    expect((await readLive(rig.machine))?.output).toBe('');
    await clearLive(rig.machine);
    expect(await readLive(rig.machine)).toBeNull();
  });
});

describe('files of ours in a format that is not known', () => {
  it.each([
    ['receipts', '{"format":2}', 'FORMAT_UNSUPPORTED'],
    ['receipts', '{"format":1,"layout":"sideways"}', 'FORMAT_UNSUPPORTED'],
    ['receipts', '{', 'IO_ERROR'],
    ['journal', '{"format":3}', 'FORMAT_UNSUPPORTED'],
    ['journal', '{"torn":', 'IO_ERROR'],
  ] as const)('%s %j is refused with %s', async (file, text, code) => {
    await ensureRoot(rig.machine);
    await writeFile(rig.machine.paths[file], text);
    const read = file === 'journal' ? recover(rig.machine) : readReceipts(rig.machine);
    await expect(read).rejects.toMatchObject({ code });
    expect(await readFile(rig.machine.paths[file], 'utf8')).toBe(text);
  });

  it.each(['', '\0\0\0\0', '{"format":1,"phase":"appl'])(
    'a journal that the power took (%j) is no change',
    async (text) => {
      await ensureRoot(rig.machine);
      await writeFile(rig.machine.paths.journal, text);
      expect(await recover(rig.machine)).toBe('nothing');
      await expect(readFile(rig.machine.paths.journal)).rejects.toMatchObject({ code: 'ENOENT' });
    },
  );
});
