// Memories that move between this machine and the hub: what the hub hears, and what is left where one step fails.
import { beforeEach, expect, it } from 'vitest';
import { updateMemory } from '../../server/src/client/collective/change-memory.ts';
import { storeMemory } from '../../server/src/client/collective/memory.ts';
import { ownMemories, storePrivate } from '../../server/src/client/collective/own-memories.ts';
import { type Answer, json, problem } from '../cli/scripted-hub.ts';
import { hub, m, scriptedPair } from '../cli/scripted-pair.ts';

const PATH = '/api/collective/memories';
const ONE = `${PATH}/mem_12345678`;
const SHARED = {
  ...{ id: 'mem_12345678', content: 'customer note', category: 'runbook', tags: ['a'], project: null, importance: 4 },
  ...{ visibility: 'collective', groups: [], confidentiality: 'normal', machine: 'test' },
  ...{ created_at: '2026-01-01T00:00:00.000Z', updated_at: '2026-01-01T00:00:00.000Z', expires_at: null },
};
const SECRET = 'Jane Roe, 078-05-1120';

let forget: Answer;
scriptedPair();
beforeEach(() => {
  forget = (_, response) => json(response, { ok: true });
  hub.answers = {
    [`PATCH ${ONE}`]: (_, response) => json(response, SHARED),
    [`DELETE ${ONE}`]: (...args) => forget(...args),
    [`POST ${PATH}`]: (_, response, body) =>
      json(response, { ...SHARED, ...JSON.parse(body.toString()), id: 'mem_new' }),
  };
});

const heard = (): string => hub.bodies.map(({ path, body }) => `${path} ${body}`).join('\n');
const failed = (work: Promise<unknown>) =>
  work.then(
    () => expect.fail('it did not fail'),
    (thrown) => thrown,
  );

const HIDING = [{ confidentiality: 'pii' }, { confidentiality: 'internal' }, { visibility: 'private' }] as const;
it.each(HIDING)('a memory that becomes %o is changed here alone, and the hub forgets what it had', async (mark) => {
  const edit = { content: SECRET, tags: ['roe'], category: 'roe-case', project: 'roe', importance: 5, ...mark };
  const kept = await updateMemory(m.ctx, SHARED.id, edit);
  expect(kept).toMatchObject({ ...edit, visibility: 'private', id: expect.stringMatching(/^own_/) });
  expect(await ownMemories(m.ctx)).toEqual([kept]);
  expect(hub.seen.slice(-2)).toEqual([`PATCH ${ONE}`, `DELETE ${ONE}`]);
  expect(heard()).not.toMatch(/Roe|078|roe/);
});

it('what the hub could not forget is named, kept here, and not kept twice when it is tried again', async () => {
  forget = (_, response) => problem(response, 503, 'SHUTTING_DOWN', 'going down');
  const edit = { content: SECRET, confidentiality: 'pii' } as const;
  const error = await failed(updateMemory(m.ctx, SHARED.id, edit));
  const [own] = await ownMemories(m.ctx);
  expect(own).toMatchObject(edit);
  expect(error).toMatchObject({ code: 'SHUTTING_DOWN', details: { kept: own?.id } });
  expect(error.message).toContain(`Kept as ${own?.id}, but mem_12345678 is still there`);
  expect(error.hint).toContain('mem_12345678');
  forget = (_, response) => json(response, { ok: true });
  // What the first try had changed is not lost where the second says less.
  const again = await updateMemory(m.ctx, SHARED.id, { confidentiality: 'pii' });
  expect(again).toMatchObject({ id: own?.id, content: SECRET });
  expect(await ownMemories(m.ctx)).toEqual([again]);
  expect(heard()).not.toContain('Roe');
});

it('one that somebody else had the hub forget meanwhile is taken back all the same', async () => {
  forget = (_, response) => problem(response, 404, 'MEMORY_NOT_FOUND', 'gone');
  expect(await updateMemory(m.ctx, SHARED.id, { visibility: 'private' })).toMatchObject({ content: 'customer note' });
});

it('one that this machine may not change stays where it is', async () => {
  hub.answers[`PATCH ${ONE}`] = (_, response) => problem(response, 403, 'FORBIDDEN', 'not yours');
  const error = await failed(updateMemory(m.ctx, SHARED.id, { content: SECRET, confidentiality: 'pii' }));
  expect(error.code).toBe('FORBIDDEN');
  expect([await ownMemories(m.ctx), hub.seen.at(-1)]).toEqual([[], `PATCH ${ONE}`]);
});

it('a private memory is shared with what was changed, and is here no longer', async () => {
  const own = await storePrivate(m.ctx, { content: 'draft', tags: ['t'], importance: 5, confidentiality: 'internal' });
  const refused = await failed(updateMemory(m.ctx, own.id, { visibility: 'collective' }));
  expect([refused.code, hub.seen]).toEqual(['MEMORY_STAYS_HERE', []]);
  const edit = { visibility: 'collective', confidentiality: 'normal', content: 'final', project: 'p' } as const;
  const shared = await updateMemory(m.ctx, own.id, edit);
  expect(shared).toMatchObject({ ...edit, id: 'mem_new', tags: ['t'], importance: 5 });
  expect(await ownMemories(m.ctx)).toEqual([]);
});

it('a private memory stays as it was where the hub does not take it', async () => {
  const own = await storePrivate(m.ctx, { content: 'draft', confidentiality: 'internal' });
  hub.answers[`POST ${PATH}`] = (_, response) => problem(response, 503, 'SHUTTING_DOWN', 'going down');
  const edit = { visibility: 'collective', confidentiality: 'normal', content: 'final' } as const;
  expect((await failed(updateMemory(m.ctx, own.id, edit))).code).toBe('SHUTTING_DOWN');
  expect(await ownMemories(m.ctx)).toEqual([own]);
});

it('naming groups is for those groups alone, and nothing is sent where something else contradicts it', async () => {
  expect(await storeMemory(m.ctx, { content: 'x', groups: ['db'] })).toMatchObject({ visibility: 'groups' });
  const own = await storePrivate(m.ctx, { content: 'y' });
  expect(await updateMemory(m.ctx, own.id, { groups: ['db'] })).toMatchObject({ visibility: 'groups', groups: ['db'] });
  await updateMemory(m.ctx, SHARED.id, { groups: ['db'] });
  expect(JSON.parse(String(hub.bodies.at(-1)?.body))).toEqual({ visibility: 'groups', groups: ['db'] });
  await updateMemory(m.ctx, SHARED.id, { content: 'z', groups: [] });
  expect(JSON.parse(String(hub.bodies.at(-1)?.body))).toEqual({ content: 'z' });
  const sent = hub.seen.length;
  for (const visibility of ['private', 'collective'] as const) {
    const wish = { content: 'x', visibility, groups: ['db'] };
    expect((await failed(storeMemory(m.ctx, wish))).code).toBe('BAD_REQUEST');
    expect((await failed(updateMemory(m.ctx, SHARED.id, wish))).code).toBe('BAD_REQUEST');
  }
  const marked = { content: 'x', confidentiality: 'pii' as const, groups: ['db'] };
  expect((await failed(storeMemory(m.ctx, marked))).code).toBe('MEMORY_STAYS_HERE');
  expect((await failed(updateMemory(m.ctx, SHARED.id, marked))).code).toBe('MEMORY_STAYS_HERE');
  expect((await failed(updateMemory(m.ctx, SHARED.id, { ...marked, groups: [], visibility: 'collective' }))).code).toBe(
    'MEMORY_STAYS_HERE',
  );
  expect([hub.seen.length, await ownMemories(m.ctx)]).toEqual([sent, []]);
});

it('a memory that the hub forgot without its answer arriving may be made private again, also with another text', async () => {
  forget = (_, response) => response.destroy();
  const first = await failed(updateMemory(m.ctx, SHARED.id, { visibility: 'private', content: 'one' }));
  const [own] = await ownMemories(m.ctx);
  expect(first).toMatchObject({ code: 'HUB_UNREACHABLE', details: { kept: own?.id } });
  expect(first.message).toContain('mem_12345678 may still be there');
  expect(first.hint).toMatch(/^Make the same edit again/);
  hub.answers[`PATCH ${ONE}`] = (_, response) => problem(response, 404, 'MEMORY_NOT_FOUND', 'gone');
  expect(await updateMemory(m.ctx, SHARED.id, { visibility: 'private' })).toMatchObject({
    id: own?.id,
    content: 'one',
  });
  const two = await updateMemory(m.ctx, SHARED.id, { confidentiality: 'pii', content: 'two' });
  expect(two).toMatchObject({ id: own?.id, content: 'two', confidentiality: 'pii' });
  // What the edit does not say stays as it is.
  const three = await updateMemory(m.ctx, SHARED.id, { visibility: 'private', importance: 1 });
  expect(three).toEqual({ ...two, importance: 1, updated_at: three.updated_at });
  expect(await ownMemories(m.ctx)).toEqual([three]);
  hub.answers[`PATCH ${PATH}/mem_other678`] = (_, response) => problem(response, 404, 'MEMORY_NOT_FOUND', 'gone');
  expect((await failed(updateMemory(m.ctx, 'mem_other678', { visibility: 'private' }))).code).toBe('MEMORY_NOT_FOUND');
});

it('a private memory whose sharing was not answered is shared once, and may be read meanwhile', async () => {
  const own = await storePrivate(m.ctx, { content: 'draft' });
  const other = await storePrivate(m.ctx, { content: 'draft' });
  const taken = hub.answers[`POST ${PATH}`] as Answer;
  hub.answers[`POST ${PATH}`] = (_, response) => response.destroy();
  const error = await failed(updateMemory(m.ctx, own.id, { visibility: 'collective' }));
  expect(error).toMatchObject({ code: 'HUB_UNREACHABLE', hint: expect.stringMatching(/Others may read it.*once/) });
  expect(error.message).toContain(`${own.id} is here as it was, and may be shared already`);
  expect(await ownMemories(m.ctx)).toEqual([own, other]);
  hub.answers[`POST ${PATH}`] = taken;
  // As another process would, much later.
  m.ctx.clock = () => new Date(Date.now() + 3_600_000);
  await updateMemory(m.ctx, own.id, { visibility: 'collective' });
  await updateMemory(m.ctx, other.id, { visibility: 'collective' });
  const keys = hub.bodies.map(({ headers }) => headers['idempotency-key']);
  expect([keys[0] === keys[1], keys[1] === keys[2], await ownMemories(m.ctx)]).toEqual([true, false, []]);
});

it('one that was shared unheard and forgotten at the hub is shared anew, not lost', async () => {
  const own = await storePrivate(m.ctx, { content: 'draft' });
  const taken = hub.answers[`POST ${PATH}`] as Answer;
  hub.answers[`POST ${PATH}`] = (request, response, body) => {
    if (hub.seen.length === 1) json(response, { ...SHARED, content: '', tags: [] });
    else taken(request, response, body);
  };
  expect(await updateMemory(m.ctx, own.id, { visibility: 'collective' })).toMatchObject({ content: 'draft' });
  expect(await ownMemories(m.ctx)).toEqual([]);
  expect(new Set(hub.bodies.map(({ headers }) => headers['idempotency-key'])).size).toBe(2);
});

it("an operator does not take another machine's memory home, but what its own token stored", async () => {
  const whoami = (role: string) => ({
    ...{ token: { id: 'tok_1', name: 'ops', roles: [role] }, machine: null },
    hub: { id: 'hub_test', public_key: 'k', epoch: 1, version: '1.0.0' },
  });
  let role = 'operator';
  let machine = 'web1';
  hub.answers['GET /api/whoami'] = (_, response) => json(response, whoami(role));
  hub.answers[`PATCH ${ONE}`] = (_, response) => json(response, { ...SHARED, machine });
  const hide = () => updateMemory(m.ctx, SHARED.id, { visibility: 'private' });
  for (role of ['operator', 'admin']) {
    const error = await failed(hide());
    expect(error).toMatchObject({
      code: 'FORBIDDEN',
      hint: expect.stringMatching(/web1.*hv memories forget mem_12345678/),
    });
  }
  expect([await ownMemories(m.ctx), hub.seen.includes(`DELETE ${ONE}`)]).toEqual([[], false]);
  for (machine of ['ops', 'old server (by ops)']) expect(await hide()).toMatchObject({ visibility: 'private' });
  [role, machine] = ['machine', 'named otherwise before'];
  expect(await hide()).toMatchObject({ visibility: 'private' });
});
