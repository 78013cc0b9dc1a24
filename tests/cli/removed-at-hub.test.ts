// A machine that was removed at its hub: status says that the hub refuses it, and what it says to do works.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Collective } from '../support/collective.ts';
import { hv, hvOk } from '../support/hv.ts';
import type { TempHome } from '../support/temp-home.ts';

let collective: Collective;
let desk: TempHome;
beforeAll(async () => {
  collective = await Collective.start();
  desk = await collective.machine('desk');
  await hvOk(desk, ['sync']);
  const env = { HAIVEMIND_HUB_URL: collective.hub.url, HAIVEMIND_TOKEN: collective.hub.adminToken ?? '' };
  await hvOk(collective.operator, ['machines', 'remove', 'desk'], { env });
});
afterAll(() => collective?.close());

it('status says that the token is refused, and claims nothing of being in step', async () => {
  const { in_step, hub } = await hvOk(desk, ['status']);
  expect(hub).toMatchObject({
    reachable: true,
    error: expect.stringMatching(/^TOKEN_INVALID: .*hv machines remove desk`/),
  });
  expect(in_step).toBe(false);
  const { stdout } = await hv(desk, ['status']);
  expect(stdout).not.toMatch(/does not answer| · in step/);
  expect(stdout).toContain("refuses this machine's token");
  expect(stdout).toMatch(/hv machines remove desk`.*then run `hv join/);
});

it('leaving and joining again mends it', async () => {
  await hvOk(desk, ['leave']);
  await collective.join(desk, 'desk');
  expect(await hvOk(desk, ['status'])).toMatchObject({ in_step: true, hub: { reachable: true, error: null } });
});

it('a machine whose token was revoked comes back by what doctor and status say', async () => {
  const env = { HAIVEMIND_HUB_URL: collective.hub.url, HAIVEMIND_TOKEN: collective.hub.adminToken ?? '' };
  const { tokens } = await hvOk(collective.operator, ['token', 'list'], { env });
  const own = tokens.filter((t: { roles: string[]; revoked_at: unknown }) => t.roles[0] === 'machine' && !t.revoked_at);
  for (const { id } of own) await hvOk(collective.operator, ['token', 'revoke', id], { env });
  for (const verb of ['doctor', 'status'])
    expect((await hv(desk, [verb])).stdout).toMatch(/hv machines remove desk`.*then run `hv join/);
  await hvOk(collective.operator, ['machines', 'remove', 'desk'], { env });
  await collective.join(desk, 'desk');
  expect(await hvOk(desk, ['status'])).toMatchObject({ in_step: true, hub: { reachable: true, error: null } });
});
