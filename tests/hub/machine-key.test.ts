// A machine's own key: its token alone is good for nothing but hearing that nothing changed.
import { chmod, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { openClient } from '../../server/src/client/context.ts';
import { runDoctor } from '../../server/src/client/doctor/doctor.ts';
import { joinHub } from '../../server/src/client/join/index.ts';
import { leaveHub } from '../../server/src/client/join/leave.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { createKeyPair } from '../../server/src/domain/signing/dsse.ts';
import { PROOF_HEADER, signProof } from '../../server/src/domain/signing/machine-proof.ts';
import { askHub } from '../../server/src/interfaces/hook/ask-hub.ts';
import { type FilePort, realFilePort } from '../../server/src/machine/files/file-port.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { ask, ENGINES, publish, type TestHub, testHub } from './support.ts';

const NOW = new Date('2026-06-01T12:00:00Z');
const PLAN = '/api/machines/me/plan';
const STATUS = '/api/machines/me/status';
const JOIN = '/api/machines/join';
const REPORT = { counter: 1, haivemind_version: '1.0.0', plugins: [], holds: [] };

describe.each(ENGINES)("a machine's own key, on %s", (engine) => {
  const key = createKeyPair();
  const stranger = createKeyPair();
  let t: TestHub;
  let token: string;
  let joinToken: string;
  const proof = (method: string, path: string, more: { pem?: string; at?: Date; token?: string } = {}) => ({
    [PROOF_HEADER]: signProof(more.pem ?? key.privatePem, { method, path, token: more.token ?? token }, more.at ?? NOW),
  });
  const join_ = (name: string, more: object, headers: Record<string, string> = {}) => {
    const body = { name, platform: 'p', haivemind_version: '1.0.0', ...more };
    return ask(t.url, 'POST', JOIN, { token: joinToken, headers, body });
  };
  const joinProof = (pem: string) => proof('POST', JOIN, { pem, token: joinToken });
  beforeAll(async () => {
    t = await testHub(engine, { deps: { clock: () => NOW } });
    joinToken = await t.token(['join']);
    const joined = (await join_('m', { public_key: key.publicKey }, joinProof(key.privatePem))).expect(200);
    token = String(joined.token);
  });
  afterAll(() => t?.close());

  it('opens what it signs', async () => {
    (await ask(t.url, 'GET', PLAN, { token, headers: proof('GET', PLAN) })).expect(200);
    (await ask(t.url, 'POST', STATUS, { token, headers: proof('POST', STATUS), body: REPORT })).expect(200);
    const listed = '/api/plugins?limit=5';
    (await ask(t.url, 'GET', listed, { token, headers: proof('GET', listed) })).expect(200);
  });

  it('lets the token alone hear that nothing changed, and no more', async () => {
    const plan = await ask(t.url, 'GET', PLAN, { token, headers: proof('GET', PLAN) });
    const etag = plan.headers.get('etag') ?? '';
    const bare = (value: string) => ask(t.url, 'GET', PLAN, { token, headers: { 'if-none-match': value } });
    expect((await bare(etag)).status).toBe(304);
    for (const old of ['"other"', 'W/"x"']) expect((await bare(old)).code).toBe('PROOF_REQUIRED');
    // A cached answer of any kind may be confirmed, none may be had.
    const list = { token, headers: { 'if-none-match': '"x"' } };
    expect((await ask(t.url, 'GET', '/api/plugins', list)).code).toBe('PROOF_REQUIRED');
    // Nor is "whatever it is" a way to have one.
    const any = { token, headers: { 'if-none-match': '*' } };
    for (const path of ['/api/whoami', '/api/plugins', PLAN]) {
      const answer = await ask(t.url, 'GET', path, any);
      expect([answer.status === 304 || answer.code === 'PROOF_REQUIRED', path]).toEqual([true, path]);
    }
    const posted = { token, headers: { 'if-none-match': etag }, body: REPORT };
    expect((await ask(t.url, 'POST', STATUS, posted)).code).toBe('PROOF_REQUIRED');
  });

  const ROWS: [what: string, code: string, headers: () => Record<string, string>][] = [
    ['none', 'PROOF_REQUIRED', () => ({})],
    ['an empty one', 'PROOF_REQUIRED', () => ({ [PROOF_HEADER]: '' })],
    ['a text', 'PROOF_INVALID', () => ({ [PROOF_HEADER]: 'yes' })],
    ["another key's", 'PROOF_INVALID', () => proof('POST', STATUS, { pem: stranger.privatePem })],
    ["another address's", 'PROOF_INVALID', () => proof('POST', '/api/machines/me/usage')],
    ["another method's", 'PROOF_INVALID', () => proof('GET', STATUS)],
    ["another token's", 'PROOF_INVALID', () => proof('POST', STATUS, { token: joinToken })],
    ['an old one', 'PROOF_INVALID', () => proof('POST', STATUS, { at: new Date(NOW.getTime() - 301_000) })],
    ['one of tomorrow', 'PROOF_INVALID', () => proof('POST', STATUS, { at: new Date(NOW.getTime() + 301_000) })],
    [
      'one whose time was moved',
      'PROOF_INVALID',
      () => ({
        [PROOF_HEADER]: proof('POST', STATUS)[PROOF_HEADER]?.replace(/^\d+/, (s) => String(Number(s) + 1)) ?? '',
      }),
    ],
  ];
  it.each(ROWS)('as proof %s: %s', async (_what, code, headers) => {
    expect((await ask(t.url, 'POST', STATUS, { token, headers: headers(), body: REPORT })).code).toBe(code);
  });

  it('is looked at before anything is done', async () => {
    const ghost = { name: 'ghost', version: '1.0.0', digest: `sha256:${'a'.repeat(64)}`, state: 'verified' };
    const body = { ...REPORT, plugins: [ghost] };
    expect((await ask(t.url, 'POST', STATUS, { token, body })).code).toBe('PROOF_REQUIRED');
    const seen = () => ask(t.url, 'GET', '/api/machines/m', { token: t.admin });
    expect(JSON.stringify((await seen()).expect(200))).not.toContain('ghost');
    (await ask(t.url, 'POST', STATUS, { token, headers: proof('POST', STATUS), body })).expect(200);
    expect(JSON.stringify((await seen()).expect(200))).toContain('ghost');
  });

  it('opens the live channel, which the token alone does not', async () => {
    const open = (headers: Record<string, string>) =>
      new Promise<number>((resolve) => {
        const ws = new WebSocket(`${t.url.replace(/^http/, 'ws')}/ws/plugins`, {
          headers: { authorization: `Bearer ${token}`, ...headers },
        });
        ws.on('open', () => resolve(101));
        ws.on('unexpected-response', (_request, answer) => resolve(answer.statusCode ?? 0));
        ws.on('error', () => undefined);
        ws.on('message', () => ws.close());
      });
    expect(await open({})).toBe(401);
    expect(await open(proof('GET', '/ws/plugins', { pem: stranger.privatePem }))).toBe(401);
    expect(await open(proof('GET', '/ws/plugins'))).toBe(101);
  });

  it('is needed to take the place again, and cannot be put in the place of another', async () => {
    const again = (more: object, headers = {}) => join_('m', { machine_token: token, ...more }, headers);
    expect((await again({})).code).toBe('PROOF_REQUIRED');
    expect((await again({ public_key: stranger.publicKey }, joinProof(stranger.privatePem))).code).toBe(
      'PROOF_INVALID',
    );
    // Nobody registers a key that is not theirs.
    expect((await join_('n', { public_key: stranger.publicKey })).code).toBe('PROOF_REQUIRED');
    expect((await join_('n', { public_key: stranger.publicKey }, joinProof(key.privatePem))).code).toBe(
      'PROOF_INVALID',
    );
    const back = (await again({ public_key: key.publicKey }, joinProof(key.privatePem))).expect(200);
    token = String(back.token);
    expect((await ask(t.url, 'GET', PLAN, { token })).code).toBe('PROOF_REQUIRED');
  });

  it('is enough to come back where the first answer was of no use, and nothing else is', async () => {
    const lost = createKeyPair();
    const once = await t.token(['join'], { max_uses: 1 });
    const ask_ = (more: object, pem?: string) =>
      ask(t.url, 'POST', JOIN, {
        token: once,
        headers: pem === undefined ? {} : proof('POST', JOIN, { pem, token: once }),
        body: { name: 'lost', platform: 'p', haivemind_version: '1.0.0', groups: ['a'], ...more },
      });
    const first = (await ask_({ public_key: lost.publicKey }, lost.privatePem)).expect(200);
    // Who only knows the key's public half, or signs with another, is no nearer to the name.
    expect((await ask_({})).code).toBe('NAME_TAKEN');
    expect((await ask_({ public_key: stranger.publicKey }, stranger.privatePem)).code).toBe('NAME_TAKEN');
    expect((await ask_({ public_key: lost.publicKey })).code).toBe('PROOF_REQUIRED');
    expect((await ask_({ public_key: lost.publicKey }, stranger.privatePem)).code).toBe('PROOF_INVALID');
    const again = (await ask_({ public_key: lost.publicKey }, lost.privatePem)).expect(200);
    expect(again.machine).toEqual(first.machine);
    const plan = (token: unknown) =>
      ask(t.url, 'GET', PLAN, {
        token: String(token),
        headers: proof('GET', PLAN, { pem: lost.privatePem, token: String(token) }),
      });
    expect([(await plan(first.token)).status, (await plan(again.token)).status]).toEqual([401, 200]);
    // The token was good for one machine, and it is one; it does not bring that one more.
    expect((await ask_({ public_key: lost.publicKey, groups: ['b'] }, lost.privatePem)).code).toBe('TOKEN_INVALID');
    expect((await ask_({ public_key: stranger.publicKey, name: 'more' }, stranger.privatePem)).code).toBe(
      'TOKEN_INVALID',
    );
  });

  it('is none of a machine that joined before, until it joins again', async () => {
    const old = await t.machine('old');
    (await ask(t.url, 'GET', PLAN, { token: old.token })).expect(200);
    const fresh = createKeyPair();
    const body = { machine_token: old.token, public_key: fresh.publicKey };
    const joined = (await join_('old', body, joinProof(fresh.privatePem))).expect(200);
    expect((await ask(t.url, 'GET', PLAN, { token: String(joined.token) })).code).toBe('PROOF_REQUIRED');
  });

  it('goes with the machine', async () => {
    const admin = { token: t.admin };
    (await ask(t.url, 'DELETE', '/api/machines/old', admin)).expect(200);
    const body = { public_key: stranger.publicKey };
    (await join_('old', body, joinProof(stranger.privatePem))).expect(200);
  });
});

describe('a join that fails on the side of the machine', () => {
  let t: TestHub;
  let home: TempHome;
  beforeEach(async () => {
    t = await testHub('sqlite');
    home = await tempHome('halfway ü');
  });
  afterEach(async () => {
    await t?.close();
    await home?.remove();
  });
  const open = (port?: FilePort) =>
    openClient(
      {
        ...{ home: home.home, claudeConfigDir: undefined, haivemindHome: undefined, hubUrl: undefined },
        ...{ token: undefined, caFile: undefined, path: '' },
      },
      port === undefined ? {} : { port },
    );
  const names = async () => {
    const { machines } = (await ask(t.url, 'GET', '/api/machines', { token: t.admin })).expect(200);
    return (machines as { name: string }[]).map(({ name }) => name);
  };

  it.each([
    ['.claude/settings.json', 'READ_ONLY', (path: string) => chmod(path, 0o444)],
    ['.claude', 'IO_ERROR', async () => undefined],
    ['.haivemind/config.json', 'READ_ONLY', (path: string) => chmod(path, 0o444)],
  ])('because of %s does so before the hub hears of it', async (path, code, spoil) => {
    const place = join(home.home, path);
    await mkdir(dirname(place), { recursive: true });
    await writeFile(place, '{}');
    await spoil(place);
    const options = { url: t.url, token: await t.token(['join']), name: 'm10' };
    await expect(joinHub(await open(), options)).rejects.toMatchObject({ code });
    expect(await names()).toEqual([]);
    await rm(place);
    expect((await joinHub(await open(), options)).syncError).toBeNull();
  });

  it.each(['audit.jsonl', 'config.json'])('at %s, after it, may be made again', async (file) => {
    const real = realFilePort();
    const full = Object.assign(new Error('EROFS'), { code: 'EROFS' });
    const failing: FilePort = {
      ...real,
      writeFile: (path, bytes, options) =>
        path.includes(file) ? Promise.reject(full) : real.writeFile(path, bytes, options),
    };
    const options = { url: t.url, token: await t.token(['join'], { max_uses: 1 }), name: 'm10' };
    await expect(joinHub(await open(failing), options)).rejects.toMatchObject({ code: 'READ_ONLY' });
    expect(await names()).toEqual(['m10']);
    expect(await joinHub(await open(), options)).toMatchObject({ syncError: null, machine: { name: 'm10' } });
    expect(await names()).toEqual(['m10']);
  });
});

describe('a machine that joins', () => {
  let t: TestHub;
  let home: TempHome;
  beforeAll(async () => {
    t = await testHub('sqlite');
    home = await tempHome('keyed');
  });
  afterAll(async () => {
    await t?.close();
    await home?.remove();
  });

  it('makes its key, signs with it, also with a wrong clock, and leaves without a trace of it', async () => {
    const env = {
      ...{ home: home.home, claudeConfigDir: undefined, haivemindHome: undefined, hubUrl: undefined, token: undefined },
      ...{ caFile: undefined, path: '' },
    };
    const before = home.home;
    const ctx = await openClient(env);
    await expect(joinHub(ctx, { url: t.url, token: `hvt_${'x'.repeat(43)}`, name: 'k' })).rejects.toThrow(
      expect.objectContaining({ code: 'TOKEN_INVALID' }),
    );
    await expect(stat(ctx.machine.paths.machineKey)).rejects.toThrow(/ENOENT/);
    const joined = await joinHub(ctx, { url: t.url, token: await t.token(['join']), name: 'k' });
    expect(joined.syncError).toBeNull();
    expect((await stat(ctx.machine.paths.machineKey)).mode & 0o777).toBe(0o600);
    const hubToken = ctx.config.token ?? '';
    expect(await readFile(ctx.machine.paths.config, 'utf8')).not.toContain('PRIVATE KEY');
    expect((await ask(t.url, 'GET', PLAN, { token: hubToken })).code).toBe('PROOF_REQUIRED');
    // Nothing changed: the bare question is enough, for the hook as for the sync.
    const etag = ctx.config.plan?.etag;
    const question = { url: t.url, token: hubToken, timeoutMs: 5000, ca: undefined };
    expect(await askHub({ ...question, etag })).toEqual({ kind: 'unchanged' });
    expect(await askHub({ ...question, etag: '"old"' })).toEqual({ kind: 'changed' });
    await publish(t.url, t.admin, { name: 'news' });
    const late = await openClient(env, { clock: () => new Date(Date.now() + 3600_000) });
    const result = await syncMachine(late, { mode: 'explicit' });
    expect([result.notModified, result.changed.installed.map((p) => p.name)]).toEqual([false, ['news']]);
    const { machineKey } = ctx.machine.paths;
    const pem = await readFile(machineKey, 'utf8');
    await writeFile(machineKey, pem.slice(0, 50));
    const { checks } = await runDoctor(await openClient(env));
    expect(checks.find((c) => c.message.includes(machineKey))).toMatchObject({
      message: expect.stringContaining('CONFIG_INVALID'),
      fix: expect.stringMatching(/^(?!.*hv trust add).*hv machines remove.*join again/),
    });
    await writeFile(machineKey, pem);
    // Its place is its own again with the key, not without.
    const again = await openClient(env);
    expect((await joinHub(again, { url: t.url, token: await t.token(['join']), name: 'k' })).rejoined).toBe(true);
    await leaveHub(await openClient(env));
    await expect(stat(join(before, '.haivemind'))).rejects.toThrow(/ENOENT/);
  });
});
