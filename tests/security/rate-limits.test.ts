// What one caller may ask of a hub: requests by address and token, failed attempts, registrations at once.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import WebSocket from 'ws';
import { createAuthenticator } from '../../server/src/hub/auth.ts';
import { DEFAULT_LIMITS, readHubConfig } from '../../server/src/hub/config.ts';
import type { Principal } from '../../server/src/hub/context.ts';
import { callerKey } from '../../server/src/hub/http/client-address.ts';
import { createFailureLimit, createRateLimit } from '../../server/src/hub/http/rate-limit.ts';
import { hashSecret, newSecret } from '../../server/src/hub/secrets.ts';
import { createTurns } from '../../server/src/hub/turns.ts';
import { ask, register, testHub } from '../hub/support.ts';
import { comeBack } from './come-back.ts';

const LIMITED = expect.objectContaining({ code: 'RATE_LIMITED' });
const small = { perSecond: 0.001, burst: 3 };
const whoami = (url: string, token: string) => ask(url, 'GET', '/api/whoami', { token });
const codes = async (times: number, call: () => Promise<{ code: string }>): Promise<string[]> => {
  const all: string[] = [];
  for (let i = 0; i < times; i++) all.push((await call()).code);
  return all;
};

it('a token bucket gives its burst, then what time has filled in', () => {
  let at = 0;
  const limit = createRateLimit({ perSecond: 2, burst: 3 }, 'this token', () => at);
  for (let i = 0; i < 3; i++) limit.take('a');
  expect(() => limit.take('a')).toThrow(LIMITED);
  limit.take('b');
  at += 500;
  limit.take('a');
  expect(() => limit.take('a')).toThrow(expect.objectContaining({ details: { retry_after_s: 1 } }));
  at += 3_600_000;
  for (let i = 0; i < 3; i++) limit.take('a');
  expect(() => limit.take('a')).toThrow(LIMITED);
});

it('a token bucket does not forget who was just here when its generations turn', () => {
  let at = 0;
  const limit = createRateLimit({ perSecond: 1, burst: 4 }, 'this token', () => at);
  at = 3900;
  for (let i = 0; i < 4; i++) limit.take('a');
  at = 4000;
  expect(() => limit.take('a')).toThrow(LIMITED);
});

it('a clock that is set back a year keeps nobody waiting for it', () => {
  let at = 365 * 86_400_000;
  const limit = createRateLimit({ perSecond: 2, burst: 3 }, 'this token', () => at);
  const failures = createFailureLimit(1, () => at);
  limit.take('a');
  for (let i = 0; i < 4; i++) failures.fail('a');
  at = 0;
  limit.take('a');
  limit.take('a');
  expect(() => limit.take('a')).toThrow(LIMITED);
  expect(failures.waitSeconds('a')).toBeLessThanOrEqual(300);
  at += 2_000;
  limit.take('a');
  at += 300_000;
  expect(failures.waitSeconds('a')).toBe(0);
});

it('failures cost nothing at first, then each doubles the wait up to five minutes; rest forgets them', () => {
  let at = 0;
  const limit = createFailureLimit(3, () => at);
  const waits: number[] = [];
  for (let i = 0; i < 14; i++) {
    limit.fail('a');
    const wait = limit.waitSeconds('a');
    waits.push(wait);
    at += wait * 1000;
  }
  expect(waits).toEqual([0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
  expect(limit.waitSeconds('b')).toBe(0);
  at += 5 * 60_000;
  limit.fail('a');
  expect(limit.waitSeconds('a')).toBe(0);
});

const plenty = createRateLimit({ perSecond: 1e9, burst: 1e9 }, 'this address', () => 0);

it('while an address waits, a token that holds comes in, and guesses are not even looked up without end', async () => {
  const secret = newSecret();
  const principal = { tokenId: 't', name: 'n', roles: ['reader'], machineId: null, namePattern: null } as Principal;
  const token = { principal, expiresAt: null, revokedAt: null };
  const find = vi.fn(async (hash: string) => (hash === hashSecret(secret) ? token : null));
  const gate = { current: async () => ({ seq: 1, facts: 0 }) };
  const at = new Date();
  const auth = createAuthenticator(find, gate, () => at, 2, plenty);
  const attempt = (bearer: string, from = 'a') =>
    auth.authenticate(`Bearer ${bearer}`, from).then(
      () => 'in',
      (thrown: { code: string }) => thrown.code,
    );
  expect([await attempt('x'), await attempt(newSecret())]).toEqual(['TOKEN_INVALID', 'TOKEN_INVALID']);
  expect(await attempt(newSecret())).toBe('RATE_LIMITED');
  expect(await attempt(newSecret(), 'b')).toBe('TOKEN_INVALID');
  expect(await attempt(secret)).toBe('in');
  find.mockClear();
  for (let i = 0; i < 2500; i++) expect(await attempt(newSecret())).toBe('RATE_LIMITED');
  expect(find.mock.calls.length).toBeLessThan(2100);
  // Who was here before needs none of that.
  expect(await attempt(secret)).toBe('in');
});

it('who was here before is let in, however much is asked from its address without a token', async () => {
  const secret = newSecret();
  const principal = { tokenId: 't', name: 'n', roles: ['reader'], machineId: null, namePattern: null } as Principal;
  const find = async (hash: string) =>
    hash === hashSecret(secret) ? { principal, expiresAt: null, revokedAt: null } : null;
  const requests = createRateLimit({ perSecond: 0.001, burst: 3 }, 'this address', () => 0);
  const auth = createAuthenticator(
    find,
    { current: async () => ({ seq: 1, facts: 0 }) },
    () => new Date(0),
    1e9,
    requests,
  );
  const attempt = (header?: string) =>
    auth.authenticate(header, 'a').then(
      () => 'in',
      (thrown: { code: string }) => thrown.code,
    );
  expect(await attempt(`Bearer ${secret}`)).toBe('in');
  const asked = Array(3).fill('UNAUTHENTICATED');
  expect([await attempt(), await attempt('x'), await attempt(''), await attempt()]).toEqual([...asked, 'RATE_LIMITED']);
  for (let i = 0; i < 2100; i++) await attempt(`Bearer ${newSecret()}`);
  expect(await attempt(`Bearer ${secret}`)).toBe('in');
});

it('a token is looked up again after any event, not after what machines report', async () => {
  const secret = newSecret();
  const principal = { tokenId: 't', name: 'n', roles: ['reader'], machineId: null, namePattern: null } as Principal;
  let revokedAt: string | null = null;
  const find = vi.fn(async () => ({ principal, expiresAt: null, revokedAt }));
  let stamp = { seq: 1, facts: 1 };
  const auth = createAuthenticator(find, { current: async () => stamp }, () => new Date(), 2, plenty);
  const enter = () => auth.authenticate(`Bearer ${secret}`, 'a');
  await enter();
  stamp = { seq: 1, facts: 2 };
  await enter();
  expect(auth.recall(`Bearer ${secret}`, stamp)).toBe(principal);
  expect(find).toHaveBeenCalledTimes(1);
  revokedAt = '2026-01-01T00:00:00.000Z';
  stamp = { seq: 2, facts: 2 };
  expect(auth.recall(`Bearer ${secret}`, stamp)).toBe(null);
  await expect(enter()).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
});

it('a token that has ended is no guess: old machines do not lock their neighbours out', async () => {
  const t = await testHub('sqlite', { limits: { failedAuthPerMinute: 2 } });
  try {
    const gone = await t.token(['reader'], { name: 'gone' });
    const { tokens } = (await ask(t.url, 'GET', '/api/tokens', { token: t.admin })).expect(200);
    const { id } = (tokens as { id: string; name: string }[]).find((row) => row.name === 'gone') ?? { id: '' };
    (await ask(t.url, 'DELETE', `/api/tokens/${id}`, { token: t.admin })).expect(200);
    expect(await codes(5, () => whoami(t.url, gone))).toEqual(Array(5).fill('TOKEN_INVALID'));
    expect(await codes(4, () => whoami(t.url, newSecret()))).toEqual([
      ...Array(2).fill('TOKEN_INVALID'),
      ...Array(2).fill('RATE_LIMITED'),
    ]);
    const join = { token: newSecret(), body: { name: 'm', platform: 'x', haivemind_version: '1.0.0' } };
    expect((await ask(t.url, 'POST', '/api/machines/join', join)).code).toBe('RATE_LIMITED');
  } finally {
    await t.close();
  }
});

it('a token that asks too much waits, others go on, and the answer says how long', async () => {
  const t = await testHub('sqlite', { limits: { tokenRequests: { perSecond: 0.001, burst: 20 } } });
  try {
    const [greedy, other] = [await t.token(['reader'], { name: 'greedy' }), await t.token(['reader'])];
    const answers = await codes(21, () => whoami(t.url, greedy));
    expect(answers).toEqual([...Array(20).fill(''), 'RATE_LIMITED']);
    const refused = await whoami(t.url, greedy);
    expect([refused.status, Number(refused.headers.get('retry-after')) > 0]).toEqual([429, true]);
    (await whoami(t.url, other)).expect(200);
    const socket = new WebSocket(`${t.url.replace('http', 'ws')}/ws/plugins`, {
      headers: { authorization: `Bearer ${greedy}` },
    });
    const answered = await new Promise<{ status: number | undefined; wait: unknown }>((resolve) => {
      socket.on('error', () => undefined);
      socket.on('unexpected-response', (_request, response) => {
        resolve({ status: response.statusCode, wait: response.headers['retry-after'] });
        socket.terminate();
      });
    });
    expect(answered).toEqual({ status: 429, wait: expect.stringMatching(/^\d+$/) });
  } finally {
    await t.close();
  }
});

it("a machine's token has a limit of its own, and plans that did not change are not counted", async () => {
  const t = await testHub('sqlite', { limits: { machineRequests: small } });
  try {
    const m = await t.machine('m');
    const plan = (headers: Record<string, string> = {}) =>
      ask(t.url, 'GET', '/api/machines/me/plan', { token: m.token, headers });
    const etag = (await plan()).headers.get('etag') ?? '';
    for (let i = 0; i < 10; i++) expect((await plan({ 'if-none-match': etag })).status).toBe(304);
    expect(await codes(4, () => whoami(t.url, m.token))).toContain('RATE_LIMITED');
    (await whoami(t.url, t.admin)).expect(200);
  } finally {
    await t.close();
  }
});

it('an address that asks too much without a token that holds waits; its machines and its health do not', async () => {
  const t = await testHub('sqlite', {
    config: { behindProxy: true },
    limits: { addressRequests: { perSecond: 0.001, burst: 20 } },
  });
  try {
    const from = (address: string, path = '/openapi.json') =>
      ask(t.url, 'GET', path, { headers: { 'x-forwarded-for': address } });
    expect(await codes(21, () => from('2001:db8::1'))).toEqual([...Array(20).fill(''), 'RATE_LIMITED']);
    expect((await from('2001:db8::dead:1')).code).toBe('RATE_LIMITED');
    expect((await from('2001:db8:0:1::1')).status).toBe(200);
    expect((await from('2001:db8::1', '/readyz')).status).toBe(200);
    expect((await from('2001:db8::1', '/nowhere')).code).toBe('RATE_LIMITED');
    const headers = { 'x-forwarded-for': '2001:db8::1' };
    const as = (token?: string) => ask(t.url, 'GET', '/api/whoami', { headers, ...(token ? { token } : {}) });
    expect(await codes(3, () => as())).toEqual(Array(3).fill('RATE_LIMITED'));
    expect((await as(newSecret())).code).toBe('RATE_LIMITED');
    expect(await codes(30, () => as(t.admin))).toEqual(Array(30).fill(''));
    // A token that has ended is anybody's.
    const gone = await t.token(['reader'], { name: 'gone' });
    const { tokens } = (await ask(t.url, 'GET', '/api/tokens', { token: t.admin })).expect(200);
    const { id } = (tokens as { id: string; name: string }[]).find((row) => row.name === 'gone') ?? { id: '' };
    (await ask(t.url, 'DELETE', `/api/tokens/${id}`, { token: t.admin })).expect(200);
    expect((await as(gone)).code).toBe('RATE_LIMITED');
    const elsewhere = { 'x-forwarded-for': '2001:db8:0:2::1' };
    const ended = await codes(21, () => ask(t.url, 'GET', '/api/whoami', { token: gone, headers: elsewhere }));
    expect(ended).toEqual([...Array(20).fill('TOKEN_INVALID'), 'RATE_LIMITED']);
  } finally {
    await t.close();
  }
});

it('machines behind one address come back after a restart, beside one that floods and guesses', () => comeBack(300));

it.each([
  ['127.0.0.1', '127.0.0.1'],
  ['::ffff:10.0.0.7', '10.0.0.7'],
  ['::1', '0:0:0:0::/64'],
  ['2001:0db8::1', '2001:db8:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
])('the caller at %s is %s', (address, key) => expect(callerKey(address)).toBe(key));

it('so many at once and no more, in order, each key within its share', async () => {
  const turns = createTurns({ perKey: 1, overall: 2, waitMs: 60_000 });
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const start = (key: string, name: string) =>
    turns.run(key, () => {
      begun.push(name);
      return new Promise<void>((resolve) => ends.set(name, resolve));
    });
  const tick = () => new Promise((resolve) => setImmediate(resolve));
  const all = [start('a', 'a1'), start('a', 'a2'), start('b', 'b1'), start('c', 'c1')];
  await tick();
  expect(begun).toEqual(['a1', 'b1']);
  ends.get('b1')?.();
  await tick();
  expect(begun).toEqual(['a1', 'b1', 'c1']);
  ends.get('a1')?.();
  await tick();
  expect(begun).toEqual(['a1', 'b1', 'c1', 'a2']);
  for (const end of ends.values()) end();
  await Promise.all(all);
});

it('who would wait behind too many is sent away at once', async () => {
  const turns = createTurns({ perKey: 1, overall: 2, waitMs: 60_000 });
  const ends: (() => void)[] = [];
  const work = () => new Promise<void>((resolve) => ends.push(resolve));
  const taken = Array.from({ length: 9 }, () => turns.run('a', work));
  await expect(turns.run('a', work)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  const other = turns.run('b', async () => 'ran');
  expect(await other).toBe('ran');
  for (let i = 0; i < taken.length; i++) {
    ends[i]?.();
    await taken[i];
  }
});

it('who waits too long is sent away; a work that fails gives its turn back', async () => {
  const turns = createTurns({ perKey: 1, overall: 1, waitMs: 5 });
  await expect(turns.run('a', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  let end = (): void => undefined;
  const first = turns.run('a', () => new Promise<void>((resolve) => (end = resolve)));
  const late = Array.from({ length: 9 }, () =>
    turns.run('a', async () => 'ran').catch((e: { code: string }) => e.code),
  );
  expect(await late[8]).toBe('RATE_LIMITED');
  expect(new Set(await Promise.all(late))).toEqual(new Set(['RATE_LIMITED']));
  end();
  await first;
  expect(await turns.run('a', async () => 'ran')).toBe('ran');
});

it('a registration takes its turn', async () => {
  const t = await testHub('sqlite', { limits: { registrations: { perKey: 1, overall: 1, waitMs: 20 } } });
  try {
    // A body that never ends holds the one place.
    const hanging = new AbortController();
    const body = new ReadableStream({ start: (c) => c.enqueue(new Uint8Array(8)) });
    const headers = { authorization: `Bearer ${t.admin}`, 'content-type': 'application/zip' };
    const init = { method: 'POST', body, headers, duplex: 'half', signal: hanging.signal };
    const held = fetch(`${t.url}/api/plugins/register`, init as RequestInit).catch(() => undefined);
    await vi.waitFor(async () => {
      expect((await register(t.url, t.admin, { name: 'second' })).code).toBe('RATE_LIMITED');
    }, 60_000);
    expect((await ask(t.url, 'GET', '/api/plugins/second', { token: t.admin })).status).toBe(404);
    hanging.abort();
    await held;
    await vi.waitFor(async () => {
      (await register(t.url, t.admin, { name: 'second' })).expect(200);
    }, 60_000);
  } finally {
    await t.close();
  }
});

it('the limits are those of the configuration, and a wrong one is refused', async () => {
  const home = await mkdtemp(join(tmpdir(), 'hv limits ü-'));
  const config = (limits: unknown) => writeFile(join(home, 'config.json'), JSON.stringify({ plugins: { limits } }));
  const read = () => readHubConfig({}, { HAIVEMIND_HOME: home }).limits;
  try {
    await config({ token_per_second: 7, machine_burst: 9, registrations: 2, failed_logins_per_minute: 3 });
    expect(read()).toEqual({
      ...DEFAULT_LIMITS,
      failedAuthPerMinute: 3,
      tokenRequests: { ...DEFAULT_LIMITS.tokenRequests, perSecond: 7 },
      machineRequests: { ...DEFAULT_LIMITS.machineRequests, burst: 9 },
      registrations: { ...DEFAULT_LIMITS.registrations, overall: 2 },
    });
    for (const wrong of [{ token_per_second: 0 }, { token_burst: 0.5 }, { tokens: 1 }, { registrations: -1 }]) {
      await config(wrong);
      expect(read).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    }
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});
