// A plugin that comes under another key than before: its publisher is warned, and the machine says what mends it.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Collective } from '../support/collective.ts';
import { hv, hvOk } from '../support/hv.ts';
import type { TempHome } from '../support/temp-home.ts';

let c: Collective;
let machine: TempHome;
beforeAll(async () => {
  c = await Collective.start();
  machine = await c.machine('m1');
});
afterAll(() => c?.close());

const NAME = 'base-memory-tools';
const offer = (version: string) => c.publish(NAME, { version, args: ['--all'] }) as Promise<Record<string, unknown>>;
const installed = async () =>
  (await hvOk(machine, ['status'])).plugins.find((p: { name: string }) => p.name === NAME).version;

it('is told at publication, and installs after the command that the refusal names', async () => {
  expect(await offer('9.0.0')).not.toHaveProperty('changed_key');
  await hvOk(machine, ['sync']);
  await rm(join(c.operator.home, '.haivemind', 'keys', 'publisher.pem'));
  const { changed_key } = await offer('9.1.0');
  expect(changed_key).toEqual({ keyid: expect.any(String), before: expect.any(String), version: '9.0.0' });
  const { keyid } = changed_key as { keyid: string };
  const { stdout } = await hv(c.operator, ['publish', `${NAME}@9.1.0`, '--all']);
  expect(stdout).toContain(`hv trust add ${NAME} ${keyid}`);

  const refused = await hv(machine, ['sync']);
  expect(refused.stdout).toContain('SIGNATURE_INVALID');
  expect(refused.stdout).toContain(`\`hv trust add ${NAME} ${keyid}\`, then \`hv sync\``);
  expect(refused.stdout).toContain('hv trust rotate');
  expect(await installed()).toBe('9.0.0');
  await hvOk(machine, ['trust', 'add', NAME, keyid]);
  await hvOk(machine, ['sync']);
  expect(await installed()).toBe('9.1.0');
});

it('is no news where the key of before names the new one', async () => {
  await hvOk(c.operator, ['trust', 'rotate']);
  expect(await offer('9.2.0')).not.toHaveProperty('changed_key');
  await hvOk(machine, ['sync']);
  expect(await installed()).toBe('9.2.0');
});
