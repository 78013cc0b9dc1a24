// Publishing with a token that may not: what is said fits what the token may, and nothing is sent.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { importVerb } from '../../server/src/interfaces/cli/verbs/import.ts';
import { publish, register } from '../../server/src/interfaces/cli/verbs/publishing.ts';
import { writeFiles } from '../client/harness/hand-made-plugin.ts';
import { ask, type TestHub, testHub } from '../hub/support.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { verbCall } from '../support/verb-call.ts';

let hub: TestHub;
let home: TempHome;
beforeAll(async () => {
  hub = await testHub('sqlite');
  home = await tempHome('author');
});
afterAll(async () => {
  await hub?.close();
  await home?.remove();
});

async function plugin(name: string): Promise<string> {
  await writeFiles(home.project, {
    [`plugins/${name}/.claude-plugin/plugin.json`]: { name, version: '1.0.0', description: 'D', author: { name: 'T' } },
    [`plugins/${name}/commands/${name}.md`]: 'Say hello.',
  });
  return join(home.project, 'plugins', name);
}

const refusal = (verb: typeof publish, token: string, what: string, options: Record<string, unknown> = {}) =>
  verb(verbCall(home, hub.url, token, { args: [what], options: { all: true, ...options } })).then(
    (output) => output,
    (thrown: unknown) => thrown,
  );
const status = async (name: string) => (await ask(hub.url, 'GET', `/api/plugins/${name}`, { token: hub.admin })).status;

it('names no `hv register` to a token that may not register either', async () => {
  const folder = await plugin('by-reader');
  for (const token of [await hub.token(['reader']), (await hub.machine('box')).token]) {
    for (const options of [{}, { dryRun: true }]) {
      const refused = await refusal(publish, token, folder, options);
      expect(refused).toMatchObject({
        code: 'FORBIDDEN',
        message: expect.stringMatching(/needs the role operator or publisher; this token has (reader|machine)/),
        hint: expect.not.stringContaining('hv register'),
      });
    }
  }
  expect(await status('by-reader')).toBe(404);
});

it('names `hv register` and `hv review` to a contributor, also in a dry run', async () => {
  const token = await hub.token(['contributor']);
  const folder = await plugin('by-contributor');
  for (const options of [{}, { dryRun: true }]) {
    expect(await refusal(publish, token, folder, options)).toMatchObject({
      code: 'FORBIDDEN',
      hint: expect.stringMatching(/hv register.*hv review/),
    });
  }
  expect(await status('by-contributor')).toBe(404);
});

it('names `hv review` to a contributor who publishes by name what waits', async () => {
  const token = await hub.token(['contributor']);
  await register(verbCall(home, hub.url, token, { args: [await plugin('waiting')] }));
  for (const options of [{}, { dryRun: true }]) {
    expect(await refusal(publish, token, 'waiting', options)).toMatchObject({
      code: 'FORBIDDEN',
      hint: expect.stringContaining('hv review waiting'),
    });
  }
  expect(await refusal(publish, await hub.token(['reader']), 'waiting')).toMatchObject({
    code: 'FORBIDDEN',
    hint: expect.not.stringContaining('hv review'),
  });
});

it('takes nothing of a marketplace that is to be published by a token that may not', async () => {
  await writeFiles(home.project, {
    'shop/.claude-plugin/marketplace.json': {
      ...{ name: 'shop', owner: { name: 'T' } },
      plugins: [{ name: 'hat', source: './hat' }],
    },
    'shop/hat/.claude-plugin/plugin.json': { name: 'hat', version: '1.0.0', description: 'D', author: { name: 'T' } },
    'shop/hat/commands/hat.md': 'Say hat.',
  });
  const shop = join(home.project, 'shop');
  const token = await hub.token(['contributor']);
  for (const options of [{ publish: true }, { publish: true, dryRun: true }]) {
    expect(await refusal(importVerb, token, shop, options)).toMatchObject({
      code: 'FORBIDDEN',
      hint: expect.stringMatching(/without --publish.*hv review/),
    });
  }
  expect(await status('hat')).toBe(404);
  const taken = await refusal(importVerb, token, shop, { all: undefined });
  expect(taken).toMatchObject({ exit: 0, json: { imported: 1 } });
});
