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

  it('goes on telling what it knows by itself', async () => {
    const HAIVEMIND_DATABASE_URL = server.through(database.options.databaseUrl ?? '');
    const hub = await startHubProcess(home, { env: { HAIVEMIND_DATABASE_URL } });
    const metrics = async () => ask(hub.url, 'GET', '/metrics');
    expect((await metrics()).text).toMatch(
      /^haivemind_database_up 1$[\s\S]*^haivemind_registry_seq \d+$[\s\S]*^haivemind_blobs \d+$/m,
    );
    server.close();
    const { status, text } = await metrics();
    expect(status).toBe(200);
    expect(text).toMatch(
      /^haivemind_database_up 0$[\s\S]*^haivemind_ws_connections 0$[\s\S]*^process_uptime_seconds /m,
    );
    expect(text).not.toMatch(/haivemind_(registry_seq|versions|machines|blobs|blob_bytes)/);
    expect([0, 1]).toContain(await hub.stop());
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
