// What the hub says of trust: surfaces, approvals, revocation, limits of tokens, the audit's proof.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signApproval, signRotation } from '../../server/src/domain/approval.ts';
import { PLAN_PAYLOAD_TYPE, type Plan } from '../../server/src/domain/plan/index.ts';
import { redact } from '../../server/src/domain/redact.ts';
import { createKeyPair, openJson } from '../../server/src/domain/signing/dsse.ts';
import { ask, ENGINES, hooks, PUBLISHER, publish, register, type TestHub, testHub } from '../hub/support.ts';

describe.each(ENGINES)('trust at the hub, on %s', (engine) => {
  let t: TestHub;
  let publisher: string;
  let operator: string;
  beforeAll(async () => {
    t = await testHub(engine);
    publisher = await t.token(['publisher']);
    operator = await t.token(['operator']);
  });
  afterAll(() => t?.close());

  const planOf = async (token: string): Promise<Plan> => {
    const envelope = (await ask(t.url, 'GET', '/api/machines/me/plan', { token })).expect(200);
    return openJson(envelope as never, PLAN_PAYLOAD_TYPE, [t.hub.context.identity.publicKey]).value as Plan;
  };
  const offer = (id: unknown, token = publisher) =>
    ask(t.url, 'POST', '/api/plugins/publish', { token, body: { plugin_id: id, all: true, accept_surface: true } });

  it('holds an update that adds a hook until an operator approves it; text flows', async () => {
    const m = await t.machine('holder');
    await publish(t.url, publisher, { name: 'quiet' });
    await publish(t.url, publisher, { name: 'quiet', version: '1.0.1', files: { 'commands/b.md': 'More text' } });
    const { id, digest } = (
      await register(t.url, publisher, { name: 'quiet', version: '1.1.0', files: hooks('evil') })
    ).expect(200);
    const answer = (await offer(id)).expect(200);
    expect(answer).toMatchObject({
      status: 'registered',
      machines: [],
      held: { added: { hook_events: ['Stop'], commands: ['evil'] } },
    });
    expect((await planOf(m.token)).plugins.map((p) => p.version)).toEqual(['1.0.1']);

    expect((await ask(t.url, 'POST', `/api/plugins/${id}/approve`, { token: publisher, body: {} })).code).toBe(
      'FORBIDDEN',
    );
    const other = { token: operator, body: { digest: `sha256:${'0'.repeat(64)}` } };
    expect((await ask(t.url, 'POST', `/api/plugins/${id}/approve`, other)).code).toBe('DIGEST_MISMATCH');
    expect((await planOf(m.token)).plugins.map((p) => p.version)).toEqual(['1.0.1']);

    const shown = (await ask(t.url, 'GET', '/api/plugins/quiet@1.1.0/surface', { token: operator })).expect(200);
    expect(shown).toMatchObject({
      against: '1.0.1',
      added: { commands: ['evil'] },
      held: { groups: ['*'] },
      approved: null,
    });
    const key = createKeyPair();
    const envelope = signApproval(
      {
        hub: t.hub.context.identity.id,
        name: 'quiet',
        version: '1.1.0',
        digest: String(digest),
        urgent: false,
        at: 'now',
      },
      key.privatePem,
    );
    const approved = await ask(t.url, 'POST', `/api/plugins/${id}/approve`, {
      token: operator,
      body: { digest, envelope, public_key: key.publicKey },
    });
    expect(approved.expect(200)).toMatchObject({ published: true, groups: ['*'] });
    const entry = (await planOf(m.token)).plugins[0];
    expect([entry?.version, entry?.approval]).toEqual(['1.1.0', envelope]);
    expect(entry?.publishedAt).toMatch(/^20/);
  });

  it('lets an operator publish what widens, and a first version pass', async () => {
    await publish(t.url, publisher, { name: 'wide', files: hooks('a') });
    expect(await publish(t.url, operator, { name: 'wide', version: '2.0.0', files: hooks('b') })).not.toHaveProperty(
      'held',
    );
  });

  it('revokes: gone from every plan at once, named to all, with those who had it', async () => {
    const m = await t.machine('victim');
    await publish(t.url, publisher, { name: 'bad' });
    const { digest } = await publish(t.url, publisher, { name: 'bad', version: '1.1.0' });
    const report = (plugins: unknown[]) =>
      ask(t.url, 'POST', '/api/machines/me/status', {
        token: m.token,
        body: { counter: 1, haivemind_version: '1.0.0', plugins, holds: [] },
      });
    (await report([{ name: 'bad', version: '1.1.0', digest, state: 'verified' }])).expect(200);
    expect((await ask(t.url, 'POST', '/api/plugins/bad@1.1.0/revoke', { token: operator, body: {} })).code).toBe(
      'BAD_REQUEST',
    );
    const body = { reason: 'steals keys' };
    const revoked = (await ask(t.url, 'POST', '/api/plugins/bad@1.1.0/revoke', { token: operator, body })).expect(200);
    expect(revoked).toMatchObject({ version: '1.1.0', holders: [{ machine: 'victim', confirmed_at: null }] });
    const plan = await planOf(m.token);
    expect(plan.plugins.find((p) => p.name === 'bad')?.version).toBe('1.0.0');
    expect(plan.revoked).toEqual([{ name: 'bad', version: '1.1.0', digest, reason: 'steals keys' }]);

    expect((await ask(t.url, 'POST', '/api/plugins/bad@1.1.0/revoke', { token: operator, body })).code).toBe(
      'VERSION_REVOKED',
    );
    expect((await ask(t.url, 'POST', '/api/plugins/bad@1.1.0/approve', { token: operator, body: {} })).code).toBe(
      'VERSION_REVOKED',
    );
    expect((await offer('plugin_bad_1.1.0', operator)).code).toBe('STATUS_FORBIDS');
    const back = { token: operator, body: { status: 'published' } };
    expect((await ask(t.url, 'POST', '/api/plugins/plugin_bad_1.1.0/status', back)).code).toBe('STATUS_FORBIDS');

    const day = new Date().toISOString().slice(0, 10);
    const used = (session: string, version: string, count: number) => ({
      ...{ session, plugin: 'bad', version, kind: 'command', component: 'go', day, count },
    });
    const counts = [
      used('session-one', '1.1.0', 2),
      used('session-two', '1.1.0', 1),
      used('session-three', '1.0.0', 5),
    ];
    (await ask(t.url, 'POST', '/api/machines/me/usage', { token: m.token, body: { counts } })).expect(200);
    // Another machine's session too, although it had another version when this one was revoked.
    const gone = await t.machine('gone-on');
    const earlier = { counts: [used('session-four', '1.1.0', 7)] };
    (await ask(t.url, 'POST', '/api/machines/me/usage', { token: gone.token, body: earlier })).expect(200);
    (await report([])).expect(200);
    const all = (await ask(t.url, 'GET', '/api/revocations', { token: operator })).expect(200);
    expect(all).toMatchObject({
      revocations: [{ name: 'bad', by: 'operator', holders: [{ confirmed_at: expect.any(String) }] }],
    });
    const days = { first_day: day, last_day: day };
    expect((all as unknown as { revocations: { sessions: unknown[] }[] }).revocations[0]?.sessions).toEqual([
      { machine: 'gone-on', session: 'session-four', uses: 7, ...days },
      { machine: 'victim', session: 'session-one', uses: 2, ...days },
      { machine: 'victim', session: 'session-two', uses: 1, ...days },
    ]);
    expect((await ask(t.url, 'GET', '/api/revocations', { token: m.token })).code).toBe('FORBIDDEN');

    (await ask(t.url, 'DELETE', '/api/plugins/bad@1.1.0', { token: operator })).expect(200);
    expect((await planOf(gone.token)).revoked).toEqual(plan.revoked);
    expect((await ask(t.url, 'POST', '/api/plugins/bad@1.1.0/revoke', { token: operator, body })).code).toBe(
      'VERSION_REVOKED',
    );
  });

  it('revokes what is named exactly, and nothing by a name or a range', async () => {
    await publish(t.url, publisher, { name: 'which' });
    const revoke = (ref: string) =>
      ask(t.url, 'POST', `/api/plugins/${ref}/revoke`, { token: operator, body: { reason: 'x' } });
    for (const ref of ['which', 'which@latest', 'which@^1.0.0', 'which@*', 'which@1'])
      expect([ref, (await revoke(ref)).code]).toEqual([ref, 'BAD_REQUEST']);
    expect((await revoke('which@1.0.1')).code).toBe('VERSION_NOT_FOUND');
    expect((await revoke('plugin_which_1.0.1')).code).toBe('VERSION_NOT_FOUND');
    expect((await revoke('nobody')).code).toBe('PLUGIN_NOT_FOUND');
    (await revoke('plugin_which_1.0.0')).expect(200);
  });

  it('tells whoever publishes revoked content under another number', async () => {
    const files = { 'commands/hello.md': 'Steals' };
    await publish(t.url, publisher, { name: 'back', files });
    const reason = 'steals keys';
    (await ask(t.url, 'POST', '/api/plugins/back@1.0.0/revoke', { token: operator, body: { reason } })).expect(200);
    const same = (await register(t.url, publisher, { name: 'back', version: '1.0.1', files })).expect(200);
    expect((await offer(same.id)).expect(200).revoked_content).toEqual({ version: '1.0.0', reason });
    const other = { name: 'back', version: '1.0.2', files: { 'commands/hello.md': 'Asks' } };
    const { id } = (await register(t.url, publisher, other)).expect(200);
    expect((await offer(id)).expect(200)).not.toHaveProperty('revoked_content');
  });

  it('keeps a publisher outside its pattern from revoking', async () => {
    const narrow = await t.token(['publisher'], { name_pattern: 'es-*' });
    await publish(t.url, publisher, { name: 'kept' });
    const answer = await ask(t.url, 'POST', '/api/plugins/kept@1.0.0/revoke', { token: narrow, body: { reason: 'x' } });
    expect(answer.code).toBe('FORBIDDEN');
  });

  it('counts the uses of a join token, and keeps it to its groups', async () => {
    const token = await t.token(['join'], { max_uses: 1, groups: ['web-*'] });
    const join = (name: string, groups: string[]) =>
      ask(t.url, 'POST', '/api/machines/join', {
        token,
        body: { name, platform: 'x', haivemind_version: '1.0.0', groups },
      });
    expect((await join('j1', ['db'])).code).toBe('GROUP_NOT_ALLOWED');
    const both = await Promise.all([join('j1', ['web-1']), join('j2', ['web-1'])]);
    expect(both.map((a) => a.status).sort()).toEqual([200, 401]);
    expect((await join('j3', [])).code).toBe('TOKEN_INVALID');
    const counted = await ask(t.url, 'POST', '/api/tokens', {
      token: t.admin,
      body: { name: 'x', roles: ['reader'], max_uses: 3 },
    });
    expect(counted.code).toBe('BAD_REQUEST');
  });

  it('keeps a publisher to its groups', async () => {
    const token = await t.token(['publisher'], { groups: ['web-*'] });
    const { id } = (await register(t.url, token, { name: 'grouped' })).expect(200);
    expect((await offer(id, token)).code).toBe('GROUP_NOT_ALLOWED');
    const web = { token, body: { plugin_id: id, target_groups: ['web-1'] } };
    expect((await ask(t.url, 'POST', '/api/plugins/publish', web)).status).toBe(200);
  });

  it('keeps a publisher to its groups also where it takes back', async () => {
    const token = await t.token(['publisher'], { groups: ['web-*'] });
    const { id } = await publish(t.url, publisher, { name: 'taken-back' }, ['web-1', 'db']);
    const acts = [
      ['POST', 'status', { status: 'deprecated', reason: 'r' }],
      ['POST', 'status', { status: 'yanked', reason: 'r' }],
      ['POST', 'revoke', { reason: 'r' }],
    ] as const;
    const path = `/api/plugins/${id}`;
    for (const [method, what, body] of acts)
      expect(await ask(t.url, method, `${path}/${what}`, { token, body })).toMatchObject({
        ...{ code: 'GROUP_NOT_ALLOWED', text: expect.stringContaining('db') },
      });
    expect((await ask(t.url, 'DELETE', path, { token })).code).toBe('GROUP_NOT_ALLOWED');
    // Offering it to further groups lifts a deprecation for all.
    const old = { status: 'deprecated', reason: 'r' };
    (await ask(t.url, 'POST', `${path}/status`, { token: publisher, body: old })).expect(200);
    const further = { token, body: { plugin_id: id, target_groups: ['web-2'] } };
    expect((await ask(t.url, 'POST', '/api/plugins/publish', further)).code).toBe('GROUP_NOT_ALLOWED');
    expect((await ask(t.url, 'GET', path, { token })).expect(200).status).toBe('deprecated');
    const inside = await publish(t.url, publisher, { name: 'taken-back', version: '1.1.0' }, ['web-1']);
    for (const [method, what, body] of acts)
      (await ask(t.url, method, `/api/plugins/${inside.id}/${what}`, { token, body })).expect(200);
    (await ask(t.url, 'DELETE', `/api/plugins/${inside.id}`, { token })).expect(200);
  });

  it('rotates a token: the new one works, the old one ends, neither outlives its end', async () => {
    const old = await t.token(['reader'], { expires_in_days: 1 });
    const rotate = await ask(t.url, 'POST', '/api/whoami/rotate', { token: old, body: { grace_minutes: 0 } });
    const made = rotate.expect(200);
    expect((await ask(t.url, 'GET', '/api/whoami', { token: old })).code).toBe('TOKEN_INVALID');
    expect((await ask(t.url, 'GET', '/api/whoami', { token: String(made.token) })).status).toBe(200);
    expect(Date.parse(String(made.expires_at))).toBeLessThan(Date.now() + 25 * 3600_000);
    const joinToken = await t.token(['join']);
    expect((await ask(t.url, 'POST', '/api/whoami/rotate', { token: joinToken, body: {} })).code).toBe('FORBIDDEN');
  });

  it('takes a rotation only from the old key, and refuses a revoked key', async () => {
    const hub = t.hub.context.identity.id;
    const next = createKeyPair();
    const rotation = { hub, from: PUBLISHER.publicKey, to: next.publicKey, at: 'now' };
    const send = (envelope: unknown) =>
      ask(t.url, 'POST', '/api/keys/rotate', { token: publisher, body: { public_key: PUBLISHER.publicKey, envelope } });
    expect((await send(signRotation(rotation, next.privatePem))).code).toBe('SIGNATURE_INVALID');
    expect((await send(signRotation({ ...rotation, hub: 'hub_other' }, PUBLISHER.privatePem))).code).toBe(
      'SIGNATURE_INVALID',
    );
    const done = (await send(signRotation(rotation, PUBLISHER.privatePem))).expect(200);
    const { keys, rotations } = (await ask(t.url, 'GET', '/api/keys', { token: publisher })).expect(200);
    expect(rotations).toHaveLength(1);
    expect(keys).toContainEqual(expect.objectContaining({ keyid: done.from, revoked_at: null }));
    (await ask(t.url, 'DELETE', `/api/keys/${done.from}`, { token: operator })).expect(200);
    expect((await register(t.url, publisher, { name: 'late' })).code).toBe('SIGNATURE_INVALID');
    expect((await ask(t.url, 'DELETE', `/api/keys/${done.from}`, { token: operator })).code).toBe('KEY_NOT_FOUND');
    expect((await planOf((await t.machine('told')).token)).revokedKeys).toEqual([done.from]);
  });

  it('finds an edit, a gap and a cut-off end in the audit log', async () => {
    const verify = async () => (await ask(t.url, 'GET', '/api/audit/verify', { token: operator })).expect(200);
    const whole = await verify();
    expect(whole).toMatchObject({ ok: true, broken_at: null });
    const { store } = t.hub.context;
    const last = await store.read
      .selectFrom('audit')
      .selectAll()
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirstOrThrow();
    await store.transact((tx) => tx.deleteFrom('audit').where('id', '=', last.id).execute());
    expect(await verify()).toMatchObject({ ok: false, broken_at: last.id });
    await store.transact((tx) => tx.insertInto('audit').values(last).execute());
    expect(await verify()).toEqual(whole);
    await store.transact((tx) => tx.updateTable('audit').set({ actor: 'nobody' }).where('id', '=', 3).execute());
    expect(await verify()).toMatchObject({ ok: false, broken_at: 3 });
  });
});

it('redacts a long word as quickly as a short one', () => {
  const long = 'x'.repeat(2_000_000);
  expect(redact({ long })).toEqual({ long });
});

it('redacts tokens, keys and logins wherever they stand', () => {
  const token = `hvt_${'A'.repeat(43)}`;
  expect(
    redact({ a: [`x ${token}`], password: 'p', url: 'https://u:p@h/x', n: 1, b: { api_key: 'k' }, key: 'public' }),
  ).toEqual({
    a: ['x [redacted]'],
    password: '[redacted]',
    url: 'https://[redacted]@h/x',
    n: 1,
    b: { api_key: '[redacted]' },
    key: 'public',
  });
});
