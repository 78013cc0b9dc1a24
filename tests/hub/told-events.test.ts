// What happens at a hub is told to each caller no further than its lists show it.
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { asking } from './asking.ts';
import { ask, ENGINES, publish, register, type TestHub, testHub } from './support.ts';

type Machine = Awaited<ReturnType<TestHub['machine']>>;

describe.each(ENGINES)('what happens, on %s', (engine) => {
  let t: TestHub;
  type Event = { seq: number; type: string; data: Record<string, unknown> };
  let from: number;
  let one: Machine;
  let two: Machine;
  let owner: string;
  const tokens = { reader: '', publisher: '' };
  const { get, post, claim } = asking(() => t);
  beforeAll(async () => {
    t = await testHub(engine);
    for (const role of ['reader', 'publisher'] as const) tokens[role] = await t.token([role]);
    owner = await t.token(['publisher'], { name: 'owner' });
    from = await t.hub.context.store.currentSeq();
    [one, two] = [await t.machine('one', { groups: ['x'] }), await t.machine('two', { groups: ['y'] })];
    const digest = (await register(t.url, owner, { name: 'quiet' })).expect(200).digest;
    const body = { version: '1.0.0', target_machines: ['one'] };
    (await post('/api/plugins/quiet/install', t.admin, body)).expect(200);
    (await post('/api/plugins/quiet/approve', t.admin, { digest })).expect(200);
    (await register(t.url, owner, { name: 'sent-back' })).expect(200);
    (await post('/api/plugins/sent-back/reject', t.admin, { reason: 'no' })).expect(200);
    await publish(t.url, t.admin, { name: 'loud' }, ['x']);
    const both = { target_machines: ['one', 'two'] };
    (await post('/api/plugins/loud/install', t.admin, both)).expect(200);
  });
  afterAll(() => t?.close());

  const feed = async (token: string): Promise<Event[]> => {
    const answer = (await get(`/api/events?after=${from}&limit=1000`, token)).expect(200);
    expect(answer.seq).toBe(await t.hub.context.store.currentSeq());
    return answer.events as Event[];
  };
  const types = (events: Event[], name: string) =>
    events.filter((e) => e.data.name === name || e.data.plugin === name).map((e) => e.type);
  const QUIET = ['plugin.registered', 'install.requested', 'plugin.approved'];
  const LOUD = ['plugin.published', 'install.requested'];

  it('is all told to operators, and to others no more than lists show them', async () => {
    const told = await feed(t.admin);
    expect(types(told, 'quiet')).toEqual(QUIET);
    expect(told.map((e) => e.seq)).toEqual(Array.from({ length: told.length }, (_, i) => from + 1 + i));
    for (const token of [tokens.reader, tokens.publisher]) {
      const events = await feed(token);
      expect(JSON.stringify(events)).not.toMatch(/quiet|sent-back|token\./);
      expect(events.map((e) => e.type)).toEqual(['machine.joined', 'machine.joined', ...LOUD]);
    }
    expect(types(await feed(owner), 'quiet')).toEqual(QUIET);
    expect(types(await feed(owner), 'sent-back')).toEqual(['plugin.registered', 'plugin.rejected']);
  });

  it('is told to a machine where it is about itself or what it may see, and of no other machine', async () => {
    const events = await feed(two.token);
    expect(JSON.stringify(events)).not.toMatch(/quiet|sent-back|token\./);
    expect(JSON.stringify(events)).not.toContain(one.id);
    expect(events.filter((e) => e.type === 'machine.joined').map((e) => e.data.machine_id)).toEqual([two.id]);
    expect(types(events, 'loud')).toEqual(LOUD);
    expect(events.find((e) => e.type === 'install.requested')?.data.machine_ids).toEqual([two.id]);
  });

  it('tells the order of a set to its machine and to operators alone, and the machine nothing of what stood before', async () => {
    const since = await t.hub.context.store.currentSeq();
    const put = { token: one.token, body: { plugins: [] } };
    const { seq } = (await ask(t.url, 'PUT', '/api/machines/me/set', put)).expect(200);
    (await ask(t.url, 'DELETE', `/api/machines/me/set?seq=${seq}`, { token: one.token })).expect(200);
    const sets = async (token: string) =>
      ((await get(`/api/events?after=${since}`, token)).expect(200).events as Event[]).map((e) => [
        e.type,
        Object.keys(e.data).sort(),
      ]);
    const ordered = ['by_operator', 'exclude', 'install', 'machine_id', 'machine_ids', 'target'];
    const takenBack = ['set.taken-back', ['machine_id', 'machine_ids', 'order', 'plugins', 'target']];
    expect(await sets(one.token)).toEqual([['set.ordered', ordered], takenBack]);
    expect(await sets(t.admin)).toEqual([['set.ordered', ['before', ...ordered].sort()], takenBack]);
    for (const token of [two.token, tokens.reader, tokens.publisher, owner]) expect(await sets(token)).toEqual([]);
  });

  it('moves the cursor past what is not told', async () => {
    const answer = (await get(`/api/events?after=${from}&limit=1`, one.token)).expect(200);
    const next = (await get(`/api/events?after=${from + 1}&limit=1`, one.token)).expect(200);
    expect([answer.seq, next.seq, next.events]).toEqual([from + 1, from + 2, []]);
  });

  it('names no version that was never offered, also not when it is taken back or deleted', async () => {
    const since = await t.hub.context.store.currentSeq();
    for (const version of ['1.0.0', '2.0.0']) (await register(t.url, owner, { name: 'part', version })).expect(200);
    const body = { plugin_id: 'plugin_part_1.0.0', all: true, accept_surface: true };
    (await post('/api/plugins/publish', owner, body)).expect(200);
    (await register(t.url, owner, { name: 'dropped' })).expect(200);
    (await post('/api/plugins/dropped@1.0.0/revoke', t.admin, { reason: 'bad' })).expect(200);
    (await ask(t.url, 'DELETE', '/api/plugins/part', { token: t.admin })).expect(200);
    const told = async (token: string) =>
      ((await get(`/api/events?after=${since}&limit=1000`, token)).expect(200).events as Event[]).map((e) => [
        e.type,
        e.data.versions ?? e.data.version,
      ]);
    const public_ = [
      ['plugin.published', '1.0.0'],
      ['plugin.deleted', ['1.0.0']],
    ];
    for (const token of [tokens.reader, tokens.publisher, one.token]) expect(await told(token)).toEqual(public_);
    for (const token of [owner, t.admin]) {
      expect(await told(token)).toContainEqual(['plugin.revoked', '1.0.0']);
      expect(await told(token)).toContainEqual(['plugin.deleted', expect.arrayContaining(['1.0.0', '2.0.0'])]);
    }
  });

  const watch = async (token: string): Promise<{ heard: string[]; close: () => void }> => {
    const ws = new WebSocket(`${t.url.replace('http', 'ws')}/ws/plugins`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const heard: string[] = [];
    ws.on('message', (data) => heard.push(String(data)));
    await once(ws, 'open');
    ws.send(JSON.stringify({ type: 'resume', seq: from, watch: true }));
    return { heard, close: () => ws.terminate() };
  };
  const has = (heard: string[], ...parts: string[]) =>
    expect.poll(() => heard.some((m) => parts.every((part) => m.includes(part)))).toBe(true);

  it('comes to watchers alike, missed or new, with the progress of what they may see', async () => {
    const [reader, mine, all] = [await watch(tokens.reader), await watch(owner), await watch(t.admin)];
    for (const { heard } of [reader, mine, all]) await has(heard, '"plugin.published"', '"loud"');
    (await register(t.url, owner, { name: 'quieter' })).expect(200);
    await t.token(['reader'], { name: 'quieter-token' });
    await claim(one.token, 'quieter', 'd');
    await claim(one.token, 'loud', 'd');
    await publish(t.url, t.admin, { name: 'louder' }, ['nowhere']);
    await claim(two.token, 'louder', 'd');
    for (const { heard } of [reader, mine, all]) {
      await has(heard, '"plugin.published"', '"louder"');
      await has(heard, '"progress"', '"loud"', '"one"');
      await has(heard, '"progress"', '"louder"', '"two"');
    }
    for (const { heard } of [mine, all]) {
      await has(heard, '"plugin.registered"', '"quieter"');
      await has(heard, '"progress"', '"quieter"');
    }
    await has(all.heard, '"quieter-token"');
    expect(reader.heard.filter((m) => /quiet|sent-back|token\./.test(m))).toEqual([]);
    expect(mine.heard.filter((m) => m.includes('quieter-token'))).toEqual([]);
    const seqs = all.heard.flatMap((m) => (JSON.parse(m) as { event?: Event }).event?.seq ?? []);
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
    for (const { close } of [reader, mine, all]) close();
  });

  it('comes to watchers without a gap however fast it happens', async () => {
    const [part, all] = [await watch(tokens.reader), await watch(t.admin)];
    for (const { heard } of [part, all]) await has(heard, '"plugin.published"', '"louder"');
    const names = Array.from({ length: 60 }, (_, i) => `fast-${i}`);
    await Promise.all(names.map((name) => t.token(['reader'], { name })));
    await publish(t.url, t.admin, { name: 'last' }, ['nowhere']);
    for (const { heard } of [part, all]) await has(heard, '"plugin.published"', '"last"');
    expect(names.filter((name) => !all.heard.some((m) => m.includes(`"${name}"`)))).toEqual([]);
    for (const { close } of [part, all]) close();
  });

  it('does not tell a machine, or who may list none, where else a plugin is', async () => {
    const on = async (token: string) =>
      ((await get('/api/plugins/loud', token)).expect(200).installed_on as { machine: string }[]).map((m) => m.machine);
    await claim(two.token, 'loud', 'd');
    await claim(one.token, 'loud', 'd');
    for (const token of [t.admin, tokens.reader, tokens.publisher]) expect(await on(token)).toEqual(['one', 'two']);
    expect([await on(one.token), await on(two.token)]).toEqual([['one'], ['two']]);
    const web = await t.machine('web1', { groups: ['web'] });
    expect([await on(web.token), await on(await t.token(['contributor']))]).toEqual([[], []]);
  });
});
