import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Endpoint } from '../../server/src/contract/endpoint.ts';
import type { EndpointName } from '../../server/src/contract/endpoints.ts';
import { ROLES, type Role } from '../../server/src/contract/roles.ts';
import { ask, ENGINES, endpoints, publish, register, type TestHub, testHub } from './support.ts';

/** Refusals that say who somebody is, or that it is not enough. */
const REFUSED = ['UNAUTHENTICATED', 'TOKEN_INVALID', 'FORBIDDEN', 'RATE_LIMITED'];

describe.each(ENGINES)('who may call what, on %s', (engine) => {
  let t: TestHub;
  const tokens = new Map<Role, string>();
  beforeAll(async () => {
    t = await testHub(engine);
    for (const role of ROLES) if (role !== 'machine') tokens.set(role, await t.token([role]));
  });
  afterAll(() => t?.close());

  const call = (endpoint: Endpoint, machine: string, token: string | undefined) =>
    ask(t.url, endpoint.method, endpoint.path.replace('{machine}', machine).replace(/\{\w+\}/g, 'nothing'), {
      token,
      ...(endpoint.body === undefined ? {} : { body: {} }),
    });

  let made = 0;
  const cases = endpoints().flatMap(([name, endpoint]) =>
    ROLES.map((role): [EndpointName, Role, boolean, Endpoint] => {
      const open = endpoint.access === 'public' || role === 'admin' || endpoint.access.includes(role);
      return [name, role, open, endpoint];
    }),
  );

  it.each(cases)('%s by a token of the role %s: %s', async (_name, role, allowed, endpoint) => {
    // A machine of its own each time, since one of the calls is the machine leaving.
    const own = role === 'machine' ? (await t.machine(`m${made++}`)).token : undefined;
    const answer = await call(endpoint, own === undefined ? 'nobody' : 'me', own ?? tokens.get(role));
    if (allowed) expect(REFUSED, answer.text).not.toContain(answer.code);
    else expect([answer.status, answer.code]).toEqual([403, 'FORBIDDEN']);
  });

  it.each(endpoints())('%s without a token, or with one that is none', async (_name, endpoint) => {
    const answers = [
      await call(endpoint, 'nobody', undefined),
      await call(endpoint, 'nobody', `hvt_${'A'.repeat(43)}`),
      await call(endpoint, 'nobody', 'x'),
    ];
    const codes = answers.map((a) => a.code);
    if (endpoint.access === 'public') for (const code of codes) expect(REFUSED).not.toContain(code);
    else {
      expect(codes).toEqual(['UNAUTHENTICATED', 'TOKEN_INVALID', 'TOKEN_INVALID']);
      expect(answers.map((a) => a.headers.get('www-authenticate'))).toEqual(['Bearer', 'Bearer', 'Bearer']);
    }
  });

  it('keeps a machine away from every address of another machine', async () => {
    const own = await t.machine('own');
    const other = await t.machine('other');
    const bodies: Partial<Record<EndpointName, unknown>> = {
      report: { counter: 0, haivemind_version: '1.0.0', plugins: [], holds: [{ name: 'p', version: '1.0.0' }] },
      setOverride: { kind: 'exclude' },
      orderSet: { plugins: [] },
      reportUsage: { counts: [] },
    };
    const before = (await ask(t.url, 'GET', '/api/machines/other', { token: t.admin })).text;
    let tried = 0;
    for (const [name, endpoint] of endpoints()) {
      if (!endpoint.path.includes('{machine}') || !endpoint.access.includes('machine')) continue;
      for (const ref of [other.id, 'other']) {
        const query = name === 'takeBackSet' ? '?seq=1' : '';
        const path = endpoint.path.replace('{machine}', ref).replace('{name}', 'p') + query;
        const body = bodies[name];
        const answer = await ask(t.url, endpoint.method, path, { token: own.token, ...(body ? { body } : {}) });
        expect([answer.status, answer.code], `${name} ${ref}`).toEqual([403, 'FORBIDDEN']);
        tried++;
      }
    }
    expect(tried).toBeGreaterThanOrEqual(12);
    const after = (await ask(t.url, 'GET', '/api/machines/other', { token: t.admin })).text;
    expect(JSON.parse(after)).toEqual({ ...JSON.parse(before), last_seen: JSON.parse(after).last_seen });
  });

  it('keeps a machine from installing on another, and from publishing; a contributor only registers', async () => {
    const machine = await t.machine('installs');
    await t.machine('victim');
    await publish(t.url, t.admin, { name: 'tool' }, ['nowhere']);
    for (const verb of ['install', 'uninstall']) {
      const body = { target_machines: ['victim'] };
      const answer = await ask(t.url, 'POST', `/api/plugins/tool/${verb}`, { token: machine.token, body });
      expect(answer.code, verb).toBe('FORBIDDEN');
    }
    const body = { plugin_id: 'tool', all: true };
    for (const role of ['machine', 'contributor', 'reader', 'join'] as const) {
      const token = role === 'machine' ? machine.token : tokens.get(role);
      expect((await ask(t.url, 'POST', '/api/plugins/publish', { token, body })).code, role).toBe('FORBIDDEN');
    }
    (await register(t.url, tokens.get('contributor') ?? '', { name: 'offered' })).expect(200);
    expect((await register(t.url, machine.token, { name: 'pushed' })).code).toBe('FORBIDDEN');
    const victim = (await ask(t.url, 'GET', '/api/machines/victim', { token: t.admin })).expect(200);
    expect([victim.desired, victim.overrides]).toEqual([[], []]);
  });

  it('makes an address wait that fails too often, while who is known goes on', async () => {
    const strict = await testHub(engine, { limits: { failedAuthPerMinute: 5 } });
    try {
      const known = await strict.token(['reader']);
      (await ask(strict.url, 'GET', '/api/whoami', { token: known })).expect(200);
      const codes: string[] = [];
      for (let i = 0; i < 8; i++) codes.push((await ask(strict.url, 'GET', '/api/whoami', { token: `hvt_${i}` })).code);
      expect(codes).toEqual([...Array(5).fill('TOKEN_INVALID'), ...Array(3).fill('RATE_LIMITED')]);
      const limited = await ask(strict.url, 'GET', '/api/whoami', { token: 'hvt_x' });
      expect(limited.status).toBe(429);
      expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0);
      (await ask(strict.url, 'GET', '/api/whoami', { token: known })).expect(200);
    } finally {
      await strict.close();
    }
  });
});
