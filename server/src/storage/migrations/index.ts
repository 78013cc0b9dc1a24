import type { Migration } from 'kysely';
import type { EngineName } from '../dialect.ts';
import { registry } from './0001-registry.ts';

/** All migrations in order. A name, once released, is never changed or removed. */
export function migrationsFor(engine: EngineName): Record<string, Migration> {
  return { '0001-registry': registry(engine) };
}
