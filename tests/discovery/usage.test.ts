// Counts of use at the hub: taken once however often they come, summed by plugin, version, component, group and day, forgotten.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sweepUsage } from '../../server/src/hub/sweep.ts';
import { ask, ENGINES, publish, type TestHub, testHub } from '../hub/support.ts';

const DAY_MS = 24 * 3600_000;

describe.each(ENGINES)('usage at a hub on %s', (engine) => {
  let t: TestHub;
  let now = Date.parse('2026-03-10T12:00:00Z');
  const machines = new Map<string, string>();
  beforeAll(async () => {
    t = await testHub(engine, { deps: { clock: () => new Date(now) } });
    for (const name of ['tool', 'other']) await publish(t.url, t.admin, { name }, ['web']);
    for (const [name, groups] of [
      ['a', ['web', 'db']],
      ['b', ['web']],
      ['c', []],
    ] as const)
      machines.set(name, (await t.machine(name, { groups })).token);
  });
  afterAll(() => t?.close());

  const row = (more: object = {}) => ({
    session: 'session-1',
    plugin: 'tool',
    version: '1.0.0',
    kind: 'command',
    component: 'go',
    day: '2026-03-10',
    count: 1,
    ...more,
  });
  const report = async (machine: string, ...counts: object[]) =>
    (await ask(t.url, 'POST', '/api/machines/me/usage', { token: machines.get(machine), body: { counts } })).expect(
      200,
    );
  const sums = async (query: string) => {
    const { rows } = (await ask(t.url, 'GET', `/api/usage?${query}`, { token: t.admin })).expect(200);
    return rows as Record<string, unknown>[];
  };
  const uses = async (query: string, key: string) =>
    Object.fromEntries((await sums(query)).map((r) => [String(r[key]), r.uses]));

  it('counts the same report once, and of a later one only what is more', async () => {
    expect(await report('a', row({ count: 2 }))).toEqual({ added: 2, ignored: 0 });
    expect(await report('a', row({ count: 2 }))).toEqual({ added: 0, ignored: 0 });
    expect(await report('a', row({ count: 5 }), row({ count: 3 }))).toEqual({ added: 3, ignored: 0 });
    // What arrives late and says less takes nothing back.
    expect(await report('a', row({ count: 1 }))).toEqual({ added: 0, ignored: 0 });
    // Two reports of one machine at the same moment.
    const both = await Promise.all([report('a', row({ count: 6 })), report('a', row({ count: 6 }))]);
    expect(both.map((r) => r.added).sort()).toEqual([0, 1]);
    expect(await uses('by=plugin', 'plugin')).toEqual({ tool: 6 });
  });

  it('sums by plugin, version, component, group and day, and says how many machines', async () => {
    await report('b', row({ count: 1 }), row({ kind: 'agent', component: 'helper', version: '2.0.0', count: 4 }));
    await report('c', row({ plugin: 'other', session: 'session-9', day: '2026-03-09', count: 3 }));
    expect(await uses('by=plugin', 'plugin')).toEqual({ tool: 11, other: 3 });
    expect(await uses('by=version&plugin=tool', 'version')).toEqual({ '1.0.0': 7, '2.0.0': 4 });
    expect(await uses('by=component&plugin=tool', 'component')).toEqual({ go: 7, helper: 4 });
    // A machine of two groups counts in each; one without groups only in the whole.
    expect(await uses('by=group', 'group')).toEqual({ web: 11, db: 6 });
    expect(await uses('by=plugin&group=db', 'plugin')).toEqual({ tool: 6 });
    expect(await uses('by=day', 'day')).toEqual({ '2026-03-10': 11, '2026-03-09': 3 });
    expect(await uses('by=plugin&days=1', 'plugin')).toEqual({ tool: 11 });
    expect((await sums('by=plugin')).map((r) => r.machines)).toEqual([2, 1]);
  });

  it('takes nothing of plugins it does not know, of days it has forgotten or that are to come', async () => {
    const before = await sums('by=component');
    const rows = [row({ plugin: 'stranger' }), row({ day: '2026-01-01' }), row({ day: '2026-03-12' })];
    expect(await report('b', ...rows)).toEqual({ added: 0, ignored: 3 });
    expect(await sums('by=component')).toEqual(before);
    const wrong = await ask(t.url, 'POST', '/api/machines/me/usage', {
      token: machines.get('b'),
      body: { counts: [row({ count: -1 })] },
    });
    expect(wrong.code).toBe('BAD_REQUEST');
  });

  it('forgets who used what after a while, keeps the sums longer, and forgets a machine that is removed', async () => {
    (await ask(t.url, 'DELETE', '/api/machines/b', { token: t.admin })).expect(200);
    expect((await sums('by=plugin')).find((r) => r.plugin === 'tool')).toMatchObject({ uses: 11, machines: 1 });
    now += 40 * DAY_MS;
    await sweepUsage(t.hub.context);
    const rest = await t.hub.context.store.read.selectFrom('usage_counts').selectAll().execute();
    expect(rest).toEqual([]);
    expect(await uses('by=plugin&days=100', 'plugin')).toEqual({ tool: 11, other: 3 });
    // A report from back then would count twice now: it is not taken.
    expect(await report('a', row({ count: 9 }))).toEqual({ added: 0, ignored: 1 });
    now += 400 * DAY_MS;
    await sweepUsage(t.hub.context);
    expect(await sums('by=plugin&days=400')).toEqual([]);
  });
});
