// A machine's own history: what it says, that it is whole, and that nobody's edit goes unseen.
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sealEntries } from '../../server/src/domain/local-audit.ts';
import { appendLines, FULL, noteChanges, proveLocalAudit, readLocalAudit } from '../../server/src/machine/audit/log.ts';
import { recover } from '../../server/src/machine/change/transaction.ts';
import { quarantine } from '../../server/src/machine/quarantine.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { makeRig, type Rig } from './rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await makeRig();
});
afterEach(() => rig.close());

const store = (version: string) => rig.store('alpha', version, { 'commands/x.md': version });
const entries = () => readLocalAudit(rig.machine);
const proof = async () => proveLocalAudit(rig.machine, (await readReceipts(rig.machine)).audit);
const lines = async () => (await readFile(rig.machine.paths.audit, 'utf8')).split('\n').slice(0, -1);
const change = (what: string, before: unknown = null) => ({
  ...{ what, target: 'x', from: null, before, after: 1, result: 'done' },
});
/** Four entries: installed, updated twice, removed. */
async function lifetime(): Promise<void> {
  for (const version of ['1.0.0', '2.0.0', '3.0.0']) await rig.apply({ install: [await store(version)] });
  await rig.apply({ remove: ['alpha'], reason: 'remove' });
}

describe('the history of a machine', () => {
  it('has a line for every change: who, what, from where, before, after; and none where nothing changed', async () => {
    await lifetime();
    const all = await entries();
    expect(all.map((e) => [e.n, e.what, e.target])).toEqual([
      [1, 'install', 'alpha'],
      [2, 'update', 'alpha'],
      [3, 'update', 'alpha'],
      [4, 'remove', 'alpha'],
    ]);
    expect(all[1]).toMatchObject({
      ...{ at: rig.machine.clock().toISOString(), result: 'done' },
      ...{ who: expect.stringMatching(/^\S+.* \(.+\)$/), from: 'explicit, signed by test-key' },
      ...{ before: { version: '1.0.0' }, after: { version: '2.0.0', digest: expect.stringMatching(/^sha256:/) } },
    });
    expect([all[0]?.before, all[3]?.after]).toEqual([null, null]);
    expect(await proof()).toEqual({ rows: 4, brokenAt: null, head: { n: 4, hash: all[3]?.hash } });
    expect((await stat(rig.machine.paths.audit)).mode & 0o777).toBe(0o600);
    const before = await rig.snapshot();
    await rig.apply({});
    await rig.apply({ install: [] });
    expect(await rig.snapshot()).toEqual(before);
  });

  it('names a rollback, what it holds, and what others took away and was put back', async () => {
    const first = await store('1.0.0');
    await rig.apply({ install: [first] });
    await rig.apply({ install: [await store('2.0.0')] });
    await rig.apply({ install: [first], reason: 'rollback' });
    await rm(rig.machine.paths.marketplace);
    await rig.apply({});
    expect((await entries()).map((e) => e.what)).toEqual(['install', 'update', 'rollback', 'hold', 'repair']);
  });

  it('says what was taken away because it was revoked, once, also when that is done again', async () => {
    const first = await store('1.0.0');
    await rig.apply({ install: [first] });
    await rig.apply({ install: [await store('2.0.0')] });
    const { digest, name, version } = first.entry;
    const revoked = new Map([[digest, { digest, name, version, reason: 'steals' }]]);
    const receipts = await readFile(rig.machine.paths.receipts);
    await quarantine(rig.machine, revoked);
    // As if the process had died before the receipts.
    await writeFile(rig.machine.paths.receipts, receipts);
    await quarantine(rig.machine, revoked);
    const all = await entries();
    expect(all.map((e) => e.what)).toEqual(['install', 'update', 'quarantine']);
    expect(all[2]).toMatchObject({ from: 'revoked: steals', before: { version: '1.0.0', digest } });
    expect((await proof()).brokenAt).toBeNull();
  });

  it('keeps no secret', async () => {
    const token = `hvt_${'a'.repeat(43)}`;
    await noteChanges(rig.machine, [
      {
        ...change('config'),
        target: 'memory_server',
        after: { url: `https://u:secret@h.test/${token}`, password: 'p1' },
      },
    ]);
    const text = await readFile(rig.machine.paths.audit, 'utf8');
    for (const secret of [token, 'u:secret', 'p1']) expect(text).not.toContain(secret);
    expect((await proof()).brokenAt).toBeNull();
  });
});

describe('an edit of the history is found', () => {
  const EDITS: [name: string, edit: (all: string[]) => string[], at: number][] = [
    ['another time', (all) => all.map((l, i) => (i === 1 ? l.replace('2026-', '2027-') : l)), 2],
    ['another result', (all) => all.map((l, i) => (i === 0 ? l.replace('"done"', '"ok"') : l)), 1],
    ['another state before', (all) => all.map((l, i) => (i === 2 ? l.replace('2.0.0', '2.0.1') : l)), 3],
    ['a line that is gone', (all) => all.filter((_, i) => i !== 1), 2],
    ['the last line gone', (all) => all.slice(0, -1), 4],
    ['all lines gone', () => [], 1],
    ['two lines in each other’s place', ([a = '', b = '', ...rest]) => [b, a, ...rest], 1],
    ['the first line gone', (all) => all.slice(1), 1],
    ['a line twice', (all) => [...all.slice(0, 2), all[1] ?? '', ...all.slice(2)], 3],
    ['a line that is no entry', (all) => [...all.slice(0, 3), 'nothing', ...all.slice(3)], 4],
    [
      'a line with a hash of its own',
      (all) => all.map((l, i) => (i === 3 ? l.replace(/"hash":"../, '"hash":"zz') : l)),
      4,
    ],
  ];
  it.each(EDITS)('%s', async (_name, edit, at) => {
    await lifetime();
    const edited = edit(await lines());
    await writeFile(rig.machine.paths.audit, edited.map((line) => `${line}\n`).join(''));
    expect(await proof()).toMatchObject({ brokenAt: at });
  });

  it('an entry with a hash that holds, behind another than the one before it', async () => {
    await lifetime();
    const head = { n: 1, hash: 'f'.repeat(64) };
    const forged = sealEntries(head, [change('forged')], { at: 'now', who: 'me' }).lines;
    const [first = ''] = await lines();
    await writeFile(rig.machine.paths.audit, `${first}\n${forged.join('')}`);
    expect(await proof()).toMatchObject({ brokenAt: 2 });
  });

  it('an entry that jumps a number, behind the one that it names', async () => {
    await lifetime();
    const [first = ''] = await lines();
    const head = { n: 2, hash: (JSON.parse(first) as { hash: string }).hash };
    const forged = sealEntries(head, [change('forged')], { at: 'now', who: 'me' }).lines;
    await writeFile(rig.machine.paths.audit, `${first}\n${forged.join('')}`);
    expect(await proof()).toMatchObject({ brokenAt: 2 });
  });

  it('the whole file gone', async () => {
    await lifetime();
    await rm(rig.machine.paths.audit);
    expect(await proof()).toMatchObject({ brokenAt: 1 });
    // It stops no change, and stays found.
    for (const version of ['1.0.0', '2.0.0']) await rig.apply({ install: [await store(version)] });
    const after = (await entries()).map((e) => [e.n, e.what, e.result]);
    expect(after.slice(0, 2)).toEqual([
      [5, 'lost', 'AUDIT_BROKEN'],
      [6, 'install', 'done'],
    ]);
    expect((await proof()).brokenAt).toBe(1);
  });

  it('an end that was cut off, also after the next change', async () => {
    await lifetime();
    const kept = (await lines()).slice(0, 2);
    await writeFile(rig.machine.paths.audit, kept.map((line) => `${line}\n`).join(''));
    await rig.apply({ install: [await store('1.0.0')] });
    expect((await entries()).map((e) => e.what)).toEqual(['install', 'update', 'lost', 'install']);
    expect((await proof()).brokenAt).toBe(3);
  });

  it('a chain that was written anew from the middle on', async () => {
    await lifetime();
    const kept = (await lines()).slice(0, 3);
    await writeFile(rig.machine.paths.audit, kept.map((line) => `${line}\n`).join(''));
    await noteChanges(rig.machine, [change('forged')]);
    expect(await proof()).toMatchObject({ brokenAt: 4 });
  });
});

describe('a crash', () => {
  it('that left half a line costs nothing: it is dropped, and the history goes on', async () => {
    await lifetime();
    const text = await readFile(rig.machine.paths.audit, 'utf8');
    await writeFile(rig.machine.paths.audit, `${text}{"n":5,"at":`);
    expect((await proof()).brokenAt).toBeNull();
    await rig.apply({ install: [await store('1.0.0')] });
    expect((await entries()).map((e) => e.n)).toEqual([1, 2, 3, 4, 5]);
    expect((await proof()).brokenAt).toBeNull();
    expect(await recover(rig.machine)).toBe('nothing');
  });

  it('that had lines appended already appends the others alone', async () => {
    await lifetime();
    const all = (await lines()).map((line) => `${line}\n`);
    await writeFile(rig.machine.paths.audit, all.slice(0, 3).join(''));
    await appendLines(rig.machine, all.slice(2));
    await appendLines(rig.machine, all.slice(2));
    expect((await lines()).map((line) => `${line}\n`)).toEqual(all);
  });
});

it('is bounded: two files, and the chain goes on from one to the other', async () => {
  const { audit, auditBefore } = rig.machine.paths;
  const long = 'x'.repeat(FULL / 4);
  for (let i = 0; i < 14; i++) {
    await noteChanges(rig.machine, [change('config', `${i} ${long}`)]);
    const size = async (path: string) => (await stat(path).catch(() => ({ size: 0 }))).size;
    expect((await size(audit)) + (await size(auditBefore))).toBeLessThan(3 * FULL);
  }
  const kept = await entries();
  expect(kept[0]?.n).toBeGreaterThan(1);
  expect(kept.at(-1)?.n).toBe(14);
  expect(await proof()).toMatchObject({ brokenAt: null, head: { n: 14 } });
  // What follows is chained to what was put aside.
  await rm(audit, { force: true });
  await noteChanges(rig.machine, [change('config')]);
  const last = (await entries()).at(-2)?.n ?? 0;
  expect((await entries()).at(-1)?.n).toBe(last + 1);
});
