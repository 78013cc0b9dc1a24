// Groups that take a version only after several operators approved it: no way around the second one.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { signApproval } from '../../server/src/domain/approval.ts';
import { PLAN_PAYLOAD_TYPE, type Plan } from '../../server/src/domain/plan/index.ts';
import { createKeyPair, openJson } from '../../server/src/domain/signing/dsse.ts';
import { signProof } from '../../server/src/domain/signing/machine-proof.ts';
import { groups as groupsVerb } from '../../server/src/interfaces/cli/verbs/operator.ts';
import { review } from '../../server/src/interfaces/cli/verbs/review.ts';
import { ask, ENGINES, type PluginWish, publish, register, type TestHub, testHub } from '../hub/support.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { verbCall } from '../support/verb-call.ts';

const JOIN = (token: string) => ({ method: 'POST', path: '/api/machines/join', token });

describe.each(ENGINES)('two operators, on %s', (engine) => {
  let t: TestHub;
  let home: TempHome;
  const token: Record<string, string> = {};
  let prod: { id: string; token: string };
  let dev: { id: string; token: string };
  let made = 0;
  let name = '';
  beforeAll(async () => {
    t = await testHub(engine);
    home = await tempHome('operator');
    for (const who of ['anna', 'bert']) token[who] = await t.token(['operator'], { name: who });
    token.publisher = await t.token(['publisher']);
    prod = await t.machine('prod', { groups: ['prod-1'] });
    dev = await t.machine('dev', { groups: ['dev'] });
    expect((await quorum('prod-*', 2)).status).toBe(200);
  });
  afterAll(async () => {
    await t?.close();
    await home?.remove();
  });
  beforeEach(() => {
    name = `p${made++}`;
  });

  const quorum = (group: string, approvals: unknown, as = t.admin) =>
    ask(t.url, 'PUT', `/api/groups/${encodeURIComponent(group)}/approvals`, { token: as, body: { approvals } });
  const planOf = async (machine: { token: string }): Promise<Plan> => {
    const envelope = (await ask(t.url, 'GET', '/api/machines/me/plan', { token: machine.token })).expect(200);
    return openJson(envelope as never, PLAN_PAYLOAD_TYPE, [t.hub.context.identity.publicKey]).value as Plan;
  };
  const has = async (machine: { token: string }, what = name) =>
    (await planOf(machine)).plugins.find((p) => p.name === what)?.version ?? null;
  const approve = (who: string, ref = `${name}@1.0.0`, body: object = {}) =>
    ask(t.url, 'POST', `/api/plugins/${ref}/approve`, { token: token[who] ?? who, body });
  const offer = (who: string, wish: Partial<PluginWish> = {}) =>
    publish(t.url, token[who] ?? '', { name, ...wish }, ['prod-1', 'dev']);

  it('holds a version back from the group, and from nobody else, until the second has approved', async () => {
    expect(await offer('anna')).toMatchObject({
      machines: ['dev'],
      withheld: { groups: ['prod-*'], approvals: 2, by: ['anna'] },
    });
    expect([await has(dev), await has(prod)]).toEqual(['1.0.0', null]);
    expect((await planOf(prod)).problems).toContainEqual(
      expect.objectContaining({ name, message: expect.stringContaining('approved by 1 of the 2 operators') }),
    );
    expect((await approve('bert')).expect(200)).not.toHaveProperty('withheld');
    expect(await has(prod)).toBe('1.0.0');
  });

  it('counts a publisher for none, and an operator once: approving twice, or with a rotated token', async () => {
    expect(await offer('publisher')).toMatchObject({ withheld: { by: [] } });
    expect((await approve('anna')).expect(200)).toMatchObject({ withheld: { by: ['anna'] } });
    expect((await approve('anna')).expect(200)).toMatchObject({ withheld: { by: ['anna'] } });
    const turned = (await ask(t.url, 'POST', '/api/whoami/rotate', { token: token.anna, body: {} })).expect(200);
    expect((await approve(String(turned.token))).expect(200)).toMatchObject({ withheld: { by: ['anna'] } });
    expect((await approve('publisher')).code).toBe('FORBIDDEN');
    expect(await has(prod)).toBeNull();
    (await approve('bert')).expect(200);
    expect(await has(prod)).toBe('1.0.0');
  });

  it('counts for these bytes alone: the next version waits again, and the one before stays', async () => {
    await offer('anna');
    (await approve('bert')).expect(200);
    await offer('anna', { version: '1.1.0' });
    expect([await has(prod), await has(dev)]).toEqual(['1.0.0', '1.1.0']);
  });

  it('is passed by no order, no requirement of another plugin, and no change of groups', async () => {
    await offer('anna');
    const order = { token: token.anna, body: { version: '1.0.0', target_machines: ['prod'] } };
    await ask(t.url, 'POST', `/api/plugins/${name}/install`, order);
    expect(await has(prod)).toBeNull();

    const needs = `needs-${name}`;
    await publish(t.url, token.anna ?? '', { name: needs, manifest: { dependencies: [name] } }, ['prod-1']);
    (await approve('bert', `${needs}@1.0.0`)).expect(200);
    expect([await has(prod, needs), await has(prod)]).toEqual([null, null]);

    const mover = await t.machine(`mover-${name}`, { groups: ['dev'] });
    expect(await has(mover)).toBe('1.0.0');
    const move = { token: token.anna, body: { groups: ['dev', 'prod-7'] } };
    (await ask(t.url, 'PATCH', `/api/machines/mover-${name}`, move)).expect(200);
    expect(await has(mover)).toBeNull();
  });

  /** Joins a machine by this name, once and again. */
  const joining = (who: string) => {
    const mine = createKeyPair();
    return async (groups: string[], as: string) => {
      const headers = { 'haivemind-proof': signProof(mine.privatePem, JOIN(as), new Date()) };
      const body = { name: who, platform: 'linux-x64', haivemind_version: '1.0.0', groups, public_key: mine.publicKey };
      const joined = (await ask(t.url, 'POST', '/api/machines/join', { token: as, headers, body })).expect(200);
      return (joined.machine as { groups: string[] }).groups;
    };
  };

  it('is left by no machine on the word of one operator, nor by joining again', async () => {
    await offer('anna');
    const who = `guarded-${name}`;
    const join = joining(who);
    const move = (groups: string[], as = token.anna) =>
      ask(t.url, 'PATCH', `/api/machines/${who}`, { token: as, body: { groups } });
    expect(await join(['prod-9', 'old'], t.hub.joinToken)).toEqual(['old', 'prod-9']);
    expect(await move(['dev'])).toMatchObject({ code: 'FORBIDDEN', text: expect.stringContaining('prod-9') });
    // Into another one that demands as much, and out of one that demands nothing.
    expect((await move(['prod-10', 'dev'])).expect(200).groups).toEqual(['dev', 'prod-10']);
    expect(await join(['new'], t.hub.joinToken)).toEqual(['new', 'prod-10']);
    expect(await join(['new'], token.anna ?? '')).toEqual(['new', 'prod-10']);
    expect(await join([], t.hub.joinToken)).toEqual(['new', 'prod-10']);
    expect((await move(['dev'], t.admin)).expect(200).groups).toEqual(['dev']);
  });

  it('leaves a machine free to join other groups that demand as much', async () => {
    const join = joining(`roaming-${name}`);
    expect(await join(['prod-9'], t.hub.joinToken)).toEqual(['prod-9']);
    expect(await join(['prod-10', 'dev'], t.hub.joinToken)).toEqual(['dev', 'prod-10']);
    (await quorum('*', 2)).expect(200);
    expect(await join(['prod-10'], t.hub.joinToken)).toEqual(['prod-10']);
    (await quorum('*', 0)).expect(200);
  });

  it('takes nothing away that is there already', async () => {
    const { digest } = await offer('anna', {});
    const keeper = await t.machine(`keeper-${name}`, { groups: ['dev'] });
    const plugins = [{ name, version: '1.0.0', digest, state: 'verified' }];
    const body = { counter: 1, haivemind_version: '1.0.0', plugins, holds: [] };
    (await ask(t.url, 'POST', '/api/machines/me/status', { token: keeper.token, body })).expect(200);
    const move = { token: token.anna, body: { groups: ['prod-8', 'dev'] } };
    (await ask(t.url, 'PATCH', `/api/machines/keeper-${name}`, move)).expect(200);
    expect(await has(keeper)).toBe('1.0.0');
  });

  it('is set by admins alone: whoever approves does not say how many it takes', async () => {
    await offer('anna');
    for (const who of ['anna', 'publisher']) expect((await quorum('prod-*', 0, token[who])).code).toBe('FORBIDDEN');
    for (const wrong of [-1, 1.5, 21, '2']) expect((await quorum('prod-*', wrong)).code).toBe('BAD_REQUEST');
    expect((await quorum('Not A Group', 2)).status).toBe(422);
    expect(await has(prod)).toBeNull();
    (await quorum('prod-*', 0)).expect(200);
    expect(await has(prod)).toBe('1.0.0');
    const set = verbCall(home, t.url, t.admin, { args: ['prod-*'], options: { approvals: '2' } });
    expect((await groupsVerb(set)).text).toContain('gets only what 2 operators approved');
    const shown = (await ask(t.url, 'GET', '/api/groups', { token: token.anna })).expect(200);
    expect(shown.groups).toContainEqual(expect.objectContaining({ name: 'prod-*', approvals: 2 }));
  });

  it('shows what waits for the second among the reviews, where it can be approved', async () => {
    await offer('anna');
    const hv = (who: string, args: string[], options = {}) =>
      review(verbCall(home, t.url, token[who] ?? '', { args, options }));
    expect((await hv('bert', [`${name}@1.0.0`])).text).toContain('prod-* waits for 2 operators, so far anna');
    await hv('anna', [`${name}@1.0.0`], { publish: true });
    expect(await has(prod)).toBeNull();
    await hv('bert', [`${name}@1.0.0`], { publish: true });
    expect(await has(prod)).toBe('1.0.0');
  });

  it('carries the signatures of both to the machines, which count them by themselves', async () => {
    const { id } = (await register(t.url, token.publisher ?? '', { name })).expect(200);
    const body = { plugin_id: id, target_groups: ['dev'] };
    const { digest } = (await ask(t.url, 'POST', '/api/plugins/publish', { token: token.publisher, body })).expect(200);
    const said = {
      hub: t.hub.context.identity.id,
      name,
      version: '1.0.0',
      digest: String(digest),
      urgent: false,
      at: 'now',
    };
    const words = [];
    for (const who of ['anna', 'bert']) {
      const { privatePem, publicKey: public_key } = createKeyPair();
      const envelope = signApproval(said, privatePem);
      (await approve(who, String(id), { envelope, public_key })).expect(200);
      words.push(envelope);
    }
    const entry = (await planOf(dev)).plugins.find((p) => p.name === name);
    expect([entry?.approval, ...(entry?.approvals ?? [])]).toEqual(words);
  });
});
