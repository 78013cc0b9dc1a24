// Groups that take only what an operator approved (`approval_groups`): however a version would come there.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PLAN_PAYLOAD_TYPE, type Plan } from '../../server/src/domain/plan/index.ts';
import { openJson } from '../../server/src/domain/signing/dsse.ts';
import { groups as groupsVerb } from '../../server/src/interfaces/cli/verbs/operator.ts';
import { ask, ENGINES, publish, type TestHub, testHub } from '../hub/support.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { verbCall } from '../support/verb-call.ts';

describe.each(ENGINES)('groups of the configuration that take only approved versions, on %s', (engine) => {
  let t: TestHub;
  let home: TempHome;
  let publisher: string;
  let operator: string;
  let prod: { token: string };
  let made = 0;
  let name = '';
  beforeAll(async () => {
    t = await testHub(engine, { config: { approvals: 'never', approvalGroups: ['prod-*'] } });
    home = await tempHome('operator');
    publisher = await t.token(['publisher']);
    operator = await t.token(['operator']);
    prod = await t.machine('prod', { groups: ['prod-1'] });
  });
  afterAll(async () => {
    await t?.close();
    await home?.remove();
  });
  beforeEach(async () => {
    name = `p${made++}`;
    // To others, which asks nobody.
    expect(await publish(t.url, publisher, { name }, ['dev'])).not.toHaveProperty('held');
  });

  const planOf = async (machine: { token: string }): Promise<Plan> => {
    const envelope = (await ask(t.url, 'GET', '/api/machines/me/plan', { token: machine.token })).expect(200);
    return openJson(envelope as never, PLAN_PAYLOAD_TYPE, [t.hub.context.identity.publicKey]).value as Plan;
  };
  const has = async (machine: { token: string }, what = name) =>
    (await planOf(machine)).plugins.find((p) => p.name === what)?.version ?? null;
  const approve = (ref: string) => ask(t.url, 'POST', `/api/plugins/${ref}/approve`, { token: operator, body: {} });

  it('get nothing else because another plugin requires it, in this version or a later one', async () => {
    const needs = `needs-${name}`;
    await publish(t.url, operator, { name: needs, manifest: { dependencies: [name] } }, ['prod-1']);
    expect([await has(prod, needs), await has(prod)]).toEqual([null, null]);
    (await approve(`${name}@1.0.0`)).expect(200);
    await publish(t.url, publisher, { name, version: '1.1.0' }, ['dev']);
    expect([await has(prod, needs), await has(prod)]).toEqual(['1.0.0', '1.0.0']);
  });

  it('get nothing else by an order, their own or an operator’s, and say why', async () => {
    for (const order of [
      { token: prod.token, body: {} },
      { token: operator, body: { target_machines: ['prod'], version: '1.0.0' } },
    ]) {
      const ordered = (await ask(t.url, 'POST', `/api/plugins/${name}/install`, order)).expect(200);
      expect(ordered.machines).toMatchObject([{ version: null, problem: expect.stringContaining('approved by 0 of') }]);
    }
    expect(await has(prod)).toBeNull();
    (await approve(`${name}@1.0.0`)).expect(200);
    expect(await has(prod)).toBe('1.0.0');
  });

  it('get nothing else with a machine that comes from another group, and take nothing from it', async () => {
    const fresh = await t.machine(`fresh-${name}`, { groups: ['dev'] });
    const keeper = await t.machine(`keeper-${name}`, { groups: ['dev'] });
    const { digest } = (await planOf(keeper)).plugins.find((p) => p.name === name) ?? { digest: '' };
    const plugins = [{ name, version: '1.0.0', digest, state: 'verified' }];
    const body = { counter: 1, haivemind_version: '1.0.0', plugins, holds: [] };
    (await ask(t.url, 'POST', '/api/machines/me/status', { token: keeper.token, body })).expect(200);
    for (const which of ['fresh', 'keeper']) {
      const move = { token: operator, body: { groups: ['dev', 'prod-2'] } };
      (await ask(t.url, 'PATCH', `/api/machines/${which}-${name}`, move)).expect(200);
    }
    expect([await has(fresh), await has(keeper)]).toEqual([null, '1.0.0']);
  });

  it('are shown with what they demand, which admins only raise', async () => {
    const demand = async (approvals: string) =>
      (await groupsVerb(verbCall(home, t.url, t.admin, { args: ['prod-*'], options: { approvals } }))).text;
    const shown = async () =>
      ((await ask(t.url, 'GET', '/api/groups', { token: operator })).expect(200).groups as { name: string }[]).filter(
        (group) => group.name === 'prod-*',
      );
    expect(await shown()).toMatchObject([{ approvals: 1 }]);
    await demand('2');
    expect(await shown()).toMatchObject([{ approvals: 2 }]);
    expect(await demand('0')).toContain('gets only what 1 operator approved');
    expect(await shown()).toMatchObject([{ approvals: 1 }]);
  });
});
