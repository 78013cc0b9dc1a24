import type { SqliteDatabase, SqliteStatement } from 'kysely';

type Statement = SqliteStatement & { readonly busy: boolean };
interface Connection {
  prepare(sql: string): Statement;
}

/** The file owns its connections and closes them together. */
const close = () => undefined;

const MAX_STATEMENTS = 300;

/** Preparing costs more than running most of our statements; Kysely prepares each time. */
export function cachingStatements(db: Connection): SqliteDatabase {
  const statements = new Map<string, Statement>();
  return {
    close,
    prepare(sql) {
      const known = statements.get(sql);
      // A statement that is being iterated cannot run a second time meanwhile.
      if (known !== undefined && !known.busy) return known;
      const made = db.prepare(sql);
      if (known === undefined && statements.size < MAX_STATEMENTS) statements.set(sql, made);
      return made;
    },
  };
}

const DONE_ALREADY = /^(table|index) .* already exists$|^duplicate column name: |^no such index: /;

/** Takes a change of the schema that was made already as made. */
export function passingOver(db: Connection): SqliteDatabase {
  return {
    close,
    prepare(sql) {
      try {
        return db.prepare(sql);
      } catch (thrown) {
        if (!(thrown instanceof Error && DONE_ALREADY.test(thrown.message))) throw thrown;
        return db.prepare('select 1 where false');
      }
    },
  };
}
