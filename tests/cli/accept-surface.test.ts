// `hv publish` of a plugin that declares nothing, where a person can be asked.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { registerPlugin } from '../../server/src/client/publish/index.ts';
import { publish } from '../../server/src/interfaces/cli/verbs/publishing.ts';
import { writeFiles } from '../client/harness/hand-made-plugin.ts';
import { ask, type TestHub, testHub } from '../hub/support.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { clientAt, verbCall } from '../support/verb-call.ts';

let hub: TestHub;
let home: TempHome;
let token: string;
beforeAll(async () => {
  hub = await testHub('sqlite');
  home = await tempHome('author');
  token = await hub.token(['publisher']);
});
afterAll(async () => {
  await hub?.close();
  await home?.remove();
});

const hooks = { hooks: { Stop: [{ hooks: [{ type: 'command', command: 'make \u001b[2Jnoise' }] }] } };

async function plugin(name: string): Promise<string> {
  await writeFiles(home.project, {
    [`${name}/.claude-plugin/plugin.json`]: { name, version: '1.0.0', description: 'D', author: { name: 'T' } },
    [`${name}/hooks/hooks.json`]: hooks,
  });
  return join(home.project, name);
}

/** The verb with somebody who answers, and what was asked. */
async function run(what: string, answer: boolean | undefined, options: Record<string, unknown> = {}) {
  const asked: string[] = [];
  const confirm = async (question: string) => {
    asked.push(question);
    return answer === true;
  };
  const wish = { args: [what], options: { all: true, ...options }, ...(answer === undefined ? {} : { confirm }) };
  const result = await publish(verbCall(home, hub.url, token, wish)).catch((thrown: unknown) => thrown);
  return { result, asked };
}
const status = async (name: string) =>
  (await ask(hub.url, 'GET', `/api/plugins/${name}`, { token: hub.admin })).json.status;

it('shows it in plain words and sends nothing after a no', async () => {
  const { result, asked } = await run(await plugin('no'), false);
  expect(result).toMatchObject({ code: 'SURFACE_UNACCEPTED' });
  expect(asked).toHaveLength(1);
  expect(asked[0]).toContain('hooks that run by themselves on: Stop');
  expect(asked[0]).toContain('commands it runs: make');
  expect(asked[0]).not.toContain('\u001b[2J');
  expect(await status('no')).toBe(404);
});

it('publishes after a yes, and does not ask again', async () => {
  const folder = await plugin('yes');
  expect((await run(folder, true)).result).toMatchObject({ json: { status: 'published' } });
  expect((await run(folder, false)).asked).toEqual([]);
});

it('is refused where nobody can answer, and passes with --accept-surface', async () => {
  const folder = await plugin('alone');
  expect((await run(folder, undefined)).result).toMatchObject({ code: 'SURFACE_UNACCEPTED' });
  expect(await status('alone')).toBe(404);
  const { result, asked } = await run(folder, false, { acceptSurface: true });
  expect(result).toMatchObject({ json: { status: 'published' } });
  expect(asked).toEqual([]);
});

it('asks for what is registered already with the surface that the hub computed', async () => {
  const ctx = await clientAt(home, hub.url, token);
  await registerPlugin(ctx, { path: await plugin('before') });
  const refused = await run('before@1.0.0', false);
  expect(refused.result).toMatchObject({ code: 'SURFACE_UNACCEPTED' });
  expect(refused.asked[0]).toContain('Stop');
  expect(await status('before')).toBe('registered');
  expect((await run('before@1.0.0', true)).result).toMatchObject({ json: { status: 'published' } });
});

it('a dry run asks nobody, and says what publishing wants', async () => {
  const { result, asked } = await run(await plugin('dry'), true, { dryRun: true });
  expect(asked).toEqual([]);
  expect(result).toMatchObject({ json: { must_accept: true }, text: expect.stringContaining('--accept-surface') });
});
