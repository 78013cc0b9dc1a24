// What waits for an operator's approval: where it goes once it has it, and what becomes of it meanwhile.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { PLAN_PAYLOAD_TYPE, type Plan } from '../../server/src/domain/plan/index.ts';
import { openJson } from '../../server/src/domain/signing/dsse.ts';
import { ask, ENGINES, hooks, publish, register, type TestHub, testHub } from '../hub/support.ts';

describe.each(ENGINES)('a held version, on %s', (engine) => {
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

  const publishTo = (id: unknown, group: string, notify_agents = true) => {
    const body = { plugin_id: id, target_groups: [group], accept_surface: true, notify_agents };
    return ask(t.url, 'POST', '/api/plugins/publish', { token: publisher, body });
  };

  it('goes to all groups that it was meant for, one publication after another', async () => {
    await publish(t.url, publisher, { name: 'meant' }, ['web', 'db']);
    const { id } = (await register(t.url, publisher, { name: 'meant', version: '1.1.0', files: hooks('more') })).json;
    const to = async (group: string) => (await publishTo(id, group, group === 'web')).expect(200);
    expect(await to('web')).toMatchObject({ held: {}, groups: ['web'] });
    expect(await to('db')).toMatchObject({ held: {}, groups: ['db', 'web'] });
    const approved = (await ask(t.url, 'POST', `/api/plugins/${id}/approve`, { token: operator, body: {} })).expect(
      200,
    );
    expect(approved).toMatchObject({ published: true, groups: ['db', 'web'] });
    for (const group of ['web', 'db']) {
      const m = await t.machine(`meant-${group}`, { groups: [group] });
      expect((await planOf(m.token)).plugins.find((p) => p.name === 'meant')).toMatchObject({
        version: '1.1.0',
        notify: true,
      });
    }
  });

  describe('is measured by what is offered where it goes', () => {
    const wide = (name: string, version: string) => ({ name, version, files: hooks('more') });
    /** Text for the group prod, and beside it what does more, which an operator gave to canaries. */
    const canary = async (name: string) => {
      await publish(t.url, publisher, { name }, ['prod']);
      await publish(t.url, operator, wide(name, '2.0.0-beta.1'), ['canary']);
    };
    const send = async (name: string, version: string, group: string) => {
      const { id } = (await register(t.url, publisher, wide(name, version))).expect(200);
      return (await publishTo(id, group)).expect(200);
    };
    const status = (ref: string, body: object) =>
      ask(t.url, 'POST', `/api/plugins/${ref}/status`, { token: publisher, body });

    it('not by what an operator approved for others', async () => {
      await canary('apart');
      const held = { reason: 'it does more than 1.0.0', added: { commands: ['more'] } };
      expect(await send('apart', '1.1.0', 'prod')).toMatchObject({ held });
      expect(await send('apart', '1.2.0', 'p*')).toMatchObject({ held });
      const review = await ask(t.url, 'GET', '/api/reviews?plugin=apart@1.1.0', { token: operator });
      expect(review.expect(200).reviews).toMatchObject([{ against: '1.0.0', added: { commands: ['more'] } }]);
      const surface = await ask(t.url, 'GET', '/api/plugins/apart@1.1.0/surface', { token: operator });
      expect(surface.expect(200)).toMatchObject({ against: '1.0.0', added: { commands: ['more'] } });
      expect(await send('apart', '2.0.0-beta.2', 'canary')).not.toHaveProperty('held');
    });

    it('also when it was first sent where nobody need be asked', async () => {
      await canary('detour');
      const { id } = (await register(t.url, publisher, wide('detour', '1.1.0'))).expect(200);
      expect((await publishTo(id, 'canary')).expect(200)).not.toHaveProperty('held');
      const held = { reason: 'it does more than 1.0.0', added: { commands: ['more'] } };
      expect((await publishTo(id, 'prod')).expect(200)).toMatchObject({ held, groups: ['prod'], status: 'published' });
      expect((await publishTo(id, 'canary')).expect(200)).not.toHaveProperty('held');
      const review = await ask(t.url, 'GET', '/api/reviews?plugin=detour@1.1.0', { token: operator });
      expect(review.expect(200).reviews).toMatchObject([{ against: '1.0.0', held: { groups: ['prod'] } }]);
      (await ask(t.url, 'POST', `/api/plugins/${id}/approve`, { token: operator, body: {} })).expect(200);
      expect((await publishTo(id, 'prod')).expect(200)).not.toHaveProperty('held');
      const none = await ask(t.url, 'GET', '/api/reviews?plugin=detour@1.1.0', { token: operator });
      expect(none.expect(200).reviews).toEqual([]);
    });

    it('unless an operator published that very version', async () => {
      await canary('looked');
      const { id } = (await ask(t.url, 'GET', '/api/plugins/looked@2.0.0-beta.1', { token: publisher })).expect(200);
      expect((await publishTo(id, 'prod')).expect(200)).not.toHaveProperty('held');
    });

    it('also once that was deprecated, yanked or revoked', async () => {
      for (const [name, take] of [
        ['older', () => status('older@1.0.0', { status: 'deprecated', reason: 'r' })],
        ['pulled', () => status('pulled@1.0.0', { status: 'yanked', reason: 'r' })],
        ['bad', () => ask(t.url, 'POST', '/api/plugins/bad@1.0.0/revoke', { token: publisher, body: { reason: 'r' } })],
      ] as const) {
        await canary(name);
        (await take()).expect(200);
        expect(await send(name, '1.1.0', 'prod')).toMatchObject({ held: { added: { commands: ['more'] } } });
      }
    });
  });

  it('lifts no deprecation that was made after it was sent, only one that it was sent to lift', async () => {
    const status = (ref: string, body: object) =>
      ask(t.url, 'POST', `/api/plugins/${ref}/status`, { token: publisher, body });
    const approve = async (ref: string) =>
      (await ask(t.url, 'POST', `/api/plugins/${ref}/approve`, { token: operator, body: {} })).expect(200);
    const state = async (ref: string) =>
      (await ask(t.url, 'GET', `/api/plugins/${ref}`, { token: operator })).expect(200).status;
    for (const name of ['word-after', 'word-before']) {
      await publish(t.url, publisher, { name }, ['web']);
      await publish(t.url, operator, { name, version: '2.0.0-beta.1', files: hooks('more') }, ['canary']);
      const { id } = (await register(t.url, publisher, { name, version: '1.1.0', files: hooks('more') })).expect(200);
      expect((await publishTo(id, 'canary')).expect(200)).not.toHaveProperty('held');
      const deprecate = async () =>
        (await status(`${name}@1.1.0`, { status: 'deprecated', reason: 'slow' })).expect(200);
      if (name === 'word-before') await deprecate();
      expect((await publishTo(id, 'web')).expect(200)).toHaveProperty('held');
      if (name === 'word-after') await deprecate();
    }
    expect(await approve('word-after@1.1.0')).toMatchObject({ published: false, deprecated: 'slow', groups: ['web'] });
    expect(await state('word-after@1.1.0')).toBe('deprecated');
    (await status('word-after@1.1.0', { status: 'published', reason: '', lifts: 'deprecated' })).expect(200);
    const m = await t.machine('word-after', { groups: ['web'] });
    expect((await planOf(m.token)).plugins.find((p) => p.name === 'word-after')?.version).toBe('1.1.0');
    expect(await approve('word-before@1.1.0')).toMatchObject({ published: true });
    expect(await state('word-before@1.1.0')).toBe('published');
  });

  it('is turned down for the groups that it was to go to, and stays where it is offered', async () => {
    await publish(t.url, publisher, { name: 'further' }, ['web']);
    await publish(t.url, operator, { name: 'further', version: '2.0.0-beta.1', files: hooks('more') }, ['canary']);
    const { id } = (await register(t.url, publisher, { name: 'further', version: '1.1.0', files: hooks('more') })).json;
    expect((await publishTo(id, 'canary')).expect(200)).not.toHaveProperty('held');
    expect((await publishTo(id, 'web')).expect(200)).toHaveProperty('held');
    const reject = () =>
      ask(t.url, 'POST', `/api/plugins/${id}/reject`, { token: operator, body: { reason: 'too much for web' } });
    expect((await reject()).expect(200)).toMatchObject({ id, groups: ['web'] });
    const review = await ask(t.url, 'GET', '/api/reviews?plugin=further@1.1.0', { token: operator });
    expect(review.expect(200).reviews).toEqual([]);
    expect((await ask(t.url, 'GET', `/api/plugins/${id}`, { token: operator })).json).toMatchObject({
      status: 'published',
    });
    expect(await reject()).toMatchObject({ code: 'STATUS_FORBIDS' });
    expect((await publishTo(id, 'web')).expect(200)).toHaveProperty('held');
  });

  it('counts as offered where a pattern reaches: publishing there again lifts no deprecation', async () => {
    const { id } = await publish(t.url, publisher, { name: 'by-pattern' }, ['web-*']);
    const body = { status: 'deprecated', reason: 'slow' };
    (await ask(t.url, 'POST', `/api/plugins/${id}/status`, { token: publisher, body })).expect(200);
    expect(await publishTo(id, 'web-1')).toMatchObject({ code: 'STATUS_FORBIDS' });
    expect((await publishTo(id, 'db')).expect(200)).toMatchObject({ status: 'published' });
  });

  it.each(['deleted', 'yanked'])('publishes nothing that was %s while its approval was on its way', async (gone) => {
    const name = `racing-${gone}`;
    await publish(t.url, publisher, { name }, ['web']);
    const { id } = (await register(t.url, publisher, { name, version: '1.1.0', files: hooks('more') })).expect(200);
    expect((await publishTo(id, 'web')).expect(200)).toHaveProperty('held');
    const { store } = t.hub.context;
    // After the hub has looked, before it is its turn to write.
    const turn = vi.spyOn(store, 'nextSeq').mockImplementationOnce(async (tx) => {
      await tx.updateTable('plugins').set({ status: gone }).where('id', '=', String(id)).execute();
      return store.nextSeq(tx);
    });
    const answer = await ask(t.url, 'POST', `/api/plugins/${id}/approve`, { token: operator, body: {} });
    turn.mockRestore();
    expect(answer).toMatchObject({ code: 'STATUS_FORBIDS', text: expect.stringContaining(`1.1.0 is ${gone}`) });
  });
});
