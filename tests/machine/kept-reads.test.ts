import { rename, utimes, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { keepWritten, readKept } from '../../server/src/machine/files/kept-reads.ts';
import { makeRig, type Rig } from './rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await makeRig();
});
afterEach(() => rig.close());

const json = (bytes: Buffer | null): { n: number } => JSON.parse(bytes?.toString('utf8') ?? '{"n":0}');

it('understands a file once, and again when another took its place, it was edited, or it is gone', async () => {
  const path = rig.path('file');
  let read = 0;
  const look = () =>
    readKept(path, (bytes) => {
      read++;
      return json(bytes);
    });
  expect((await look()).n).toBe(0);
  await writeFile(path, '{"n":1}');
  expect([(await look()).n, (await look()).n, read]).toEqual([1, 1, 2]);
  await writeFile(rig.path('other'), '{"n":2}');
  await utimes(rig.path('other'), new Date(0), new Date(0));
  await rename(rig.path('other'), path);
  expect([(await look()).n, read]).toEqual([2, 3]);
  await writeFile(path, '{"n":33}');
  expect([(await look()).n, read]).toEqual([33, 4]);
});

it('hands out what nobody can change for others', async () => {
  await writeFile(rig.path('file'), '{"n":1,"deep":{"list":[1]}}');
  const value = await readKept(rig.path('file'), (bytes) => JSON.parse(String(bytes)));
  expect(() => value.deep.list.push(2)).toThrow(TypeError);
});

it('does not trust the times of a file that people edit and that has just changed', async () => {
  const path = rig.path('file');
  let read = 0;
  const look = () =>
    readKept(
      path,
      (bytes) => {
        read++;
        return json(bytes);
      },
      { settledMs: 60_000 },
    );
  await writeFile(path, '{"n":1}');
  await look();
  await look();
  expect(read).toBe(2);
  await utimes(path, new Date(0), new Date(0));
  await look();
  await look();
  expect(read).toBe(3);
});

it('need not read what it has written itself, until it is another file', async () => {
  const path = rig.path('file');
  const look = () => readKept(path, json);
  await writeFile(path, '{"n":1}');
  const written = { n: 1, list: [1] };
  keepWritten(path, written);
  expect(await look()).toBe(written);
  expect(() => written.list.push(2)).toThrow(TypeError);
  await writeFile(path, '{"n":22}');
  expect((await look()).n).toBe(22);
  keepWritten(rig.path('nothing'), written);
  expect((await readKept(rig.path('nothing'), json)).n).toBe(0);
});
