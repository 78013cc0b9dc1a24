// Transactions that come at one moment may share a commit; each succeeds or fails by itself.
import { describe, expect, it } from 'vitest';
import { getMeta, setMeta } from '../../../server/src/storage/queries/meta.ts';
import { findTokenByHash, insertToken } from '../../../server/src/storage/queries/tokens.ts';
import { ENGINES } from '../engines.ts';
import { AT, oneStore, store } from './one-store.ts';

describe.each(ENGINES)('many transactions at one moment on %s', (engine) => {
  oneStore(engine);

  it('each has a seq of its own, and one that throws takes back what it did and nothing else', async () => {
    const numbers = Array.from({ length: 120 }, (_, i) => i);
    const outcomes = await Promise.allSettled(
      numbers.map((i) =>
        store.transact(async (tx) => {
          const seq = await store.nextSeq(tx);
          await setMeta(tx, `k${i}`, 'v');
          if (i % 7 === 3) throw new Error(`no ${i}`);
          return seq;
        }),
      ),
    );
    const seqs = outcomes.flatMap((o) => (o.status === 'fulfilled' ? [o.value] : []));
    const failed = numbers.filter((i) => i % 7 === 3);
    expect(seqs.sort((a, b) => a - b)).toEqual(Array.from({ length: 120 - failed.length }, (_, i) => i + 1));
    expect(outcomes.flatMap((o) => (o.status === 'rejected' ? [(o.reason as Error).message] : []))).toEqual(
      failed.map((i) => `no ${i}`),
    );
    for (const i of numbers) expect(await getMeta(store.read, `k${i}`)).toBe(i % 7 === 3 ? undefined : 'v');
    expect(await store.currentSeq()).toBe(seqs.length);
  });

  it('tells nobody of success before the commit is readable', async () => {
    await Promise.all(
      Array.from({ length: 60 }, async (_, i) => {
        await store.transact((tx) => setMeta(tx, `k${i}`, 'v'));
        expect(await getMeta(store.read, `k${i}`)).toBe('v');
      }),
    );
  });

  it('an error of the database undoes only what raised it', async () => {
    const make = (id: string) =>
      store.transact((tx) => insertToken(tx, { id, name: id, hash: id, roles: ['reader'], createdAt: AT }));
    const outcomes = await Promise.allSettled(['a', 'b', 'a', 'c'].map(make));
    expect(outcomes.map((o) => o.status).filter((s) => s === 'rejected')).toHaveLength(1);
    for (const hash of ['a', 'b', 'c']) expect((await findTokenByHash(store.read, hash))?.id).toBe(hash);
  });
});
