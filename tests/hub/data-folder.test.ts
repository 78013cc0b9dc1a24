// The folder of the registry: one that is not there, is not a folder, or may not be written.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { link, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readHubConfig } from '../../server/src/hub/config.ts';
import {
  backupTo,
  createTokenOffline,
  listTokensOffline,
  restoreFrom,
  revokeTokenOffline,
} from '../../server/src/hub/offline.ts';
import { startHub } from '../../server/src/hub/server.ts';
import { openStore } from '../../server/src/storage/store.ts';
import { createDatabase } from '../contract/engines.ts';
import { startHubProcess } from '../support/hub-process.ts';
import { buildDist } from '../support/repository.ts';
import { runProcess } from '../support/run-process.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { ask, ENGINES, testHub } from './support.ts';

let home: TempHome;
beforeEach(async () => {
  home = await tempHome('hub');
});
afterEach(() => home.remove());

const configOf = (dataDir: string, more = {}) => ({
  // In this process the home would be that of whoever runs the tests.
  ...readHubConfig({ dataDir }, { ...home.env(), HAIVEMIND_HOME: join(home.home, '.haivemind') }, home.project),
  ...more,
});

describe('a registry that is not there', () => {
  it('is neither made nor saved by what works on one that is', async () => {
    const config = configOf('nodir');
    const file = join(home.project, 'b');
    await writeFile(file, 'an older backup');
    const refused = { code: 'DATABASE_UNAVAILABLE', message: expect.stringContaining(join(home.project, 'nodir')) };
    await expect(backupTo(config, file)).rejects.toMatchObject(refused);
    await expect(createTokenOffline(config, { name: 'x', roles: ['admin'] })).rejects.toMatchObject(refused);
    await expect(listTokensOffline(config)).rejects.toMatchObject({ hint: expect.stringContaining('--data-dir') });
    await expect(revokeTokenOffline(config, 't_x')).rejects.toMatchObject(refused);
    expect(await readdir(home.project)).toEqual(['b']);
    expect(await readFile(file, 'utf8')).toBe('an older backup');
  });

  it('is not seen in a database that no hub has started on', async () => {
    const config = configOf('data');
    await (await openStore({ ...config, clock: () => new Date() })).close();
    await expect(backupTo(config, join(home.project, 'b'))).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    expect(await readdir(home.project)).toEqual(['data']);
  });

  it('gets no tables in an empty schema of PostgreSQL', async () => {
    const database = await createDatabase('postgres');
    const config = configOf('data', { databaseUrl: database.options.databaseUrl });
    for (const _twice of [1, 2]) {
      const refusal = backupTo(config, join(home.project, 'b'));
      await expect(refusal).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE', message: /no registry/ });
    }
    await database.drop();
    expect(await readdir(home.project)).toEqual([]);
  });
});

describe.each(ENGINES)('a backup of %s', (engine) => {
  it('says what it read and how much it wrote', async () => {
    const t = await testHub(engine);
    const file = join(home.project, 'b');
    await writeFile(file, 'an older backup');
    const made = await backupTo(t.config, file);
    expect(made).toMatchObject({ file, bytes: (await stat(file)).size, versions: 0 });
    expect(made.rows).toBeGreaterThan(5);
    if (engine === 'sqlite') expect(made.database).toBe(join(t.config.dataDir, 'plugins.db'));
    else expect(made.database).toMatch(/^postgres:\/\/[^@?]+$/);
    await t.close();
  });
});

it('a backup does not go over the registry itself', async () => {
  const t = await testHub('sqlite');
  const registry = join(t.config.dataDir, 'plugins.db');
  const alias = join(t.config.dataDir, 'alias');
  await link(registry, alias);
  for (const file of [registry, `${registry}-wal`, alias]) {
    await expect(backupTo(t.config, file)).rejects.toMatchObject({ code: 'PATH_OCCUPIED' });
  }
  await rm(alias);
  expect(await listTokensOffline(t.config)).not.toEqual([]);
  await t.close();
});

describe('the first admin token', () => {
  const starts = (more: object) => startHub(configOf('data', more), { coreRoot: '/nowhere' });

  it('is shown by the first start that comes up, not made by those that fail', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    await expect(starts({ port })).rejects.toMatchObject({ code: 'PORT_IN_USE' });
    await expect(starts({ host: 'nowhere.invalid', port: 0 })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    // Listens, but cannot write hub.json.
    const nowhere = { home: join(home.project, 'hub-home'), port: 0 };
    await mkdir(join(nowhere.home, 'hub.json'), { recursive: true });
    await expect(starts(nowhere)).rejects.toMatchObject({ code: 'IO_ERROR' });
    other.close();
    const hub = await starts({ port: 0 });
    (await ask(hub.url, 'GET', '/api/tokens', { token: hub.adminToken ?? 'none' })).expect(200);
    await hub.close();
  });
});

it('a data folder has one hub at a time, in this process or another, and what administers it beside that one', async () => {
  const dataDir = join(home.project, 'data');
  const config = configOf(dataDir, { port: 0 });
  const first = await startHub(config, { coreRoot: '/nowhere' });
  const refused = { code: 'DATA_DIR_IN_USE', message: expect.stringContaining(dataDir) };
  await expect(startHub(config, { coreRoot: '/nowhere' })).rejects.toMatchObject(refused);
  const cli = join(await buildDist(), 'cli.mjs');
  const hv = (...args: string[]) =>
    runProcess(process.execPath, [cli, 'hub', ...args, '--data-dir', dataDir, '--json'], {
      cwd: home.project,
      env: home.env(),
    });
  const other = await hv('--port', '0');
  expect(other.code).toBe(69);
  expect(JSON.parse(other.stdout).error).toMatchObject(refused);
  expect((await hv('backup', 'b')).code).toBe(0);
  await createTokenOffline(config, { name: 'x', roles: ['admin'] });
  (await ask(first.url, 'GET', '/api/tokens', { token: first.adminToken ?? 'none' })).expect(200);
  await first.close();
  const killed = await startHubProcess(home, { dataDir });
  await killed.kill();
  await (await startHub(config, { coreRoot: '/nowhere' })).close();
  expect((await readdir(dataDir)).filter((name) => name.startsWith('hub.lock'))).toEqual(['hub.lock']);
});

it('a restore of a file that is not there says so and makes nothing', async () => {
  const missing = { code: 'BACKUP_INVALID', message: expect.stringContaining('There is no file') };
  await expect(restoreFrom(configOf('data'), join(home.project, 'nofile'))).rejects.toMatchObject(missing);
  expect(await readdir(home.project)).toEqual([]);
});

describe('a data folder that cannot be', () => {
  const starts = (dataDir: string) => startHub(configOf(dataDir, { port: 0 }), { coreRoot: '/nowhere' });

  it.each([
    ['a file', 'file', 'PATH_OCCUPIED'],
    ['below a file', 'file/below/data', 'PATH_OCCUPIED'],
    ['a link that leads nowhere', 'dangling', 'PATH_OCCUPIED'],
    ['where the system takes no folder', '/proc/foo', 'READ_ONLY'],
  ])('%s: %s is refused with %s', async (_what, dataDir, code) => {
    await writeFile(join(home.project, 'file'), '');
    await symlink(join(home.project, 'gone'), join(home.project, 'dangling'));
    const path = resolve(home.project, dataDir);
    const refused = { code, message: expect.stringContaining(path), hint: expect.stringContaining('--data-dir') };
    await expect(starts(dataDir)).rejects.toMatchObject(refused);
    await expect(restoreFrom(configOf(dataDir), join(home.project, 'file'))).rejects.toMatchObject(refused);
    expect((await readdir(home.project)).sort()).toEqual(['dangling', 'file']);
  });

  // Root may write everywhere but on what is mounted for reading.
  it.runIf(spawnSync('unshare', ['-m', 'true']).status === 0)('on a read-only mount says so', async () => {
    const cli = join(await buildDist(), 'cli.mjs');
    const ro = join(home.project, 'ro');
    await mkdir(join(ro, 'data'), { recursive: true });
    const mounted = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"';
    for (const dataDir of [join(ro, 'data'), join(ro, 'new', 'data')]) {
      const hub = [process.execPath, cli, 'hub', '--port', '0', '--data-dir', dataDir, '--json'];
      const args = ['-m', 'sh', '-c', mounted, 'sh', ro, ...hub];
      const run = await runProcess('unshare', args, { cwd: home.project, env: home.env() });
      expect([run.code, JSON.parse(run.stdout).error]).toMatchObject([
        74,
        { code: 'READ_ONLY', message: expect.stringContaining(dataDir) },
      ]);
    }
  });
});
