// Waiting for the disk: nothing is passed over, whether few paths are waited for one by one or many by their file system.
import { statSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { applyChange, recover } from '../../server/src/machine/change/transaction.ts';
import { realFilePort, withFileErrors } from '../../server/src/machine/files/file-port.ts';
import { makeRig, type Rig } from './rig.ts';

let folder: string;
let rig: Rig;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hv-sync-'));
  rig = await makeRig();
});
afterEach(async () => {
  await rig.close();
  await rm(folder, { recursive: true, force: true });
});

it.each([3, 500])('%i files and their folder are waited for, and one that is gone is told', async (count) => {
  const port = withFileErrors(realFilePort());
  const files = Array.from({ length: count }, (_, i) => join(folder, `file ${i}`));
  for (const file of files) await writeFile(file, 'x');
  await port.syncAll([...files, folder]);
  await port.syncAll([]);
  const gone = join(folder, 'gone');
  await expect(port.syncAll([gone, ...files])).rejects.toMatchObject({ code: 'ENOENT', path: gone });
});

const MEMORY = '/dev/shm';
const devOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.dev;
const isOtherDisk = devOf(MEMORY) !== undefined && devOf(MEMORY) !== devOf(tmpdir());

it.skipIf(!isOtherDisk)('what lies on another disk is waited for too, beside what one sync does for', async () => {
  const elsewhere = await mkdtemp(join(MEMORY, 'hv-sync-'));
  // A socket cannot be opened: whoever waits for it says so.
  const socket = join(elsewhere, 'socket');
  const server = createServer().listen(socket);
  try {
    await new Promise((resolve) => server.once('listening', resolve));
    const files = Array.from({ length: 500 }, (_, i) => join(folder, `file ${i}`));
    for (const file of files) await writeFile(file, 'x');
    await expect(realFilePort().syncAll([...files, socket])).rejects.toMatchObject({ code: 'ENXIO' });
  } finally {
    server.close();
    await rm(elsewhere, { recursive: true, force: true });
  }
});

it('a change that died is finished from a journal that leaves out what it is not about', async () => {
  const [a, b, c] = [
    await rig.store('a', '1.0.0', {}),
    await rig.store('b', '1.0.0', {}),
    await rig.store('c', '1.0.0', {}),
  ];
  await rig.apply({ install: [b, a] });
  const m = rig.machine;
  const dies: typeof m.port = {
    ...m.port,
    rename: (from, to) => (to === m.paths.receipts ? Promise.reject(new Error('killed')) : m.port.rename(from, to)),
  };
  const change = { install: [c], remove: [], reason: 'install' as const };
  await expect(applyChange({ ...m, port: dies }, change)).rejects.toThrow('killed');
  const journal = JSON.parse(await rig.read('.claude/plugins/.haivemind/journal.json'));
  expect(Object.keys(journal.next.plugins)).toEqual(['c']);
  expect(Object.keys(journal.prev.plugins)).toEqual([]);
  expect(await recover(m)).toBe('rolled-forward');
  const { plugins } = JSON.parse(await rig.read('.claude/plugins/.haivemind/receipts.json'));
  expect(Object.keys(plugins)).toEqual(['b', 'a', 'c']);
  expect(plugins.a.digest).toBe(a.record.digest);
});

it('a journal of an older program, which has all receipts, is finished too', async () => {
  const [a, b] = [await rig.store('a', '1.0.0', {}), await rig.store('b', '1.0.0', {})];
  await rig.apply({ install: [a] });
  const before = JSON.parse(await rig.read('.claude/plugins/.haivemind/receipts.json'));
  await rig.apply({ install: [b] });
  const after = await rig.snapshot();
  const next = JSON.parse(await rig.read('.claude/plugins/.haivemind/receipts.json'));
  const marketplace = await rig.read('.claude/plugins/.haivemind/.claude-plugin/marketplace.json');
  await rig.write('.claude/plugins/.haivemind/receipts.json', JSON.stringify(before));
  const journal = { format: 1, phase: 'applying', staged: [], prev: before, next, marketplace };
  await rig.write('.claude/plugins/.haivemind/journal.json', JSON.stringify(journal));
  expect(await recover(rig.machine)).toBe('rolled-forward');
  expect(await rig.snapshot()).toEqual(after);
});
