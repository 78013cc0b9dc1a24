// A hub whose PostgreSQL is gone without a word, as when its host fails and another takes over.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDatabase, type TestDatabase } from '../contract/engines.ts';
import { type LosingServer, losingServer } from '../contract/lost-server.ts';
import { startHubProcess } from '../support/hub-process.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { ask } from './support.ts';

describe('a hub whose database is gone without a word', () => {
  let home: TempHome;
  let server: LosingServer;
  let database: TestDatabase;
  beforeEach(async () => {
    home = await tempHome('hub');
    server = await losingServer();
    database = await createDatabase('postgres');
  });
  afterEach(async () => {
    server.close();
    await database.drop();
    await home.remove();
  });

  it('says so, serves again when there is one, and comes to its end without one', async () => {
    const HAIVEMIND_DATABASE_URL = server.through(database.options.databaseUrl ?? '');
    const hub = await startHubProcess(home, { env: { HAIVEMIND_DATABASE_URL } });
    const list = () => ask(hub.url, 'GET', '/api/plugins', { token: hub.adminToken ?? '' });
    (await list()).expect(200);
    server.lose();
    expect((await list()).code).toBe('DATABASE_UNAVAILABLE');
    let last = await list();
    // Each connection that lay ready is found to be gone by itself.
    for (let i = 0; last.status !== 200 && i < 10; i++) last = await list();
    last.expect(200);
    server.lose();
    expect([0, 1]).toContain(await hub.stop());
  });
});
