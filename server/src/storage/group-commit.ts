import { type Kysely, sql, type Transaction } from 'kysely';
import type { Tables } from './tables/index.ts';

type Work<T> = (tx: Transaction<Tables>) => Promise<T>;

interface Job {
  work: Work<unknown>;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** Transactions that share one commit at most: each waits for the slowest of its group. */
const MOST = 50;

/**
 * Transactions one after the other, as SQLite takes them, where those that wait at the same moment share one commit and its wait for
 * the disk. Each has a savepoint of its own: one that fails undoes what it did and nothing else, and none is told that it succeeded
 * before the commit.
 */
export function createGroupCommit(db: Kysely<Tables>): <T>(work: Work<T>) => Promise<T> {
  const waiting: Job[] = [];
  let running = false;
  return <T>(work: Work<T>) =>
    new Promise<T>((resolve, reject) => {
      waiting.push({ work, resolve: resolve as (value: unknown) => void, reject });
      if (!running) void run();
    });

  async function run(): Promise<void> {
    running = true;
    while (waiting.length > 0) {
      // Who came in the same turn of the event loop waits anyway; without this every group would be of one.
      await new Promise((turn) => setImmediate(turn));
      const group = waiting.splice(0, MOST);
      if (group.length === 1) await alone(group[0] as Job);
      else await together(group);
    }
    running = false;
  }

  async function alone({ work, resolve, reject }: Job): Promise<void> {
    await db.transaction().execute(work).then(resolve, reject);
  }

  async function together(group: readonly Job[]): Promise<void> {
    const done: (() => void)[] = [];
    let lost: { error: unknown } | undefined;
    try {
      await db.transaction().execute(async (tx) => {
        for (const job of group) {
          await sql`savepoint mine`.execute(tx);
          try {
            const value = await job.work(tx);
            await sql`release mine`.execute(tx);
            done.push(() => job.resolve(value));
          } catch (error) {
            // A full disk makes SQLite undo the whole transaction by itself: then nobody here has succeeded.
            lost = { error };
            await sql`rollback to mine`.execute(tx);
            await sql`release mine`.execute(tx);
            lost = undefined;
            done.push(() => job.reject(error));
          }
        }
      });
    } catch (thrown) {
      const error = lost === undefined ? thrown : lost.error;
      for (const job of group) job.reject(error);
      return;
    }
    for (const tell of done) tell();
  }
}
