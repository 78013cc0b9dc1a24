import { mkdtemp, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { PLAN_PAYLOAD_TYPE, type Plan } from '../../server/src/domain/plan/index.ts';
import { openJson } from '../../server/src/domain/signing/dsse.ts';
import { readHubConfig } from '../../server/src/hub/config.ts';
import { startHub } from '../../server/src/hub/server.ts';
import { ask, BESIDE, ENGINES, endpoints, type TestHub, testHub } from './support.ts';

describe.each(ENGINES)('a hub on %s', (engine) => {
  let t: TestHub;
  beforeAll(async () => {
    t = await testHub(engine);
  });
  afterAll(() => t?.close());

  it('says that it lives and is ready', async () => {
    expect((await ask(t.url, 'GET', '/healthz')).expect(200)).toEqual({ status: 'ok' });
    expect((await ask(t.url, 'GET', '/readyz')).expect(200)).toEqual({ status: 'ready' });
    const head = await ask(t.url, 'HEAD', '/healthz');
    expect([head.status, head.text]).toEqual([200, '']);
  });

  it('states its protocol, and parts with who speaks another', async () => {
    const same = await ask(t.url, 'GET', '/healthz', { headers: { 'haivemind-protocol': '1' } });
    expect(same.headers.get('haivemind-protocol')).toBe('1');
    const other = await ask(t.url, 'GET', '/healthz', { headers: { 'haivemind-protocol': '2' } });
    expect([other.status, other.code]).toEqual([426, 'PROTOCOL_MISMATCH']);
    expect(other.headers.get('haivemind-protocol')).toBe('1');
  });

  it('gives a first admin token once, and a host token that joins and publishes but does not administer', async () => {
    expect(t.admin).toMatch(/^hvt_[\w-]{43}$/);
    const file = join(t.home, 'hub.json');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const { url, token } = JSON.parse(await readFile(file, 'utf8')) as { url: string; token: string };
    expect({ url, token }).toEqual({ url: t.url, token: t.hub.joinToken });
    const me = (await ask(t.url, 'GET', '/api/whoami', { token })).expect(200);
    expect((me.token as { roles: string[] }).roles).toEqual(['join', 'publisher']);
    expect((await ask(t.url, 'GET', '/api/tokens', { token })).code).toBe('FORBIDDEN');
  });

  it('keeps the host token over restarts while it holds, and replaces it when it does not', async () => {
    const home = await mkdtemp(join(tmpdir(), 'hv home '));
    const config = { ...t.config, home };
    const start = () => startHub(config, { coreRoot: '/nowhere', hold: BESIDE });
    const first = await start();
    expect(first.adminToken).toBeNull();
    await first.close();
    const second = await start();
    expect(second.joinToken).toBe(first.joinToken);
    await second.close();
    await writeFile(join(home, 'hub.json'), '{"url":"http://x","token":"hvt_nonsense"}');
    const third = await start();
    expect(third.joinToken).not.toBe(first.joinToken);
    expect((await ask(third.url, 'GET', '/api/whoami', { token: first.joinToken })).code).toBe('TOKEN_INVALID');
    expect((await ask(third.url, 'GET', '/api/whoami', { token: third.joinToken })).status).toBe(200);
    await third.close();
  });

  it('joins a machine, whose token speaks for it alone', async () => {
    const a = await t.machine('alpha', { groups: ['b', 'a', 'a'], capabilities: ['x'] });
    const me = (await ask(t.url, 'GET', '/api/machines/me', { token: a.token })).expect(200);
    expect(me).toMatchObject({
      id: a.id,
      name: 'alpha',
      groups: ['a', 'b'],
      capabilities: ['x'],
      plugins: [],
      desired: [],
    });
    const b = await t.machine('beta');
    for (const [method, path] of [
      ['GET', `/api/machines/${b.id}`],
      ['GET', '/api/machines/beta'],
      ['GET', '/api/machines/nobody'],
      ['GET', '/api/machines/beta/plan'],
      ['DELETE', '/api/machines/beta'],
    ] as const) {
      expect((await ask(t.url, method, path, { token: a.token })).code, `${method} ${path}`).toBe('FORBIDDEN');
    }
    const body = { counter: 0, haivemind_version: '1.0.0', plugins: [], holds: [] };
    expect((await ask(t.url, 'POST', '/api/machines/beta/status', { token: a.token, body })).code).toBe('FORBIDDEN');
    expect((await ask(t.url, 'GET', '/api/machines/nobody', { token: t.admin })).code).toBe('MACHINE_NOT_FOUND');
    expect((await ask(t.url, 'GET', '/api/machines/me', { token: t.admin })).code).toBe('MACHINE_NOT_FOUND');
  });

  it('lets a name be taken again only by the machine that has it', async () => {
    const first = await t.machine('gamma', { groups: ['g'] });
    const body = { name: 'gamma', platform: 'linux', haivemind_version: '1.1.0' };
    const join = (more: object) =>
      ask(t.url, 'POST', '/api/machines/join', { token: t.hub.joinToken, body: { ...body, ...more } });
    expect((await join({})).code).toBe('NAME_TAKEN');
    expect((await join({ machine_token: (await t.machine('delta')).token })).code).toBe('NAME_TAKEN');
    const again = (await join({ machine_token: first.token })).expect(200);
    expect(again.machine).toMatchObject({ id: first.id, groups: ['g'] });
    expect((await ask(t.url, 'GET', '/api/whoami', { token: first.token })).code).toBe('TOKEN_INVALID');
    expect((await ask(t.url, 'GET', '/api/machines/me', { token: again.token as string })).json.haivemind_version).toBe(
      '1.1.0',
    );
    expect((await join({ name: 'me' })).code).toBe('NAME_RESERVED');
  });

  it('gives one of many machines that join at once with one name that name', async () => {
    const body = { name: 'crowd', platform: 'linux', haivemind_version: '1.0.0' };
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => ask(t.url, 'POST', '/api/machines/join', { token: t.hub.joinToken, body })),
    );
    expect(answers.filter((a) => a.status === 200)).toHaveLength(1);
    expect(answers.filter((a) => a.code === 'NAME_TAKEN')).toHaveLength(7);
  });

  it('revokes a token at once, and forgets a machine with its token', async () => {
    const token = await t.token(['reader']);
    const { id } = ((await ask(t.url, 'GET', '/api/whoami', { token })).expect(200).token ?? {}) as { id: string };
    (await ask(t.url, 'DELETE', `/api/tokens/${id}`, { token: t.admin })).expect(200);
    expect((await ask(t.url, 'GET', '/api/whoami', { token })).code).toBe('TOKEN_INVALID');
    expect((await ask(t.url, 'DELETE', `/api/tokens/${id}`, { token: t.admin })).code).toBe('TOKEN_NOT_FOUND');
    const m = await t.machine('epsilon');
    (await ask(t.url, 'DELETE', '/api/machines/me', { token: m.token })).expect(200);
    expect((await ask(t.url, 'GET', '/api/machines/me', { token: m.token })).code).toBe('TOKEN_INVALID');
    expect((await ask(t.url, 'GET', '/api/machines/epsilon', { token: t.admin })).code).toBe('MACHINE_NOT_FOUND');
  });

  it('tells who revokes the last token of an admin that none is left', async () => {
    const own = await testHub(engine);
    try {
      const me = (await ask(own.url, 'GET', '/api/whoami', { token: own.admin })).expect(200).token as { id: string };
      const expired = await own.token(['admin'], { expires_in_days: 0.0000001 });
      const second = await own.token(['reader', 'admin']);
      await own.token(['operator']);
      const drop = async (id: string, token: string) =>
        (await ask(own.url, 'DELETE', `/api/tokens/${id}`, { token })).expect(200).last_admin;
      expect(await drop(me.id, second)).toBe(false);
      const { id } = (await ask(own.url, 'GET', '/api/whoami', { token: second })).expect(200).token as { id: string };
      expect(await drop(id, second)).toBe(true);
      expect((await ask(own.url, 'GET', '/api/tokens', { token: expired })).code).toBe('TOKEN_INVALID');
    } finally {
      await own.close();
    }
  });
  it('refuses a pattern that no plugin fits, and takes several', async () => {
    const body = (name_pattern: string) => ({ name: 'p', roles: ['publisher'], name_pattern });
    for (const wrong of ['es-*;log-*', 'Es-*', 'es-*,', '', 'a b'])
      expect((await ask(t.url, 'POST', '/api/tokens', { token: t.admin, body: body(wrong) })).code, wrong).toBe(
        'NAME_INVALID',
      );
    (await ask(t.url, 'POST', '/api/tokens', { token: t.admin, body: body('es-*, log-*') })).expect(200);
  });
  it('refuses a token past its time, and one of the role machine that nobody joined for', async () => {
    const token = await t.token(['reader'], { expires_in_days: 0.0000001 });
    await new Promise((done) => setTimeout(done, 30));
    expect((await ask(t.url, 'GET', '/api/whoami', { token })).code).toBe('TOKEN_INVALID');
    const body = { name: 'x', roles: ['machine'] };
    expect((await ask(t.url, 'POST', '/api/tokens', { token: t.admin, body })).code).toBe('BAD_REQUEST');
  });

  it('seals a plan for the machine, and answers 304 while it stays the same', async () => {
    const m = await t.machine('zeta', { groups: ['z'] });
    const first = await ask(t.url, 'GET', '/api/machines/me/plan', { token: m.token });
    const { value } = openJson(first.expect(200) as never, PLAN_PAYLOAD_TYPE, [t.hub.context.identity.publicKey]);
    const plan = value as Plan;
    expect(plan).toMatchObject({
      format: 1,
      hub: t.hub.context.identity.id,
      machine: m.id,
      epoch: 1,
      plugins: [],
      problems: [],
    });
    expect(Date.parse(plan.expiresAt) - Date.parse(plan.issuedAt)).toBe(t.config.planTtlMs);
    const etag = first.headers.get('etag') ?? '';
    // An unrelated change moves the counter, not the content.
    await t.token(['reader']);
    for (const ref of ['me', m.id, 'zeta']) {
      const headers = { 'if-none-match': etag };
      const again = await ask(t.url, 'GET', `/api/machines/${ref}/plan`, { token: m.token, headers });
      expect([again.status, again.text, again.headers.get('etag')]).toEqual([304, '', etag]);
    }
    const other = await ask(t.url, 'GET', '/api/machines/me/plan', {
      token: m.token,
      headers: { 'if-none-match': '"x"' },
    });
    expect(other.status).toBe(200);
  });

  it('takes a report down and shows it', async () => {
    const m = await t.machine('eta');
    const plugin = { name: 'p', version: '1.0.0', digest: 'sha256:x', state: 'verified', edited: true };
    const body = {
      counter: 3,
      haivemind_version: '1.2.0',
      plugins: [plugin],
      holds: [{ name: 'p', version: '1.0.0' }],
      capabilities: ['k'],
    };
    (await ask(t.url, 'POST', '/api/machines/me/status', { token: m.token, body })).expect(200);
    const seen = (await ask(t.url, 'GET', '/api/machines/eta', { token: t.admin })).expect(200);
    expect(seen).toMatchObject({ haivemind_version: '1.2.0', capabilities: ['k'], plugins: [plugin], online: true });
    expect(seen.overrides).toMatchObject([{ name: 'p', kind: 'hold', range: '1.0.0', by: 'eta' }]);
    const { events } = (await ask(t.url, 'GET', '/api/events?after=0&limit=1000', { token: t.admin })).expect(200) as {
      events: unknown[];
    };
    (await ask(t.url, 'POST', '/api/machines/me/status', { token: m.token, body })).expect(200);
    const after = (await ask(t.url, 'GET', '/api/events?after=0&limit=1000', { token: t.admin })).expect(200) as {
      events: unknown[];
    };
    expect(after.events).toHaveLength(events.length);
  });

  it('changes groups and capabilities, pages machines, and tells events and audit of it', async () => {
    const m = await t.machine('theta', { groups: ['old'] });
    const body = { groups: ['new', 'new', 'other'] };
    const changed = (await ask(t.url, 'PATCH', '/api/machines/theta', { token: t.admin, body })).expect(200);
    expect(changed).toMatchObject({ id: m.id, groups: ['new', 'other'], capabilities: [] });
    const only = (await ask(t.url, 'GET', '/api/machines?group=new', { token: t.admin })).expect(200);
    expect((only.machines as { name: string }[]).map((x) => x.name)).toEqual(['theta']);
    const names: string[] = [];
    let after = '';
    do {
      const page = (await ask(t.url, 'GET', `/api/machines?limit=2${after}`, { token: t.admin })).expect(200);
      names.push(...(page.machines as { name: string }[]).map((x) => x.name));
      after = page.next === null ? '' : `&after=${page.next}`;
    } while (after !== '');
    expect(names).toEqual([...names].sort());
    expect(names).toContain('theta');
    const groups = (await ask(t.url, 'GET', '/api/groups', { token: t.admin })).expect(200).groups;
    expect(groups).toContainEqual({ name: 'new', machines: ['theta'], plugins: [], approvals: 0 });
    const audit = (await ask(t.url, 'GET', '/api/audit?limit=1', { token: t.admin })).expect(200) as {
      entries: { action: string; target: string }[];
    };
    expect(audit.entries[0]).toMatchObject({ action: 'machine.updated', target: 'theta' });
  });

  it('says what a sync would change, without an operator only for the machine itself', async () => {
    const m = await t.machine('iota');
    const own = (await ask(t.url, 'POST', '/api/plugins/sync', { token: m.token, body: {} })).expect(200);
    expect(own).toEqual({ machines: [{ machine: 'iota', desired: 0, changes: [] }], rung: false });
    const others = await ask(t.url, 'POST', '/api/plugins/sync', {
      token: m.token,
      body: { target_machines: ['theta'] },
    });
    expect(others.code).toBe('FORBIDDEN');
    const all = (await ask(t.url, 'POST', '/api/plugins/sync', { token: t.admin })).expect(200);
    expect(all.rung).toBe(true);
    const dry = (await ask(t.url, 'POST', '/api/plugins/sync', { token: t.admin, body: { dry_run: true } })).expect(
      200,
    );
    expect(dry.rung).toBe(false);
    expect((await ask(t.url, 'POST', '/api/plugins/sync', { token: t.admin, body: { force: true } })).code).toBe(
      'BAD_REQUEST',
    );
  });

  it('answers what the contract says, on every read that needs no plugin', async () => {
    await t.machine('kappa');
    const paths: Record<string, string> = { machine: '/api/machines/kappa', plan: '/api/machines/kappa/plan' };
    for (const [name, endpoint] of endpoints()) {
      if (endpoint.method !== 'GET' || !(endpoint.reply instanceof z.ZodType)) continue;
      if (['bundleInfo', 'list', 'listAlias'].includes(name)) continue;
      const path = paths[name] ?? endpoint.path;
      if (path.includes('{')) continue;
      const answer = (await ask(t.url, 'GET', path, { token: t.admin })).expect(200);
      const parsed = endpoint.reply.safeParse(answer);
      expect(parsed.error?.issues ?? [], name).toEqual([]);
    }
  });

  it('counts in Prometheus text', async () => {
    const { text, headers } = await ask(t.url, 'GET', '/metrics');
    expect(headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(text).toMatch(/haivemind_http_requests_total\{route="\/healthz",method="GET",status="200"\} [1-9]/);
    expect(text).toMatch(/haivemind_http_request_duration_seconds_bucket\{route="\/healthz",le="\+Inf"\} [1-9]/);
    expect(text).toMatch(/^haivemind_machines [1-9]\d*$/m);
    expect(text).not.toMatch(/hvt_/);
  });

  it('never logs a token', async () => {
    await ask(t.url, 'GET', '/api/whoami?token=hvt_query', { token: t.admin });
    await ask(t.url, 'GET', '/api/whoami', { token: 'hvt_wrong' });
    const text = JSON.stringify(t.logged);
    expect(text).not.toContain('hvt_');
    expect(t.logged.filter((l) => l.level === 'error')).toEqual([]);
    expect(t.logged.find((l) => l.fields.code === 'TOKEN_INVALID')?.fields).toMatchObject({
      path: '/api/whoami',
      status: 401,
    });
  });
});

describe('what the hub is told at start', () => {
  const read = (flags: object, env: object = {}) =>
    readHubConfig(flags, { HAIVEMIND_HOME: '/nonexistent', ...env }, '/work');
  it('takes flags before the environment before defaults', () => {
    expect(read({})).toMatchObject({
      port: 7420,
      host: '127.0.0.1',
      dataDir: '/work/data',
      databaseUrl: undefined,
      maxPluginSizeMb: 50,
    });
    expect(read({}, { HAIVEMIND_PORT: '1', HAIVEMIND_DATA_DIR: 'd' })).toMatchObject({ port: 1, dataDir: '/work/d' });
    expect(read({ port: '0' }, { HAIVEMIND_PORT: '1' })).toMatchObject({ port: 0 });
  });
  it.each([
    [{ host: '0.0.0.0' }, 'TLS_REQUIRED'],
    [{ host: '192.168.1.4' }, 'TLS_REQUIRED'],
    [{ host: '::' }, 'TLS_REQUIRED'],
    [{ host: 'hub.example' }, 'TLS_REQUIRED'],
    [{ port: '70000' }, 'CONFIG_INVALID'],
    [{ port: 'x' }, 'CONFIG_INVALID'],
    [{ tlsCert: 'a' }, 'CONFIG_INVALID'],
    [{ logLevel: 'loud' }, 'CONFIG_INVALID'],
    [{ publicUrl: 'ftp://x' }, 'CONFIG_INVALID'],
    [{ publicUrl: 'http://u:p@host' }, 'CONFIG_INVALID'],
    [{ publicUrl: 'https://token@host/hub' }, 'CONFIG_INVALID'],
    [{ publicUrl: 'https://host/?a=b' }, 'CONFIG_INVALID'],
  ])('refuses %j with %s', (flags, code) => {
    expect(() => read(flags)).toThrow(expect.objectContaining({ code }));
  });
  it('allows a public address with TLS or behind a proxy', () => {
    expect(read({ host: '0.0.0.0', behindProxy: true }).behindProxy).toBe(true);
    expect(read({ host: '0.0.0.0', tlsCert: 'c', tlsKey: 'k' }).tls).toEqual({ cert: '/work/c', key: '/work/k' });
    for (const host of ['127.0.0.2', '::1', '[::1]', 'localhost']) expect(read({ host }).host).toBe(host);
  });
  it('reads the plugins block of config.json, and names what is wrong in it', async () => {
    const home = await mkdtemp(join(tmpdir(), 'hv home '));
    const file = join(home, 'config.json');
    const env = { HAIVEMIND_HOME: home };
    await writeFile(file, '{"plugins":{"registry_db":"store/plugins.db","max_plugin_size_mb":7},"other":1}');
    expect(read({}, env)).toMatchObject({ maxPluginSizeMb: 7, dataDir: '/work/store' });
    await writeFile(file, '{"plugins":{"max_plugin_size_mb":"7"}}');
    expect(() => read({}, env)).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining('plugins.max_plugin_size_mb'),
      }),
    );
    await writeFile(file, '{');
    expect(() => read({}, env)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });
});
