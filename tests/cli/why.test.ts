// Why a plugin is, or is not, on a machine: the hub's reasons and the machine's own, as `hv why` tells them.
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Collective } from '../support/collective.ts';
import { hv, hvOk } from '../support/hv.ts';
import type { TempHome } from '../support/temp-home.ts';

let collective: Collective;
let desk: TempHome;
beforeAll(async () => {
  collective = await Collective.start();
  desk = await collective.machine('desk', { groups: ['web'] });
  await collective.publish('base-memory-tools', { args: ['--groups', 'web'] });
  await hvOk(desk, ['sync']);
});
afterAll(() => collective?.close());
/** With the admin token, since the host's own only publishes. */
const asOperator = (...args: string[]) =>
  hvOk(collective.operator, [...args], {
    env: { HAIVEMIND_HUB_URL: collective.hub.url, HAIVEMIND_TOKEN: collective.hub.adminToken ?? '' },
  });

const told = async (home = desk, ...args: string[]): Promise<string[]> => {
  const { reasons, here } = await hvOk(home, ['why', 'base-memory-tools', ...args]);
  return [...reasons.map((reason: { text: string }) => reason.text), ...here];
};
const policy = () => join(desk.home, '.haivemind', 'policy.json');

it('names the group and who published to it', async () => {
  const text = '1.0.0 is published to the group web by hub.json on ';
  expect(await told()).toEqual([expect.stringContaining(text)]);
  const { stdout } = await hv(desk, ['why', 'base-memory-tools']);
  expect(stdout).toContain('base-memory-tools on desk: wanted: 1.0.0; installed: 1.0.0');
  expect(stdout).toContain(text);
});

it('names a hold and who ordered it, an update that waits here, and an exclusion', async () => {
  await asOperator('machines', 'hold', 'desk', 'base-memory-tools@1.0.0');
  await collective.publish('base-memory-tools', { version: '2.0.0', args: ['--groups', 'web'] });
  expect(await told()).toEqual(expect.arrayContaining(['held at 1.0.0 here by first admin']));
  await asOperator('machines', 'clear', 'desk', 'base-memory-tools');
  expect(await told()).toContain('2.0.0 waits for `hv sync`: not updated by itself');
  await asOperator('machines', 'exclude', 'desk', 'base-memory-tools');
  expect(await told()).toContain('excluded from this machine by first admin');
  await asOperator('machines', 'clear', 'desk', 'base-memory-tools');
});

it("names what this machine's own policy forbids, and holds nothing back once it allows it", async () => {
  await writeFile(policy(), JSON.stringify({ plugins: { deny: ['base-*'] } }));
  expect(await told()).toEqual(
    expect.arrayContaining([expect.stringMatching(/^base-memory-tools goes with the next sync: POLICY_REFUSED: /)]),
  );
  expect((await hv(desk, ['sync'])).code).toBe(77);
  expect(await told()).toEqual(expect.arrayContaining([expect.stringMatching(/^2\.0\.0 waits: .*polic/)]));
  await rm(policy());
  await hvOk(desk, ['sync']);
  expect((await told()).join()).not.toContain('polic');
});

it('says so where there is no such plugin, or no right to look at another machine', async () => {
  expect((await hv(desk, ['why', 'nothing'])).stderr).toMatch(/^PLUGIN_NOT_FOUND: nothing/);
  expect((await hv(collective.operator, ['why', 'base-memory-tools', '--machine', 'desk'])).stderr).toMatch(
    /^FORBIDDEN/,
  );
  expect((await asOperator('why', 'base-memory-tools', '--machine', 'desk')).desired.version).toBe('2.0.0');
});
