// A store with a database of its own: opened anew before each test of a describe that calls `oneStore`.
import { afterEach, beforeEach } from 'vitest';
import type { Store } from '../../../server/src/storage/store.ts';
import { createDatabase, type EngineUnderTest, type TestDatabase } from '../engines.ts';

// Of the test that runs.
export let database: TestDatabase;
export let store: Store;

export function oneStore(engine: EngineUnderTest): void {
  beforeEach(async () => {
    database = await createDatabase(engine);
    store = await database.open();
  });
  afterEach(() => database.drop());
}

export const AT = '2026-01-01T00:00:00.000Z';

export const machine = (id: string, name: string) => ({
  id,
  name,
  platform: 'linux',
  haivemindVersion: '1.0.0',
  joinedAt: AT,
  groups: ['b', 'a'],
  capabilities: ['x'],
});
