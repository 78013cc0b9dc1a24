import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ask, ENGINES, type TestHub, testHub } from '../hub/support.ts';

type Joined = Awaited<ReturnType<TestHub['machine']>>;
const path = '/api/collective/memories';

describe.each(ENGINES)('memories of the collective on %s', (engine) => {
  let now = Date.parse('2026-03-01T10:00:00Z');
  let t: TestHub;
  let es: Joined;
  let web: Joined;
  let operator: string;
  beforeAll(async () => {
    t = await testHub(engine, { deps: { clock: () => new Date(now++) } });
    es = await t.machine('es-1', { groups: ['elasticsearch'] });
    web = await t.machine('web-1', { groups: ['web'] });
    operator = await t.token(['operator']);
  });
  afterAll(() => t?.close());

  const store = (who: Joined, body: Record<string, unknown>) => ask(t.url, 'POST', path, { token: who.token, body });
  const search = async (who: { token: string }, query: string, more: Record<string, unknown> = {}) => {
    const answer = await ask(t.url, 'POST', `${path}/search`, { token: who.token, body: { query, ...more } });
    return answer.expect(200).results as { id: string; content: string; machine: string; reason: string }[];
  };

  it('is found on another machine in other words, among others', async () => {
    const noise = [
      'The coffee machine is on floor 3',
      'Deploys of the shop happen on Tuesdays',
      'Nginx logs rotate daily',
    ];
    for (const content of noise) (await store(web, { content })).expect(200);
    const kept = (
      await store(es, {
        content: 'Reindexing stalls when refresh_interval stays at 1s; set it to -1 before a bulk load',
        category: 'runbook',
        tags: ['elasticsearch', 'performance'],
        importance: 4,
      })
    ).expect(200);
    expect(kept).toMatchObject({ machine: 'es-1', visibility: 'collective', confidentiality: 'normal' });
    const hits = await search(web, 'my reindex is slow', { keywords: ['elasticsearch', 'bulk', 'refresh interval'] });
    expect(hits.slice(0, 3).map((h) => h.id)).toContain(kept.id);
    expect(await search(web, 'reindex', { category: 'nothing-has-this' })).toEqual([]);
    expect((await search(web, 'reindex', { tags: ['performance'], machine: 'es-1' })).map((h) => h.id)).toEqual([
      kept.id,
    ]);
  });

  it('for groups is read by those groups, its author and operators alone', async () => {
    const { id } = (await store(es, { content: 'The quorum password hint is zebra', visibility: 'groups' })).expect(
      200,
    );
    const other = await t.machine('es-2', { groups: ['elasticsearch'] });
    expect((await search(other, 'quorum zebra')).map((h) => h.id)).toContain(id);
    expect((await search(web, 'quorum zebra')).map((h) => h.id)).not.toContain(id);
    expect((await search({ token: operator }, 'quorum zebra')).map((h) => h.id)).toContain(id);
    const listed = await ask(t.url, 'GET', `${path}?limit=500`, { token: web.token });
    expect((listed.expect(200).memories as { id: string }[]).map((m) => m.id)).not.toContain(id);
    // Whoever may not read it is not told that it exists.
    const edit = await ask(t.url, 'PATCH', `${path}/${id}`, { token: web.token, body: { content: 'mine' } });
    expect(edit.code).toBe('MEMORY_NOT_FOUND');
  });

  it('that names groups is for those alone, also without a visibility; one that contradicts it is refused', async () => {
    const { id, visibility } = (await store(es, { content: 'The okapi quota is nine', groups: ['db'] })).expect(200);
    expect(visibility).toBe('groups');
    const open = (await store(es, { content: 'The okapi quota was eight' })).expect(200);
    const edit = await ask(t.url, 'PATCH', `${path}/${open.id}`, { token: es.token, body: { groups: ['db'] } });
    expect(edit.expect(200)).toMatchObject({ visibility: 'groups', groups: ['db'] });
    const imported = { memories: [{ content: 'The okapi quota will be ten', groups: ['db'] }] };
    (await ask(t.url, 'POST', `${path}/import`, { token: operator, body: imported })).expect(200);
    expect(await search(web, 'okapi quota')).toEqual([]);
    const db = await t.machine('db-1', { groups: ['db'] });
    expect((await search(db, 'okapi quota')).map((h) => h.id)).toEqual(expect.arrayContaining([id, open.id]));
    expect(await search(db, 'okapi quota')).toHaveLength(3);
    const both = { content: 'x', visibility: 'collective', groups: ['db'] };
    expect((await store(es, both)).code).toBe('BAD_REQUEST');
    expect((await ask(t.url, 'PATCH', `${path}/${id}`, { token: es.token, body: both })).code).toBe('BAD_REQUEST');
    const back = await ask(t.url, 'PATCH', `${path}/${id}`, { token: es.token, body: { visibility: 'collective' } });
    expect(back.expect(200)).toMatchObject({ visibility: 'collective', groups: [] });
  });

  it.each(['internal', 'confidential', 'pii'])(
    'marked %s is refused by the hub whole, and so is a private one',
    async (mark) => {
      const marked = await store(es, { content: `a ${mark} xylophone fact`, confidentiality: mark });
      expect(marked.code).toBe('BAD_REQUEST');
      expect((await store(es, { content: 'a private xylophone fact', visibility: 'private' })).code).toBe(
        'BAD_REQUEST',
      );
      const body = { memories: [{ content: `an imported xylophone`, confidentiality: mark }] };
      expect((await ask(t.url, 'POST', `${path}/import`, { token: es.token, body })).code).toBe('BAD_REQUEST');
      expect(await search({ token: operator }, 'xylophone')).toEqual([]);
    },
  );

  it('is changed and forgotten by its machine or an operator, by nobody else', async () => {
    const { id } = (await store(es, { content: 'The blue gateway answers on port 9000' })).expect(200);
    const one = `${path}/${id}`;
    expect((await ask(t.url, 'PATCH', one, { token: web.token, body: { content: 'x' } })).code).toBe('FORBIDDEN');
    expect((await ask(t.url, 'DELETE', one, { token: web.token })).code).toBe('FORBIDDEN');
    const body = { content: 'The blue gateway answers on port 9443', tags: ['gateway'] };
    expect((await ask(t.url, 'PATCH', one, { token: es.token, body })).expect(200)).toMatchObject(body);
    expect((await search(web, 'blue gateway'))[0]?.content).toContain('9443');
    (await ask(t.url, 'DELETE', one, { token: operator })).expect(200);
    expect((await search(web, 'blue gateway')).map((h) => h.id)).not.toContain(id);
    expect((await ask(t.url, 'DELETE', one, { token: es.token })).code).toBe('MEMORY_NOT_FOUND');
    const left = await t.hub.context.store.read
      .selectFrom('memories')
      .selectAll()
      .where('id', '=', id as string)
      .execute();
    expect(left.map((r) => r.content)).toEqual(['']);
  });

  it('expires', async () => {
    const expires_at = new Date(now + 60_000).toISOString();
    const { id } = (await store(es, { content: 'The walrus freeze lasts until noon', expires_at })).expect(200);
    expect((await search(web, 'walrus freeze')).map((h) => h.id)).toContain(id);
    now += 120_000;
    expect((await search(web, 'walrus freeze')).map((h) => h.id)).not.toContain(id);
  });

  it('travels by export and import, twice without doubles', async () => {
    const all: Record<string, unknown>[] = [];
    let after: string | null = null;
    do {
      const more: string = after === null ? '' : `&after=${encodeURIComponent(after)}`;
      const page = (await ask(t.url, 'GET', `${path}?limit=2${more}`, { token: operator })).expect(200);
      all.push(...(page.memories as Record<string, unknown>[]));
      after = page.next as string | null;
    } while (after !== null);
    expect(new Set(all.map((m) => m.id)).size).toBe(all.length);
    expect(all.length).toBeGreaterThan(4);
    const other = await testHub(engine);
    try {
      const token = await other.token(['operator']);
      const memories = all.map(({ machine: _m, updated_at: _u, ...rest }) => rest);
      const send = () => ask(other.url, 'POST', `${path}/import`, { token, body: { memories } });
      expect((await send()).expect(200)).toEqual({ added: all.length, known: 0 });
      expect((await send()).expect(200)).toEqual({ added: 0, known: all.length });
      const body = { query: 'refresh_interval bulk load' };
      const hit = (await ask(other.url, 'POST', `${path}/search`, { token, body })).expect(200).results as {
        id: string;
      }[];
      expect(all.map((m) => m.id)).toContain(hit[0]?.id);
    } finally {
      await other.close();
    }
  });

  it('that was forgotten by mistake comes back by import, for its machine and operators alone', async () => {
    const {
      updated_at: _,
      machine: source,
      ...memory
    } = (await store(es, { content: 'The narwhal tank holds 40 litres' })).expect(200);
    const forget = async () => (await ask(t.url, 'DELETE', `${path}/${memory.id}`, { token: es.token })).expect(200);
    const take = async (token: string) => {
      const body = { memories: [{ ...memory, source }] };
      return (await ask(t.url, 'POST', `${path}/import`, { token, body })).expect(200);
    };
    await forget();
    expect(await take(web.token)).toEqual({ added: 0, known: 1 });
    expect((await search(web, 'narwhal tank')).map((h) => h.id)).not.toContain(memory.id);
    for (const token of [es.token, operator]) {
      expect(await take(token)).toEqual({ added: 1, known: 0 });
      expect(await take(token)).toEqual({ added: 0, known: 1 });
      const found = { id: memory.id, content: memory.content, machine: 'es-1', created_at: memory.created_at };
      expect((await search(web, 'narwhal tank'))[0]).toMatchObject(found);
      // It is its machine's as before.
      await forget();
    }
  });

  it('stored through one hub process is found through another', async () => {
    const second = await t.another();
    const { id } = (await store(es, { content: 'The heliotrope mirror lives in rack 12' })).expect(200);
    const body = { query: 'heliotrope mirror' };
    const found = await ask(second.url, 'POST', `${path}/search`, { token: web.token, body });
    expect((found.expect(200).results as { id: string }[]).map((h) => h.id)).toEqual([id]);
  });

  it('is not for readers, publishers or strangers', async () => {
    for (const role of ['reader', 'publisher', 'contributor', 'join'] as const) {
      const token = await t.token([role]);
      expect((await ask(t.url, 'GET', path, { token })).code).toBe('FORBIDDEN');
    }
    expect((await ask(t.url, 'GET', path)).code).toBe('UNAUTHENTICATED');
  });
});
