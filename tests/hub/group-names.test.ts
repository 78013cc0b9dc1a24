// What a group may be called is one rule, wherever somebody names one; a machine that is in one of another name goes on as before.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readHubConfig } from '../../server/src/hub/config.ts';
import { setMachineGroups } from '../../server/src/storage/queries/machines.ts';
import { putQuorum } from '../../server/src/storage/queries/trust.ts';
import { tempHome } from '../support/temp-home.ts';
import { ask, ENGINES, publish, type TestHub, testHub } from './support.ts';

const ODD = ['*', 'all', 'we b', 'we*', 'a,b', '-x', 'grüppe', ''];

describe.each(ENGINES)('the name of a group on %s', (engine) => {
  let t: TestHub;
  let machine: { id: string; token: string };
  beforeAll(async () => {
    t = await testHub(engine);
    machine = await t.machine('m', { groups: ['web'] });
    await publish(t.url, t.admin, { name: 'tool' }, ['web']);
  });
  afterAll(() => t?.close());

  const joining = (name: string, more: object) =>
    ask(t.url, 'POST', '/api/machines/join', {
      token: t.hub.joinToken,
      body: { name, platform: 'linux-x64', haivemind_version: '1.0.0', ...more },
    });
  const patch = (body: object) => ask(t.url, 'PATCH', '/api/machines/m', { token: t.admin, body });
  const groups = async () => (await ask(t.url, 'GET', '/api/machines/m', { token: t.admin })).expect(200).groups;
  const report = (count: number) =>
    ask(t.url, 'POST', '/api/machines/me/usage', {
      token: machine.token,
      body: {
        counts: [
          {
            session: 'session-1',
            plugin: 'tool',
            version: '1.0.0',
            kind: 'command',
            component: 'go',
            day: new Date().toISOString().slice(0, 10),
            count,
          },
        ],
      },
    });

  it.each(ODD)('%j is refused for a machine, by join and by an operator, and for a token that joins', async (odd) => {
    const joined = await joining('new', { groups: ['web', odd] });
    expect([joined.status, joined.code, joined.json.detail]).toEqual([
      422,
      'NAME_INVALID',
      expect.stringContaining(odd),
    ]);
    expect((await patch({ groups: ['web', odd] })).code).toBe('NAME_INVALID');
    expect(await groups()).toEqual(['web']);
    const body = { name: 'j', roles: ['join'], groups: [odd] };
    const token = await ask(t.url, 'POST', '/api/tokens', { token: t.admin, body });
    // A token's groups are patterns.
    expect(token.code).toBe(odd === '*' || odd === 'we*' ? '' : 'NAME_INVALID');
  });

  it('is taken as it always was', async () => {
    (await joining('plain', { groups: ['Web_1.x-y', 'a'.repeat(64)] })).expect(200);
    (await patch({ groups: ['web', 'blue'] })).expect(200);
    expect(await groups()).toEqual(['blue', 'web']);
  });

  it('approvals that an odd one demands since before can be taken back, and no others be demanded', async () => {
    const demand = (approvals: number) =>
      ask(t.url, 'PUT', '/api/groups/all/approvals', { token: t.admin, body: { approvals } });
    const quorums = async () =>
      (await t.hub.context.store.read.selectFrom('group_quorums').selectAll().execute()).length;
    const old = { group: 'all', approvals: 2, by: 'admin', at: '2026-01-01T00:00:00.000Z' };
    await t.hub.context.store.transact((tx) => putQuorum(tx, old));
    expect((await demand(3)).code).toBe('NAME_INVALID');
    expect(await quorums()).toBe(1);
    (await demand(0)).expect(200);
    expect(await quorums()).toBe(0);
  });

  it('a machine that is in an odd one keeps it, counts each use once, and joins again', async () => {
    await t.hub.context.store.transact((tx) => setMachineGroups(tx, machine.id, ['*', 'we b', 'web']));
    expect((await report(1)).expect(200)).toEqual({ added: 1, ignored: 0 });
    const { rows } = (await ask(t.url, 'GET', '/api/usage?by=plugin', { token: t.admin })).expect(200);
    expect(rows).toMatchObject([{ plugin: 'tool', uses: 1 }]);
    (await patch({ capabilities: ['gpu'] })).expect(200);
    (await patch({ groups: ['*', 'we b', 'green'] })).expect(200);
    expect(await groups()).toEqual(['*', 'green', 'we b']);
    expect((await patch({ groups: ['we b', 'gre en'] })).code).toBe('NAME_INVALID');
    const again = await joining('m', { groups: ['we b'], machine_token: machine.token });
    machine = { id: machine.id, token: again.expect(200).token as string };
    expect(await groups()).toEqual(['we b']);
    (await patch({ groups: ['web'] })).expect(200);
    expect((await patch({ groups: ['we b'] })).code).toBe('NAME_INVALID');
  });

  it.each(ODD)('%j is no target of a publication', async (odd) => {
    const id = 'plugin_tool_1.0.0';
    const answer = await ask(t.url, 'POST', '/api/plugins/publish', {
      token: t.admin,
      body: { plugin_id: id, target_groups: [odd] },
    });
    // A target may be a pattern; all machines are named otherwise.
    expect(answer.code).toBe({ '*': 'TARGET_REQUIRED', all: 'TARGET_REQUIRED', 'we*': '' }[odd] ?? 'NAME_INVALID');
  });
});

describe.each(ENGINES)("a hub's approval_groups, on %s", (engine) => {
  it('holds a name of before there was a rule for names as it is written, and says so when the hub starts', async () => {
    const home = await tempHome('hub');
    const groups = ['we b', 'prod.*'];
    await writeFile(join(home.home, 'config.json'), JSON.stringify({ plugins: { approval_groups: groups } }));
    const { approvalGroups } = readHubConfig({}, { HAIVEMIND_HOME: home.home });
    expect(approvalGroups).toEqual(groups);
    const t = await testHub(engine, { config: { approvalGroups, approvals: 'never' } });
    const warned = t.logged.filter((l) => l.level === 'warn' && l.message.startsWith('approval_groups'));
    expect(warned.map((l) => l.fields)).toEqual([{ group: 'we b' }]);
    const publisher = await t.token(['publisher']);
    const isHeld = async (name: string, target?: string[]) =>
      (await publish(t.url, publisher, { name }, target)).held !== undefined;
    // Nobody can publish to a group of such a name but by publishing to all.
    expect(await isHeld('to-all')).toBe(true);
    expect(await isHeld('to-prod', ['prod.1'])).toBe(true);
    expect(await isHeld('to-web', ['web'])).toBe(false);
    await t.close();
    await home.remove();
  });
});
