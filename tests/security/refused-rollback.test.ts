// A version that this machine refuses under a key it does not know: asking for it is an error, whatever stays, and a rollback to it
// changes nothing.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Collective } from '../support/collective.ts';
import { hv, hvOk } from '../support/hv.ts';
import type { TempHome } from '../support/temp-home.ts';

const NAME = 'base-memory-tools';
let c: Collective;
let held: TempHome;
let free: TempHome;
beforeAll(async () => {
  c = await Collective.start();
  const offer = (version: string) => c.publish(NAME, { version, args: ['--all'] });
  await offer('9.0.0');
  held = await c.machine('held');
  free = await c.machine('free');
  for (const home of [held, free]) await hvOk(home, ['sync']);
  await offer('9.1.0');
  for (const home of [held, free]) await hvOk(home, ['sync']);
  await hvOk(held, ['rollback', NAME]);
  await rm(join(c.operator.home, '.haivemind', 'keys', 'publisher.pem'));
  await offer('9.2.0');
});
afterAll(() => c?.close());

const here = async (home: TempHome) => {
  const { version, held, pinned } = (await hvOk(home, ['status'])).plugins.find(
    (p: { name: string }) => p.name === NAME,
  );
  return { version, held, pinned };
};
const refused = (stays: string) => ({
  code: 77,
  json: {
    error: {
      code: 'SIGNATURE_INVALID',
      message: expect.stringMatching(new RegExp(`^${NAME} 9\\.2\\.0 was not installed: .*; ${stays} stays$`)),
    },
  },
});

it('a rollback to it leaves the hold that there was, and pins nothing', async () => {
  for (const [home, version] of [
    [held, '9.0.0'],
    [free, '9.1.0'],
  ] as const) {
    const before = await here(home);
    expect(before).toEqual({ version, held: home === held, pinned: false });
    expect(await hv(home, ['rollback', `${NAME}@9.2.0`, '--json'])).toMatchObject(
      refused(version.replaceAll('.', '\\.')),
    );
    expect(await here(home)).toEqual(before);
  }
  // What is held is asked for no more.
  expect(await hv(held, ['sync', '--json'])).toMatchObject({ code: 0, json: { problems: [] } });
  expect(await here(held)).toEqual({ version: '9.0.0', held: true, pinned: false });
});

it('installing it is an error, with or without its number', async () => {
  for (const ref of [NAME, `${NAME}@9.2.0`]) {
    expect(await hv(free, ['install', ref, '--json'])).toMatchObject(refused('9\\.1\\.0'));
  }
  expect((await here(free)).version).toBe('9.1.0');
});

it('so it is where an order names this machine', async () => {
  const { token } = await hvOk(c.operator, ['token', 'create', 'op', '--roles', 'operator'], {
    env: { HAIVEMIND_TOKEN: c.hub.adminToken ?? '' },
  });
  const env = { HAIVEMIND_TOKEN: token };
  const order = await hv(free, ['install', `${NAME}@9.2.0`, '--machines', 'free', '--json'], { env });
  expect(order).toMatchObject({
    code: 77,
    json: { machines: [{ machine: 'free', problem: expect.stringContaining('9.1.0 stays') }] },
  });
});
