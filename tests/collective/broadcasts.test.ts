import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { ask, ENGINES, type TestHub, testHub } from '../hub/support.ts';

type Joined = Awaited<ReturnType<TestHub['machine']>>;
const path = '/api/collective/broadcasts';

describe.each(ENGINES)('broadcasts on %s', (engine) => {
  let now = Date.parse('2026-03-01T10:00:00Z');
  let t: TestHub;
  let a: Joined;
  let b: Joined;
  let c: Joined;
  beforeAll(async () => {
    t = await testHub(engine, { deps: { clock: () => new Date(now++) } });
    a = await t.machine('a', { groups: ['web'] });
    b = await t.machine('b', { groups: ['web'] });
    c = await t.machine('c', { groups: ['db'] });
  });
  afterAll(() => t?.close());

  const send = (who: Joined, body: Record<string, unknown>) => ask(t.url, 'POST', path, { token: who.token, body });
  const inbox = async (who: Joined) => {
    const { broadcasts } = (await ask(t.url, 'GET', '/api/collective/inbox', { token: who.token })).expect(200);
    return broadcasts as { id: string; content: string; severity: string; machine: string }[];
  };

  it('reach the inbox of everybody else, the critical first, until they are acknowledged there', async () => {
    const info = (await send(a, { content: 'The cache was cleared' })).expect(200);
    const critical = (await send(a, { content: 'Do not deploy', severity: 'critical', category: 'incident' })).expect(
      200,
    );
    expect(info).toMatchObject({ machines: 2, machine: 'a' });
    expect((await inbox(b)).map((m) => m.id)).toEqual([critical.id, info.id]);
    expect(await inbox(a)).toEqual([]);
    const body = { ids: [critical.id, info.id, 'msg_unknown'] };
    const done = await ask(t.url, 'POST', `${path}/acknowledge`, { token: b.token, body });
    expect(done.expect(200)).toEqual({ acknowledged: 2 });
    expect(await inbox(b)).toEqual([]);
    expect((await inbox(c)).map((m) => m.id)).toEqual([critical.id, info.id]);
    const listed = (await ask(t.url, 'GET', `${path}?severity=critical`, { token: b.token })).expect(200);
    expect(listed.broadcasts).toMatchObject([{ id: critical.id, acknowledged: true, acknowledged_by: 1 }]);
  });

  it('to groups reach those alone, and expire', async () => {
    const { id, machines } = (
      await send(a, { content: 'Failover at ten', groups: ['db'], expires_in_hours: 1 })
    ).expect(200);
    expect(machines).toBe(1);
    expect((await inbox(c)).map((m) => m.id)).toContain(id);
    expect((await inbox(b)).map((m) => m.id)).not.toContain(id);
    now += 2 * 3600_000;
    expect((await inbox(c)).map((m) => m.id)).not.toContain(id);
  });

  it('ring an open socket of the machines they are for, through any hub process, in less than two seconds', async () => {
    const second = await t.another();
    const rung = new Set<string>();
    const sockets = await Promise.all(
      [b, c].map(async (m) => {
        const ws = new WebSocket(`${second.url.replace('http', 'ws')}/ws/plugins`, {
          headers: { authorization: `Bearer ${m.token}` },
        });
        ws.on('message', (data) => {
          if (JSON.parse(String(data)).type === 'inbox') rung.add(m.name);
        });
        await new Promise((resolve) => ws.once('message', resolve));
        return ws;
      }),
    );
    // Through the process that holds the sockets on SQLite, where processes only share the file.
    const url = engine === 'sqlite' ? second.url : t.url;
    (await ask(url, 'POST', path, { token: a.token, body: { content: 'To the web', groups: ['web'] } })).expect(200);
    await expect.poll(() => rung.has('b')).toBe(true);
    expect(rung.has('c')).toBe(false);
    for (const ws of sockets) ws.terminate();
  });

  it('are limited to ten in ten minutes a sender, exactly, also when sent at once', async () => {
    const loud = await t.machine('loud');
    const answers = await Promise.all(Array.from({ length: 16 }, (_, i) => send(loud, { content: `noise ${i}` })));
    expect(answers.filter((r) => r.status === 200)).toHaveLength(10);
    const refused = answers.filter((r) => r.code === 'RATE_LIMITED');
    expect(refused).toHaveLength(6);
    expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await send(a, { content: 'others may still' })).status).toBe(200);
    now += 11 * 60_000;
    expect((await send(loud, { content: 'later again' })).status).toBe(200);
  });

  it.each([
    ['no text', { content: '  ' }],
    ['an unknown severity', { content: 'x', severity: 'fatal' }],
    ['a field that nobody knows', { content: 'x', shout: true }],
    ['too long a text', { content: 'x'.repeat(2001) }],
  ])('with %s are refused', async (_what, body) => {
    expect((await send(b, body)).code).toBe('BAD_REQUEST');
  });

  it('are acknowledged by machines alone', async () => {
    const operator = await t.token(['operator']);
    const body = { ids: ['msg_1'] };
    expect((await ask(t.url, 'POST', `${path}/acknowledge`, { token: operator, body })).code).toBe('FORBIDDEN');
    expect((await ask(t.url, 'GET', '/api/collective/inbox', { token: operator })).code).toBe('FORBIDDEN');
  });
});
