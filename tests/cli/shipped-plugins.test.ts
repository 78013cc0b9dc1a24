// The plugins that ship with the hub: registered at its start, offered by whoever may publish.
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Collective } from '../support/collective.ts';
import { hv, hvOk } from '../support/hv.ts';
import { REPOSITORY } from '../support/repository.ts';
import type { TempHome } from '../support/temp-home.ts';

let collective: Collective;
let machine: TempHome;
beforeEach(async () => {
  collective = await Collective.start();
  machine = await collective.machine('elastic1', { groups: ['elasticsearch'] });
});
afterEach(() => collective.close());

const install = () => hv(machine, ['install', 'elasticsearch-ops', '--json']);

it('are published by name from the host of the hub, to the groups of their manifest', async () => {
  const before = await install();
  expect(before.code).toBe(66);
  expect(before.stderr + before.stdout).toContain('hv publish elasticsearch-ops@1.0.0');

  const published = await hvOk(collective.operator, ['publish', 'elasticsearch-ops']);
  expect(published).toMatchObject({ status: 'published', groups: ['elasticsearch'], machines: ['elastic1'] });
  expect((await install()).json).toMatchObject({ name: 'elasticsearch-ops', version: '1.0.0' });
});

it('are published from their folder, too', async () => {
  const folder = join(REPOSITORY, 'plugins', 'incident-response');
  const published = await hvOk(collective.operator, ['publish', folder, '--all']);
  expect(published).toMatchObject({ status: 'published', groups: ['*'], machines: ['elastic1'] });
});

it('what somebody else registered stays his own affair', async () => {
  const admin = { HAIVEMIND_TOKEN: collective.hub.adminToken ?? '' };
  const folder = join(REPOSITORY, 'tests', 'fixtures', 'base-memory-tools');
  await hvOk(collective.operator, ['register', folder], { env: admin });
  const refused = await hv(collective.operator, ['publish', 'base-memory-tools', '--all']);
  expect(refused.stderr).toContain('PLUGIN_NOT_FOUND');
  const shown = await hvOk(collective.operator, ['list', '--status', 'registered']);
  expect(shown.plugins.map((p: { name: string }) => p.name)).toEqual(['elasticsearch-ops', 'incident-response']);
});
