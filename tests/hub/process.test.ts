// The hub as it ships: bundles, in processes of their own.
import { execFile } from 'node:child_process';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { joinLine } from '../../server/src/hub/bundle.ts';
import { createDatabase, type TestDatabase } from '../contract/engines.ts';
import { type HubProcess, startHubProcess } from '../support/hub-process.ts';
import { buildDist } from '../support/repository.ts';
import { runProcess } from '../support/run-process.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { ask, ENGINES, registerRequest, sourceFiles, testHub } from './support.ts';

const run = promisify(execFile);

describe.each(ENGINES)('the hub as a process, on %s', (engine) => {
  let home: TempHome;
  let database: TestDatabase;
  const start = (): Promise<HubProcess> => {
    const { dataDir, databaseUrl } = database.options;
    return startHubProcess(home, {
      dataDir,
      env: databaseUrl === undefined ? {} : { HAIVEMIND_DATABASE_URL: databaseUrl },
    });
  };
  beforeAll(async () => {
    home = await tempHome('hub');
    database = await createDatabase(engine);
  });
  afterAll(async () => {
    await database?.drop();
    await home?.remove();
  });

  it('has haivemind-core in its registry, once, and ends with 0 on SIGTERM', async () => {
    const first = await start();
    const admin = first.adminToken ?? '';
    expect(first.ready).toMatchObject({ ready: true, engine });
    const core = (await ask(first.url, 'GET', '/api/plugins/haivemind-core', { token: admin })).expect(200);
    expect(core).toMatchObject({ status: 'published', groups: ['*'], imported: false });
    const paths = (core.files as { path: string }[]).map((f) => f.path);
    for (const path of [
      '.claude-plugin/plugin.json',
      'server/dist/mcp.mjs',
      'server/dist/cli.mjs',
      'hooks/hooks.json',
    ]) {
      expect(paths).toContain(path);
    }
    expect(paths).not.toContain('server/dist/hub.mjs');
    const { seq } = (await ask(first.url, 'GET', '/api/events?limit=1000', { token: admin })).expect(200);
    expect(await first.stop()).toBe(0);
    const second = await start();
    expect(second.adminToken).toBeNull();
    expect((await ask(second.url, 'GET', '/api/events?limit=1000', { token: admin })).expect(200).seq).toBe(seq);
    expect(await second.stop()).toBe(0);
  });

  it('finishes what is in flight when told to stop, and loses nothing that it acknowledged', async () => {
    const hub = await start();
    const token = hub.joinToken;
    const acknowledged: string[] = [];
    const surprises: string[] = [];
    let stop = false;
    let stopping = false;
    const client = async (id: number): Promise<void> => {
      for (let i = 0; !stop; i++) {
        const name = `drain-${engine}-${id}-${i}`;
        const body = { name, platform: 'x', haivemind_version: '1.0.0' };
        try {
          const answer = await ask(hub.url, 'POST', '/api/machines/join', { token, body });
          if (answer.status === 200) acknowledged.push(name);
          else if (answer.code !== 'SHUTTING_DOWN') surprises.push(answer.text);
        } catch {
          stop = true;
        }
      }
    };
    // A publisher whose body is only half there when the signal comes.
    const { raw, headers } = registerRequest(sourceFiles({ name: `slow-${engine}` }), token);
    const bytes = raw as Buffer;
    const slow = ask(hub.url, 'POST', '/api/plugins/register', {
      token,
      headers: headers ?? {},
      raw: new ReadableStream({
        async start(controller) {
          controller.enqueue(bytes.subarray(0, 100));
          while (!stopping) await sleep(20);
          await sleep(500);
          controller.enqueue(bytes.subarray(100));
          controller.close();
        },
      }),
    });
    const clients = Promise.all([0, 1, 2, 3].map(client));
    while (acknowledged.length < 4 && !stop) await sleep(20);
    const ended = hub.stop();
    stopping = true;
    expect((await slow).expect(200).name).toBe(`slow-${engine}`);
    expect(await ended).toBe(0);
    stop = true;
    await clients;
    expect(surprises).toEqual([]);
    expect(acknowledged.length).toBeGreaterThan(3);
    const again = await start();
    const { token: admin } = await hubToken('create', 'x', '--roles', 'admin');
    for (const name of acknowledged)
      (await ask(again.url, 'GET', `/api/machines/${name}`, { token: admin })).expect(200);
    (await ask(again.url, 'GET', `/api/plugins/slow-${engine}`, { token: admin })).expect(200);
    await again.stop();
  });

  const offline = async (...args: string[]) => {
    const { dataDir, databaseUrl } = database.options;
    const cli = join(await buildDist(), 'cli.mjs');
    const env = home.env(databaseUrl === undefined ? {} : { HAIVEMIND_DATABASE_URL: databaseUrl });
    return runProcess(process.execPath, [cli, 'hub', ...args, '--data-dir', dataDir, '--json'], {
      cwd: home.project,
      env,
    });
  };
  const hubToken = async (...args: string[]) => JSON.parse((await offline('token', ...args)).stdout);

  it('makes, lists and revokes tokens from the command line while it runs, at once', async () => {
    const hub = await start();
    const made = await hubToken('create', 'by hand', '--roles', 'reader,operator');
    expect(made).toMatchObject({ name: 'by hand', roles: ['reader', 'operator'] });
    (await ask(hub.url, 'GET', '/api/machines', { token: made.token })).expect(200);
    const { tokens } = await hubToken('list');
    expect(tokens.find((row: { id: string }) => row.id === made.id)).not.toHaveProperty('token');
    await hubToken('revoke', made.id);
    expect((await ask(hub.url, 'GET', '/api/machines', { token: made.token })).code).toBe('TOKEN_INVALID');
    await hub.stop();
    const again = await offline('token', 'revoke', made.id);
    expect([again.code, JSON.parse(again.stdout).error.code]).toEqual([66, 'TOKEN_NOT_FOUND']);
    const unknown = await offline('token', 'create', 'x', '--roles', 'king');
    expect([unknown.code, JSON.parse(unknown.stdout).error.code]).toEqual([64, 'USAGE']);
  });

  it('writes a backup while it runs, which fills an empty database and no other', async () => {
    const hub = await start();
    const file = join(home.project, `${engine}.backup`);
    expect((await offline('backup', file)).code).toBe(0);
    const { id } = (await ask(hub.url, 'GET', '/api/whoami', { token: hub.joinToken })).json.hub as { id: string };
    await hub.stop();
    const occupied = await offline('restore', file);
    expect(occupied.code).not.toBe(0);
    await rm(join(home.project, 'restored'), { recursive: true, force: true });
    const cli = join(await buildDist(), 'cli.mjs');
    const args = [cli, 'hub', 'restore', file, '--data-dir', join(home.project, 'restored'), '--json'];
    const restored = await runProcess(process.execPath, args, { cwd: home.project, env: home.env() });
    expect(restored.code, restored.stdout + restored.stderr).toBe(0);
    const copy = await startHubProcess(home, { dataDir: join(home.project, 'restored') });
    const me = (await ask(copy.url, 'GET', '/api/whoami', { token: hub.joinToken })).expect(200);
    expect(me.hub).toMatchObject({ id });
    await copy.stop();
  });
});

describe('what the hub says when it cannot start', () => {
  it.each([
    [['--host', '0.0.0.0'], 78, 'TLS_REQUIRED'],
    [['--port', 'many'], 78, 'CONFIG_INVALID'],
    [['--database-url', 'mysql://x'], 78, 'CONFIG_INVALID'],
    [['--database-url', 'postgres://127.0.0.1:1/none'], 69, 'DATABASE_UNAVAILABLE'],
    [['surprise'], 64, 'USAGE'],
    [['--surprise'], 64, 'USAGE'],
  ])('%j: exit %i, %s', async (args, exit, code) => {
    const home = await tempHome('hub');
    const cli = join(await buildDist(), 'cli.mjs');
    const words = await runProcess(process.execPath, [cli, 'hub', ...args], { cwd: home.project, env: home.env() });
    expect([words.code, words.stdout]).toEqual([exit, '']);
    expect(words.stderr).toMatch(new RegExp(`^${code}: [^\\n]+\\n$`));
    const json = await runProcess(process.execPath, [cli, 'hub', ...args, '--json'], {
      cwd: home.project,
      env: home.env(),
    });
    expect(JSON.parse(json.stdout)).toMatchObject({ error: { code } });
    await home.remove();
  });

  it('says that a port is taken', async () => {
    const home = await tempHome('hub');
    const hub = await startHubProcess(home, {});
    const cli = join(await buildDist(), 'cli.mjs');
    const args = [cli, 'hub', '--port', new URL(hub.url).port, '--data-dir', join(home.project, 'second'), '--json'];
    const second = await runProcess(process.execPath, args, { cwd: home.project, env: home.env() });
    expect([second.code, JSON.parse(second.stdout).error.code]).toEqual([69, 'PORT_IN_USE']);
    await hub.stop();
    await home.remove();
  });
});

describe('draining', () => {
  it('is said by /readyz, and nothing new is taken', async () => {
    const t = await testHub('sqlite');
    const half = (path: string) =>
      new Promise<{ finish(): Promise<string> }>((resolve) => {
        const socket = connect(t.hub.port, '127.0.0.1', () => {
          let text = '';
          socket.on('data', (chunk) => {
            text += chunk;
          });
          const ended = new Promise<string>((done) => socket.on('close', () => done(text)));
          socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n`);
          resolve({
            finish() {
              socket.write('\r\n');
              return ended;
            },
          });
        });
      });
    const [ready, machines] = [await half('/readyz'), await half('/api/machines')];
    await sleep(50);
    const closing = t.hub.close();
    await sleep(50);
    expect(await ready.finish()).toMatch(/^HTTP\/1\.1 503 [\s\S]*"status":"draining"/);
    expect(await machines.finish()).toMatch(/^HTTP\/1\.1 503 [\s\S]*"code":"SHUTTING_DOWN"/);
    await closing;
    await expect(ask(t.url, 'GET', '/healthz')).rejects.toThrow();
    await t.close();
  });
});

describe('the line that joins a machine', () => {
  let home: TempHome;
  beforeAll(async () => {
    home = await tempHome('fresh');
  });
  afterAll(() => home.remove());

  /** A hub that hands out a stand-in bundle, which writes down how it was called. */
  async function hubWithStandIn(program: string) {
    const distDir = join(home.project, 'dist');
    await runProcess('mkdir', ['-p', distDir], { cwd: home.project, env: home.env() });
    await writeFile(join(distDir, 'cli.mjs'), program);
    return testHub('sqlite', { deps: { distDir, coreRoot: '/nowhere' } });
  }

  it('fetches, checks, keeps `hv` and joins, in sh and bash, with more words after it', async () => {
    const t = await hubWithStandIn('console.log(JSON.stringify(process.argv.slice(2)));');
    const line = t.hub.joinLine ?? '';
    expect(line).not.toMatch(/\n/);
    for (const shell of ['sh', 'bash']) {
      const { stdout } = await run(shell, ['-c', `${line} --name 'a b' --groups x,y`], {
        cwd: home.project,
        env: home.env(),
      });
      expect(JSON.parse(stdout)).toEqual([
        'join',
        t.url,
        '--token',
        t.hub.joinToken,
        '--name',
        'a b',
        '--groups',
        'x,y',
      ]);
    }
    const bin = join(home.home, '.haivemind', 'bin');
    expect((await stat(join(bin, 'hv'))).mode & 0o111).not.toBe(0);
    const { stdout } = await run(join(bin, 'hv'), ['list', '--json'], { env: home.env() });
    expect(JSON.parse(stdout)).toEqual(['list', '--json']);
    const info = (await ask(t.url, 'GET', '/hv.json')).expect(200);
    const bundle = await readFile(join(bin, 'hv.mjs'));
    expect(info).toMatchObject({ size: bundle.length, protocol: 1 });
    const etag = (await ask(t.url, 'GET', '/hv.mjs')).headers.get('etag') ?? '';
    expect(etag).toBe(`"${info.sha256}"`);
    expect((await ask(t.url, 'GET', '/hv.mjs', { headers: { 'if-none-match': etag } })).status).toBe(304);
    await t.close();
  });

  it('obeys HAIVEMIND_HOME, and passes on how the join ended', async () => {
    const t = await hubWithStandIn('process.exit(7);');
    const folder = join(home.project, 'else where');
    const failed = await run('sh', ['-c', t.hub.joinLine ?? ''], { env: home.env({ HAIVEMIND_HOME: folder }) }).catch(
      (e) => e,
    );
    expect(failed.code).toBe(7);
    expect((await stat(join(folder, 'bin', 'hv.mjs'))).isFile()).toBe(true);
    await t.close();
  });

  it('keeps nothing of other bytes than the line names, nor when there is no hub', async () => {
    const t = await hubWithStandIn('console.log("evil");');
    const fresh = await tempHome('fresh');
    const env = fresh.env();
    const swapped = await run('sh', ['-c', joinLine(t.url, 'hvt_x', '0'.repeat(64))], { env }).catch((e) => e);
    expect([swapped.code, swapped.stdout]).toEqual([1, '']);
    expect(swapped.stderr).toContain('not what this line expects');
    const line = t.hub.joinLine ?? '';
    await t.close();
    const gone = await run('sh', ['-c', line], { env }).catch((e) => e);
    expect([gone.code, gone.stdout]).toEqual([1, '']);
    await expect(stat(join(fresh.home, '.haivemind'))).rejects.toMatchObject({ code: 'ENOENT' });
    await fresh.remove();
  });
});
