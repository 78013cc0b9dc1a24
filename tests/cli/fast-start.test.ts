import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Collective, DEVOPS } from '../support/collective.ts';
import { hv, hvOk } from '../support/hv.ts';
import type { TempHome } from '../support/temp-home.ts';

describe("hv's code cache", () => {
  let collective: Collective;
  let machine: TempHome;
  const cache = () => readdir(join(machine.home, '.haivemind', 'cache')).catch(() => []);

  beforeAll(async () => {
    collective = await Collective.start();
    machine = await collective.home('fast');
  });
  afterAll(() => collective.close());

  it('is not made by a look at the help, nor on a machine that has joined nothing', async () => {
    expect((await hv(machine, ['--help'])).code).toBe(0);
    await hv(machine, ['list']);
    expect(await readdir(machine.home)).not.toContain('.haivemind');
  });

  it('is kept once a machine has joined, and a damaged one is no obstacle', async () => {
    await collective.join(machine, 'fast', DEVOPS);
    const [name = ''] = await cache();
    expect(name).toMatch(/^hv-v[0-9.]+-.*\.v8$/);
    await writeFile(join(machine.home, '.haivemind', 'cache', name), 'damaged');
    expect((await hvOk(machine, ['status'])).plugins).toHaveLength(1);
    await hvOk(machine, ['leave']);
    expect(await cache()).toEqual([]);
  });
});
