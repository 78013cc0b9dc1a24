import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { LEASE_MS, OFFER_FIRST_MS } from '../../server/src/domain/collective.ts';
import { collectiveSweep } from '../../server/src/hub/collective/sweep.ts';
import { type Answer, ask, ENGINES, type TestHub, testHub } from '../hub/support.ts';

type Joined = Awaited<ReturnType<TestHub['machine']>>;
const path = '/api/collective/tasks';

describe.each(ENGINES)('delegation on %s', (engine) => {
  let now = Date.parse('2026-03-01T10:00:00Z');
  let t: TestHub;
  let boss: Joined;
  let es1: Joined;
  let es2: Joined;
  let web: Joined;
  const sockets: WebSocket[] = [];
  beforeAll(async () => {
    t = await testHub(engine, { deps: { clock: () => new Date(now++) } });
    boss = await t.machine('boss');
    es1 = await t.machine('es-1', { groups: ['elasticsearch'], capabilities: ['es_admin'] });
    es2 = await t.machine('es-2', { groups: ['elasticsearch'], capabilities: ['es_admin'] });
    web = await t.machine('web', { groups: ['web'] });
    // Present by their sockets, whatever this test does to the clock.
    for (const { token } of [es1, es2]) {
      const ws = new WebSocket(`${t.url.replace('http', 'ws')}/ws/plugins`, {
        headers: { authorization: `Bearer ${token}` },
      });
      await new Promise((resolve) => ws.once('message', resolve));
      sockets.push(ws);
    }
  });
  afterAll(async () => {
    for (const ws of sockets) ws.terminate();
    await t?.close();
  });

  const call = (who: Joined | { token: string }, method: string, at: string, body?: unknown): Promise<Answer> =>
    ask(t.url, method, at, { token: who.token, ...(body === undefined ? {} : { body }) });
  const delegate = async (body: Record<string, unknown> = {}) =>
    (await call(boss, 'POST', path, { title: 'Reindex logs', required_capabilities: ['es_admin'], ...body })).expect(
      200,
    ) as {
      task: { id: string };
      candidates: string[];
    };
  const claim = (who: Joined, id: string) => call(who, 'POST', `${path}/${id}/claim`);
  const update = (who: Joined, id: string, body: Record<string, unknown>) => call(who, 'POST', `${path}/${id}`, body);
  const inbox = async (who: Joined) =>
    (await call(who, 'GET', '/api/collective/inbox')).expect(200) as {
      tasks: { id: string }[];
      ended: { id: string }[];
    };

  it('offers a task to who can do it, gives it to one, and tells who asked how it ended', async () => {
    const { task, candidates } = await delegate();
    expect(candidates).toEqual(['es-1', 'es-2']);
    expect((await inbox(es1)).tasks.map((x) => x.id)).toContain(task.id);
    expect((await inbox(web)).tasks).toEqual([]);
    expect((await claim(web, task.id)).code).toBe('NOT_ELIGIBLE');
    const mine = (await claim(es1, task.id)).expect(200);
    expect(mine).toMatchObject({ status: 'claimed', claimed_by: 'es-1', attempt: 1 });
    const second = await claim(es2, task.id);
    expect([second.code, second.json.details]).toEqual([
      'TASK_TAKEN',
      expect.objectContaining({ status: 'claimed', mine: false }),
    ]);
    expect((await claim(es1, task.id)).json.details).toMatchObject({ mine: true });
    (await update(es1, task.id, { attempt: 1, progress: 'half' })).expect(200);
    (await update(es1, task.id, { attempt: 1, status: 'done', result: 'took 4 minutes' })).expect(200);
    expect((await inbox(boss)).ended.map((x) => x.id)).toContain(task.id);
    (await call(boss, 'POST', '/api/collective/broadcasts/acknowledge', { ids: [task.id] })).expect(200);
    expect((await inbox(boss)).ended).toEqual([]);
    expect((await update(es1, task.id, { attempt: 1, status: 'done' })).code).toBe('TASK_NOT_YOURS');
  });

  it('opens a task again when its claimant goes silent, refuses the late claimant, and gives up at last', async () => {
    const { task } = await delegate({ max_attempts: 2 });
    (await claim(es1, task.id)).expect(200);
    now += LEASE_MS - 60_000;
    (await update(es1, task.id, { attempt: 1, progress: 'still here' })).expect(200);
    now += LEASE_MS - 60_000;
    expect((await claim(es2, task.id)).code).toBe('TASK_TAKEN');
    now += 120_000;
    expect((await claim(es2, task.id)).expect(200)).toMatchObject({ attempt: 2, claimed_by: 'es-2' });
    expect((await update(es1, task.id, { attempt: 1, status: 'done', result: 'too late' })).code).toBe(
      'TASK_NOT_YOURS',
    );
    now += LEASE_MS + 1000;
    const rows = (await call(boss, 'GET', `${path}?status=failed`)).expect(200).tasks as {
      id: string;
      reason: string;
    }[];
    expect(rows.find((r) => r.id === task.id)?.reason).toMatch(/gave up after 2 attempts.*es-2 did not report/);
  });

  it('fails a task whose deadline passes', async () => {
    const { task } = await delegate({ deadline_at: new Date(now + 60_000).toISOString() });
    now += 120_000;
    expect((await claim(es1, task.id)).code).toBe('TASK_TAKEN');
    const failed = (await call(boss, 'GET', `${path}?status=failed`)).expect(200).tasks as {
      id: string;
      reason: string;
    }[];
    expect(failed.find((r) => r.id === task.id)?.reason).toContain('deadline');
  });

  it('shows a new task to the machine with less to do, and after a while to the others', async () => {
    const busy = await delegate();
    (await claim(es1, busy.task.id)).expect(200);
    const { task, candidates } = await delegate();
    expect(candidates).toEqual(['es-2', 'es-1']);
    expect((await inbox(es1)).tasks.map((x) => x.id)).not.toContain(task.id);
    expect((await inbox(es2)).tasks.map((x) => x.id)).toContain(task.id);
    now += OFFER_FIRST_MS;
    expect((await inbox(es1)).tasks.map((x) => x.id)).toContain(task.id);
    (await update(es1, busy.task.id, { attempt: 1, status: 'released', reason: 'no time' })).expect(200);
    (await update(boss, task.id, { status: 'cancelled' })).expect(200);
    (await update(boss, busy.task.id, { status: 'cancelled' })).expect(200);
  });

  it('tells the others, too, that a task is still open after that while', async () => {
    const rung: (readonly string[] | null)[] = [];
    const bell = { ringInbox: (ids: readonly string[] | null) => void rung.push(ids), isConnected: () => true };
    const sweep = collectiveSweep(t.hub.context, bell);
    await sweep();
    const busy = await delegate();
    (await claim(es1, busy.task.id)).expect(200);
    const { task } = await delegate();
    const before = await call(es1, 'GET', '/api/collective/inbox');
    const again = () =>
      ask(t.url, 'GET', '/api/collective/inbox', {
        token: es1.token,
        headers: { 'if-none-match': before.headers.get('etag') ?? '' },
      });
    rung.length = 0;
    await sweep();
    expect([(await again()).status, rung]).toEqual([304, []]);
    now += OFFER_FIRST_MS;
    await sweep();
    expect((await again()).expect(200).tasks).toMatchObject([{ id: task.id }]);
    expect(rung.map((ids) => [...(ids ?? [])].sort())).toEqual([[es1.id, es2.id].sort()]);
    await sweep();
    expect(rung).toHaveLength(1);
    for (const id of [task.id, busy.task.id]) (await update(boss, id, { status: 'cancelled' })).expect(200);
  });

  it('for a role is told a machine that takes this role afterwards', async () => {
    const { task } = await delegate({ role: 'librarian', required_capabilities: [] });
    const before = await call(web, 'GET', '/api/collective/inbox');
    const headers = { 'if-none-match': before.headers.get('etag') ?? '' };
    const again = () => ask(t.url, 'GET', '/api/collective/inbox', { token: web.token, headers });
    const announce = (role: string) => call(web, 'PUT', '/api/collective/agents/me', { role });
    const rung: string[] = [];
    const ws = new WebSocket(`${t.url.replace('http', 'ws')}/ws/plugins`, {
      headers: { authorization: `Bearer ${web.token}` },
    });
    ws.on('message', (data) => rung.push(JSON.parse(String(data)).type));
    await expect.poll(() => rung).toEqual(['hello']);
    expect((await again()).status).toBe(304);
    (await announce('librarian')).expect(200);
    expect((await again()).expect(200).tasks).toMatchObject([{ id: task.id }]);
    await expect.poll(() => rung).toEqual(['hello', 'inbox']);
    const etag = (await again()).headers.get('etag');
    // Said at each connection: nothing new.
    (await announce('librarian')).expect(200);
    expect((await again()).headers.get('etag')).toBe(etag);
    ws.terminate();
    (await announce('')).expect(200);
    (await update(boss, task.id, { status: 'cancelled' })).expect(200);
  });

  it('holds who may do what', async () => {
    const { task } = await delegate({ groups: ['elasticsearch'] });
    expect((await claim(web, task.id)).code).toBe('TASK_NOT_FOUND');
    expect((await update(es1, task.id, { status: 'cancelled' })).code).toBe('FORBIDDEN');
    expect((await update(es1, task.id, { attempt: 1, status: 'done' })).code).toBe('TASK_NOT_YOURS');
    (await claim(es1, task.id)).expect(200);
    expect((await update(es1, task.id, { status: 'done' })).code).toBe('BAD_REQUEST');
    expect((await update(es1, task.id, { attempt: 1, status: 'failed' })).code).toBe('BAD_REQUEST');
    expect((await update(es2, task.id, { attempt: 1, status: 'done' })).code).toBe('TASK_NOT_YOURS');
    (await update(boss, task.id, { status: 'cancelled', reason: 'not needed' })).expect(200);
    expect((await update(es1, task.id, { attempt: 1, status: 'done' })).code).toBe('TASK_NOT_YOURS');
    expect((await call({ token: await t.token(['operator']) }, 'POST', `${path}/${task.id}/claim`)).code).toBe(
      'FORBIDDEN',
    );
    const past = { title: 'x', deadline_at: '2020-01-01T00:00:00Z' };
    expect((await call(boss, 'POST', path, past)).code).toBe('BAD_REQUEST');
    expect((await claim(es1, 'task_none')).code).toBe('TASK_NOT_FOUND');
  });

  it('says who is there, in which role', async () => {
    (
      await call(es1, 'PUT', '/api/collective/agents/me', { role: 'search keeper', about: 'runs the logs cluster' })
    ).expect(200);
    const { agents } = (await call(boss, 'GET', '/api/collective/agents?capability=es_admin')).expect(200) as {
      agents: { machine: string; role: string; online: boolean }[];
    };
    expect(agents.map((x) => x.machine).sort()).toEqual(['es-1', 'es-2']);
    expect(agents.find((x) => x.machine === 'es-1')).toMatchObject({ role: 'search keeper', online: true });
    expect((await call(es1, 'PUT', '/api/collective/agents/me', { role: 'x'.repeat(65) })).code).toBe('BAD_REQUEST');
  });
});
