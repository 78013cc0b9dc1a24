// Whoever changes the hub's state leaves a row in the audit log: every endpoint that is no plain question is called, and either the log
// grows or the endpoint stands on the list of those that change nothing an operator decides on.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signRotation } from '../../server/src/domain/approval.ts';
import { createKeyPair, keyIdOf } from '../../server/src/domain/signing/dsse.ts';
import {
  type Ask,
  ask,
  ENGINES,
  endpoints,
  PUBLISHER,
  publish,
  register,
  registerRequest,
  sourceFiles,
  type TestHub,
  testHub,
} from '../hub/support.ts';

/** Questions asked with a body, and what machines tell of themselves. */
const WITHOUT: Record<string, string> = {
  blobsMissing: 'a question',
  preview: 'a question',
  transfer: 'a question',
  search: 'a question',
  recommend: 'a question',
  searchMemories: 'a question',
  syncAll: 'rings machines, changes nothing',
  report: 'what a machine has; a hold in it is written down',
  reportUsage: 'counts',
  acknowledgeBroadcasts: 'that a machine has read something',
  announce: 'the role a machine says of itself',
};

describe.each(ENGINES)('the audit log is complete, on %s', (engine) => {
  let t: TestHub;
  let publisher: string;
  let m: { id: string; token: string };
  beforeAll(async () => {
    t = await testHub(engine);
    publisher = await t.token(['publisher']);
    m = await t.machine('m');
    await t.machine('other');
    for (const name of ['kept', 'gone', 'bad', 'approved']) await publish(t.url, publisher, { name });
  });
  afterAll(() => t?.close());

  const rows = async () => {
    const { total } = await t.hub.context.store.read
      .selectFrom('audit')
      .select((eb) => eb.fn.countAll<number>().as('total'))
      .executeTakeFirstOrThrow();
    return Number(total);
  };
  const made: Record<string, string> = {};
  const remember = async (key: string, path: string, request: Ask, at: (json: Record<string, unknown>) => unknown) => {
    made[key] = String(at((await ask(t.url, 'POST', path, request)).expect(200)));
  };
  const memory = { content: 'remember this' };
  /** A call of each that changes something: address and request. */
  const CALLS: Record<string, () => Promise<[path: string, request: Ask]> | [path: string, request: Ask]> = {
    register: () => ['/api/plugins/register', registerRequest(sourceFiles({ name: 'fresh' }), publisher)],
    publish: () => ['/api/plugins/publish', { token: publisher, body: { plugin_id: 'plugin_fresh_1.0.0', all: true } }],
    remove: () => ['/api/plugins/gone', { token: publisher }],
    setStatus: () => ['/api/plugins/plugin_kept_1.0.0/status', { token: publisher, body: { status: 'deprecated' } }],
    install: () => ['/api/plugins/fresh/install', { token: m.token, body: {} }],
    uninstall: () => ['/api/plugins/fresh/uninstall', { token: m.token, body: {} }],
    join: () => [
      '/api/machines/join',
      { token: t.hub.joinToken, body: { name: 'new', platform: 'x', haivemind_version: '1.0.0' } },
    ],
    updateMachine: () => ['/api/machines/m', { token: t.admin, body: { groups: ['g'] } }],
    removeMachine: () => ['/api/machines/other', { token: t.admin }],
    setOverride: () => ['/api/machines/m/overrides/kept', { token: t.admin, body: { kind: 'exclude' } }],
    clearOverride: () => ['/api/machines/m/overrides/kept', { token: t.admin }],
    orderSet: () => ['/api/machines/m/set', { token: m.token, body: { plugins: [] } }],
    takeBackSet: async () => {
      await ask(t.url, 'PUT', '/api/machines/m/overrides/kept', { token: t.admin, body: { kind: 'install' } });
      const order = await ask(t.url, 'PUT', '/api/machines/m/set', { token: m.token, body: { plugins: [] } });
      return [`/api/machines/m/set?seq=${order.expect(200).seq}`, { token: m.token }];
    },
    createToken: () => ['/api/tokens', { token: t.admin, body: { name: 'x', roles: ['reader'] } }],
    revokeToken: async () => {
      await remember('token', '/api/tokens', { token: t.admin, body: { name: 'y', roles: ['reader'] } }, (j) => j.id);
      return [`/api/tokens/${made.token}`, { token: t.admin }];
    },
    rotateToken: () => ['/api/whoami/rotate', { token: m.token, body: {} }],
    approve: () => ['/api/plugins/approved/approve', { token: t.admin, body: {} }],
    reject: async () => {
      (await register(t.url, publisher, { name: 'sent-back' })).expect(200);
      return ['/api/plugins/plugin_sent-back_1.0.0/reject', { token: t.admin, body: { reason: 'r' } }];
    },
    revoke: () => ['/api/plugins/bad@1.0.0/revoke', { token: t.admin, body: { reason: 'r' } }],
    rotateKey: () => {
      const rotation = {
        hub: t.hub.context.identity.id,
        from: PUBLISHER.publicKey,
        to: createKeyPair().publicKey,
        at: 'now',
      };
      const envelope = signRotation(rotation, PUBLISHER.privatePem);
      return ['/api/keys/rotate', { token: publisher, body: { public_key: PUBLISHER.publicKey, envelope } }];
    },
    revokeKey: () => [`/api/keys/${keyIdOf(PUBLISHER.publicKey)}`, { token: t.admin }],
    setQuorum: () => ['/api/groups/prod/approvals', { token: t.admin, body: { approvals: 2 } }],
    setEpoch: () => ['/api/hub/epoch', { token: t.admin, body: { epoch: 7 } }],
    storeMemory: () => ['/api/collective/memories', { token: m.token, body: memory }],
    importMemories: () => ['/api/collective/memories/import', { token: m.token, body: { memories: [memory] } }],
    editMemory: async () => {
      await remember('memory', '/api/collective/memories', { token: m.token, body: memory }, (j) => j.id);
      return [`/api/collective/memories/${made.memory}`, { token: m.token, body: { importance: 5 } }];
    },
    forgetMemory: () => [`/api/collective/memories/${made.memory}`, { token: m.token }],
    broadcast: () => ['/api/collective/broadcasts', { token: m.token, body: { content: 'm' } }],
    delegate: () => ['/api/collective/tasks', { token: t.admin, body: { title: 't', description: 'd' } }],
    claimTask: async () => {
      await remember(
        'task',
        '/api/collective/tasks',
        { token: t.admin, body: { title: 't', description: 'd' } },
        (j) => (j.task as { id: string }).id,
      );
      return [`/api/collective/tasks/${made.task}/claim`, { token: m.token, body: {} }];
    },
    updateTask: () => [
      `/api/collective/tasks/${made.task}`,
      { token: m.token, body: { status: 'done', attempt: 1, result: 'r' } },
    ],
  };
  const changing = endpoints().filter(([, endpoint]) => endpoint.method !== 'GET');

  it('knows every endpoint', () => {
    const unknown = changing.map(([name]) => name).filter((name) => !(name in WITHOUT) && !(name in CALLS));
    expect(unknown).toEqual([]);
  });

  it.each(Object.keys(CALLS))('%s leaves a row', async (name) => {
    const [path, request] = (await CALLS[name]?.()) ?? ['', {}];
    const endpoint = changing.find(([known]) => known === name)?.[1];
    const before = await rows();
    const answer = await ask(t.url, endpoint?.method ?? '', path, request);
    expect([answer.status, answer.text.slice(0, 300)]).toEqual([200, expect.anything()]);
    expect(await rows()).toBeGreaterThan(before);
  });

  it('says who, what and from where, without secrets, in one unbroken chain', async () => {
    const { read } = t.hub.context.store;
    const log = await read.selectFrom('audit').selectAll().execute();
    for (const row of log) {
      expect([row.actor, row.action, row.target].every((text) => text !== '')).toBe(true);
      // From where, but for what the hub does by itself.
      const { address } = JSON.parse(row.data) as { address?: string };
      expect([row.action, address]).toEqual([row.action, row.actor === 'hub' ? undefined : '127.0.0.1']);
    }
    expect(JSON.stringify(log)).not.toMatch(/hvt_[A-Za-z0-9_-]{43}|PRIVATE KEY/);
    const proof = (await ask(t.url, 'GET', '/api/audit/verify', { token: t.admin })).expect(200);
    expect(proof).toMatchObject({ ok: true, rows: log.length });
  });
});
