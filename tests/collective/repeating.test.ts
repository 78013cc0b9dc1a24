// A call whose answer was lost is made again: what it makes is there once.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askOnce } from '../../server/src/client/collective/ask-once.ts';
import { json, problem } from '../cli/scripted-hub.ts';
import { hub, m, scriptedPair } from '../cli/scripted-pair.ts';
import { ask, ENGINES, type TestHub, testHub } from '../hub/support.ts';

const MAKERS = [
  ['memories', { content: 'The tapir gate is open', groups: ['web'] }, { expires_at: '2999-01-01T00:00:00Z' }],
  ['broadcasts', { content: 'The tapir gate is open', severity: 'warning' }, {}],
  ['tasks', { title: 'Close the tapir gate' }, { deadline_at: '2999-01-01T00:00:00Z' }],
] as const;

describe.each(ENGINES)('under an idempotency key, on %s', (engine) => {
  let t: TestHub;
  let a: { token: string };
  let b: { token: string };
  beforeAll(async () => {
    t = await testHub(engine);
    a = await t.machine('a', { groups: ['web'] });
    b = await t.machine('b');
  });
  afterAll(() => t?.close());

  it.each(MAKERS)('the same of %s is made once a caller and key, also at once', async (what, body, later) => {
    const make = async (who: { token: string }, key: string | null, more: object = {}) => {
      const headers = key === null ? {} : { 'idempotency-key': key };
      const wish = { token: who.token, body: { ...body, ...more }, headers };
      const made = (await ask(t.url, 'POST', `/api/collective/${what}`, wish)).expect(200);
      return ((made.task ?? made) as { id: string }).id;
    };
    const first = await make(a, 'one');
    // Times that are counted from the moment of asking differ each time.
    const again = await Promise.all([make(a, 'one'), make(a, 'one', later), make(a, 'one')]);
    expect(new Set([first, ...again]).size).toBe(1);
    const category = what === 'tasks' ? { description: 'another' } : { category: 'another' };
    const others = [make(a, 'two'), make(a, null), make(a, null), make(b, 'one'), make(a, 'one', category)];
    expect(new Set([first, ...(await Promise.all(others))]).size).toBe(6);
    const rows = await t.hub.context.store.read.selectFrom(what).selectAll().execute();
    expect(rows).toHaveLength(6);
    const log = await t.hub.context.store.read.selectFrom('audit').select('target').execute();
    expect(log.filter((row) => row.target === first)).toHaveLength(1);
  });

  it('a memory that was forgotten since is answered without what it held, and stays forgotten', async () => {
    const wish = {
      token: b.token,
      body: { content: 'The okapi gate is shut' },
      headers: { 'idempotency-key': 'gone' },
    };
    const make = async () => (await ask(t.url, 'POST', '/api/collective/memories', wish)).expect(200);
    const { id } = await make();
    (await ask(t.url, 'DELETE', `/api/collective/memories/${id}`, { token: b.token })).expect(200);
    expect(await make()).toMatchObject({ id, content: '' });
  });
});

describe('a client', () => {
  const BODY = { content: 'The tapir gate is open' };
  scriptedPair();
  const keys = () => hub.bodies.map(({ headers }) => headers['idempotency-key']);
  const send = (body: { content: string; expires_at?: string } = BODY) => askOnce(m.ctx, 'storeMemory', body);
  const stored = {
    ...{ ...BODY, id: 'mem_12345678', category: 'general', tags: [], project: null, importance: 3, groups: [] },
    ...{ visibility: 'collective', confidentiality: 'normal', machine: 'm', expires_at: null },
    ...{ created_at: '2026-01-01T00:00:00Z', updated_at: '2026-01-01T00:00:00Z' },
  };

  it('names what it makes again alike until an answer came', async () => {
    hub.answers['*'] = (_, response) => response.destroy();
    await expect(send()).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
    await expect(send({ content: 'other' })).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
    hub.answers['*'] = (_, response) => json(response, stored);
    await send({ ...BODY, expires_at: '2999-01-01T00:00:00Z' });
    await send();
    const [first, other, again, next] = keys();
    expect(again).toBe(first);
    expect(new Set([first, other, next]).size).toBe(3);
    hub.answers['*'] = (_, response) => problem(response, 400, 'BAD_REQUEST', 'no');
    await expect(send({ content: 'bad' })).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    await expect(send({ content: 'bad' })).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    expect(new Set(keys().slice(-2)).size).toBe(2);
  });

  it('names it anew ten minutes later, and says that what timed out may have arrived', async () => {
    hub.answers['*'] = (_, response) => problem(response, 408, 'TIMEOUT', 'too slow');
    let now = Date.now();
    m.ctx.clock = () => new Date(now);
    const error = await send({ content: 'slow' }).catch((thrown) => thrown);
    expect(error.hint).toMatch(/may have arrived.*the same call.*hv memories/);
    now += 10 * 60_000;
    await send({ content: 'slow' }).catch(() => undefined);
    expect(new Set(keys()).size).toBe(2);
  });
});
