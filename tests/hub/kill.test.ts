// SIGKILL of the hub at random moments while plugins are registered and published.
import { createHash, randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openJson } from '../../server/src/domain/signing/dsse.ts';
import { checkRecord, RECORD_PAYLOAD_TYPE, type VersionRecord } from '../../server/src/domain/version/record.ts';
import { findAuditBreak } from '../../server/src/storage/queries/audit.ts';
import { decodeBlob, readBlobs } from '../../server/src/storage/queries/blobs.ts';
import { openStore, type Store } from '../../server/src/storage/store.ts';
import { createDatabase, type TestDatabase } from '../contract/engines.ts';
import { type HubProcess, startHubProcess } from '../support/hub-process.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { ask, ENGINES, PUBLISHER, register } from './support.ts';

const KILLS = 16;
/** Signed by the hub's own key, and there from its first start. */
const BUILT_IN = ['haivemind-core', 'elasticsearch-ops', 'incident-response'];

/** Every version there is is whole: its record holds, and every file it names is there, byte for byte. */
async function checkWhole(store: Store): Promise<Map<string, string>> {
  const { read } = store;
  const versions = new Map<string, string>();
  for (const row of await read.selectFrom('plugins').selectAll().execute()) {
    versions.set(row.id, row.status);
    if (BUILT_IN.includes(row.name)) continue;
    const record = openJson(JSON.parse(row.record), RECORD_PAYLOAD_TYPE, [PUBLISHER.publicKey]).value as VersionRecord;
    checkRecord(record);
    const files = await read.selectFrom('plugin_files').selectAll().where('plugin_id', '=', row.id).execute();
    expect(files.map((f) => [f.file_path, f.checksum]).sort()).toEqual(
      record.files.map((f) => [f.path, f.sha256]).sort(),
    );
    const blobs = await readBlobs(
      read,
      record.files.map((f) => f.sha256),
    );
    expect(blobs.length).toBe(new Set(record.files.map((f) => f.sha256)).size);
    for (const blob of blobs) {
      expect(
        createHash('sha256')
          .update(await decodeBlob(blob))
          .digest('hex'),
      ).toBe(blob.sha256);
    }
    const publications = await read.selectFrom('publications').select('id').where('plugin_id', '=', row.id).execute();
    expect(publications.length > 0, `${row.id} is ${row.status}`).toBe(row.status === 'published');
  }
  const orphans = await read
    .selectFrom('plugin_files')
    .select('id')
    .where('plugin_id', 'not in', [...versions.keys(), ''])
    .execute();
  expect(orphans).toEqual([]);
  expect(await findAuditBreak(read)).toBeNull();
  return versions;
}

describe.each(ENGINES)('a hub that is killed while it works, on %s', (engine) => {
  let home: TempHome;
  let database: TestDatabase;
  beforeAll(async () => {
    home = await tempHome('kill');
    database = await createDatabase(engine);
  });
  afterAll(async () => {
    await database?.drop();
    await home?.remove();
  });

  it(`has what it acknowledged and nothing half, after each of ${KILLS} kills`, { timeout: 240_000 }, async () => {
    const { dataDir, databaseUrl } = database.options;
    const env = databaseUrl === undefined ? {} : { HAIVEMIND_DATABASE_URL: databaseUrl };
    const registered = new Set<string>();
    const published = new Set<string>();
    let cut = 0;
    let made = 0;

    const author = async (hub: HubProcess, alive: () => boolean): Promise<void> => {
      while (alive()) {
        const version = `1.0.${made++}`;
        const name = `p${made % 7}`;
        try {
          const files = {
            'agents/a.md': `---\nname: a\ndescription: An agent\n---\n${version} ${'text '.repeat(randomInt(4000))}`,
          };
          const answer = await register(hub.url, hub.joinToken, { name, version, files });
          if (answer.status !== 200) throw new Error(answer.text);
          const id = String(answer.json.id);
          registered.add(id);
          const body = { plugin_id: id, all: true };
          const publication = await ask(hub.url, 'POST', '/api/plugins/publish', { token: hub.joinToken, body });
          if (publication.status !== 200) throw new Error(publication.text);
          published.add(id);
        } catch (error) {
          // Nothing but the kill may end a call.
          if (alive()) throw error;
          cut++;
        }
      }
    };

    for (let kill = 0; kill < KILLS; kill++) {
      const hub = await startHubProcess(home, { dataDir, env });
      let living = true;
      const authors = Promise.all([0, 1, 2].map(() => author(hub, () => living)));
      // Moments are counted in work done, not in time: a slow machine tries the same ones.
      const work = () => registered.size + published.size;
      const enough = work() + randomInt(0, 9);
      for (let waited = 0; work() < enough && waited < 10_000; waited += 2) await sleep(2);
      await sleep(randomInt(0, 40));
      living = false;
      await hub.kill();
      await authors;
      const store = await openStore({ ...database.options, clock: () => new Date() });
      const versions = await checkWhole(store);
      await store.close();
      for (const id of registered) expect(versions.has(id), `${id} was acknowledged`).toBe(true);
      for (const id of published) expect(versions.get(id), `${id} was acknowledged`).toBe('published');
    }
    // It still serves.
    const hub = await startHubProcess(home, { dataDir, env });
    const last = [...published].at(-1);
    (await ask(hub.url, 'GET', `/api/plugins/${last}`, { token: hub.joinToken })).expect(200);
    await hub.stop();
    console.log(
      `${engine}: ${KILLS} kills, ${registered.size} registered, ${published.size} published, ${cut} calls cut`,
    );
    expect(cut).toBeGreaterThan(KILLS / 2);
    expect(published.size).toBeGreaterThan(5);
  });
});
