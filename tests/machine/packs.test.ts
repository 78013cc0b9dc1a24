// Blobs that came together lie in one file: found, checked, collected and mended as those that lie alone.
import { copyFile, mkdir, readdir, readFile, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { collectBlobs, hasBlob, missingBlobs, readBlob, sha256Of } from '../../server/src/machine/store/blob-store.ts';
import { createFresh, openIntake } from '../../server/src/machine/store/intake.ts';
import { makeRig, makeVersion, type Rig } from './rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await makeRig();
});
afterEach(() => rig.close());

const texts = (count: number, size = 20): string[] =>
  Array.from({ length: count }, (_, i) => `${i} `.padEnd(size, String(i % 10)));
const blobs = (): string => rig.machine.paths.blobs;
const packs = async (): Promise<string[]> => (await readdir(blobs())).filter((name) => name.startsWith('pack-'));
const there = (all: readonly string[]) => Promise.all(all.map((text) => hasBlob(rig.machine, sha256Of(text))));

async function take(all: readonly string[]): Promise<void> {
  const intake = openIntake(rig.machine);
  for (const text of all) await intake.put(sha256Of(text), Buffer.from(text));
  await intake.settle();
}

it('many lie in one file, few in files of their own; all are found and read', async () => {
  await take(texts(50));
  await take(['alone', '']);
  expect((await readdir(blobs())).sort()).toEqual([...(await packs()), sha256Of('alone'), sha256Of('')].sort());
  expect(await packs()).toHaveLength(1);
  for (const text of [...texts(50), 'alone', ''])
    expect((await readBlob(rig.machine, sha256Of(text))).toString()).toBe(text);
  const { install } = makeVersion('p', '1.0.0', { a: texts(50)[7] as string, b: 'not here' });
  const missing = (await missingBlobs(rig.machine, [install.record])).map((blob) => blob.sha256);
  expect(missing).toContain(sha256Of('not here'));
  expect(missing).not.toContain(sha256Of(texts(50)[7] as string));
});

it('bytes that are others are refused, and what came before them is kept', async () => {
  const intake = openIntake(rig.machine);
  for (const text of texts(10)) await intake.put(sha256Of(text), Buffer.from(text));
  await expect(intake.put(sha256Of('a'), Buffer.from('b'))).rejects.toMatchObject({ code: 'HASH_MISMATCH' });
  await intake.settle();
  expect(await there([...texts(10), 'a', 'b'])).toEqual([...texts(10).map(() => true), false, false]);
});

it('a pack that is cut, or no pack, holds nothing; one of another process is seen', async () => {
  await take(texts(10));
  const [pack = ''] = await packs();
  const whole = await readFile(join(blobs(), pack));
  await writeFile(join(blobs(), 'pack-other'), 'no pack at all');
  expect((await there(texts(10))).every(Boolean)).toBe(true);
  const other = await makeRig();
  try {
    await mkdir(other.machine.paths.blobs, { recursive: true });
    expect(await hasBlob(other.machine, sha256Of(texts(10)[0] as string))).toBe(false);
    for (const bytes of [1, 5, 12, 40]) {
      const cut = join(other.machine.paths.blobs, `pack-cut-${bytes}`);
      await writeFile(cut, whole);
      await truncate(cut, whole.length - bytes);
    }
    expect(await hasBlob(other.machine, sha256Of(texts(10)[0] as string))).toBe(false);
    await copyFile(join(blobs(), pack), join(other.machine.paths.blobs, pack));
    expect((await readBlob(other.machine, sha256Of(texts(10)[9] as string))).toString()).toBe(texts(10)[9]);
  } finally {
    await other.close();
  }
});

it('what is damaged in a pack is fetched anew, and the rest of it is kept', async () => {
  await take(texts(10));
  const [pack = ''] = await packs();
  const bytes = await readFile(join(blobs(), pack));
  bytes.write('X', 25);
  await writeFile(join(blobs(), pack), bytes);
  const damaged = texts(10)[1] as string;
  await expect(readBlob(rig.machine, sha256Of(damaged))).rejects.toMatchObject({ code: 'BLOB_MISSING' });
  expect(await there(texts(10))).toEqual(texts(10).map((text) => text !== damaged));
  expect(await packs()).toEqual([]);
  await take([damaged]);
  expect((await readBlob(rig.machine, sha256Of(damaged))).toString()).toBe(damaged);
});

it.each([
  ['nothing of it', 0, [0, 0]],
  ['less than half', 3, [0, 3]],
  ['most of it', 8, [1, 10]],
])('where a version needs %s, a day later', async (_what, needed, [packsLeft, blobsLeft]) => {
  await take(texts(10));
  const files = Object.fromEntries(
    texts(10)
      .slice(0, needed)
      .map((text, i) => [`f${i}`, text]),
  );
  const kept = await rig.store('p', '1.0.0', files);
  const digests = [kept.record.digest];
  await collectBlobs(rig.machine, digests);
  expect(await packs()).toHaveLength(1);
  const old = new Date(rig.machine.clock().getTime() - 25 * 3600_000);
  for (const name of await packs()) await utimes(join(blobs(), name), old, old);
  await collectBlobs(rig.machine, digests);
  expect(await packs()).toHaveLength(packsLeft as number);
  expect((await there(texts(10))).filter(Boolean)).toHaveLength(blobsLeft as number);
});

it('bytes under way are at hand up to a bound', async () => {
  const fresh = createFresh(30);
  fresh.add('a', Buffer.alloc(20));
  fresh.add('b', Buffer.alloc(20));
  fresh.add('c', Buffer.alloc(10));
  expect(['a', 'b', 'c'].map((key) => fresh.get(key)?.length)).toEqual([20, undefined, 10]);
  const text = 'not on the disk';
  const machine = { ...rig.machine, fresh: createFresh() };
  await openIntake(machine).put(sha256Of(text), Buffer.from(text));
  expect((await readBlob(machine, sha256Of(text))).toString()).toBe(text);
  await expect(readBlob(rig.machine, sha256Of(text))).rejects.toMatchObject({ code: 'BLOB_MISSING' });
});

it('what this process has just put is seen, also where the clock of the file system has not moved on', async () => {
  await take(texts(10));
  const tick = new Date(1_000_000);
  await utimes(blobs(), tick, tick);
  expect((await there(texts(10))).every(Boolean)).toBe(true);
  await take(texts(10, 30));
  await utimes(blobs(), tick, tick);
  expect((await there([...texts(10), ...texts(10, 30)])).every(Boolean)).toBe(true);
});

it('a file in place of the folder is an error of the disk, and named', async () => {
  await mkdir(join(blobs(), '..'), { recursive: true });
  await writeFile(blobs(), 'no folder');
  await expect(there(['a'])).rejects.toMatchObject({ code: 'IO_ERROR', message: expect.stringContaining(blobs()) });
});
