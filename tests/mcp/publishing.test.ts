// What registering and publishing answer as data: a client may show the model that alone, without the text beside it.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Collective } from '../support/collective.ts';
import { hvOk } from '../support/hv.ts';
import { type McpSession, startMcp } from '../support/mcp-client.ts';
import { pluginCopy, REPOSITORY } from '../support/repository.ts';

let copy: Awaited<ReturnType<typeof pluginCopy>>;
let collective: Collective;
let admin: { env: Record<string, string> };
/** A publisher, and someone who may only register. */
let author: McpSession;
let contributor: McpSession;

beforeAll(async () => {
  copy = await pluginCopy();
  collective = await Collective.start();
  admin = { env: { HAIVEMIND_TOKEN: collective.hub.adminToken ?? '' } };
  const made = await hvOk(collective.operator, ['token', 'create', 'new', '--roles', 'contributor'], admin);
  author = await startMcp(copy.root, collective.operator);
  contributor = await startMcp(copy.root, collective.operator, { HAIVEMIND_TOKEN: made.token });
});
afterAll(async () => {
  await author?.close();
  await contributor?.close();
  await collective?.close();
  await copy?.remove();
});

/** Writes the folder of a plugin that is nothing but a command, and a hook where one is asked for. */
async function folder(name: string, version: string, hook?: string): Promise<string> {
  const dir = join(collective.operator.project, name);
  const write = async (path: string, text: string) => {
    await mkdir(join(dir, path, '..'), { recursive: true });
    await writeFile(join(dir, path), text);
  };
  await write('.claude-plugin/plugin.json', JSON.stringify({ name, version, description: 'Says what it is told' }));
  await write('commands/go.md', `---\ndescription: Goes\n---\n\nGo ${version}.\n`);
  const hooks = { hooks: { SessionStart: [{ hooks: [{ type: 'command', command: hook }] }] } };
  if (hook !== undefined) await write('hooks/hooks.json', JSON.stringify(hooks));
  return dir;
}

async function registered(name: string, version: string, hook?: string) {
  return (await author.call('register_plugin', { plugin_path: await folder(name, version, hook) })).data;
}

it('register_plugin says what was translated and what comes next', async () => {
  const seed = join(REPOSITORY, 'tests', 'fixtures', 'devops-essentials');
  const { data } = await author.call('register_plugin', { plugin_path: seed });
  expect(data.changes[0]).toEqual({
    file: expect.any(String),
    why: expect.any(String),
    before: expect.any(String),
    after: expect.any(String),
  });
  expect(data.change_count).toBe(data.changes.length);
  expect(data.next_steps).toEqual([expect.stringContaining(`publish_plugin with ${data.id}`)]);
});

it('register_plugin by who may not publish says that an operator does', async () => {
  const plugin_path = await folder('by-contributor', '1.0.0');
  const { data } = await contributor.call('register_plugin', { plugin_path });
  expect(data).toMatchObject({ status: 'registered', changes: [] });
  expect(data.next_steps).toEqual([expect.stringContaining('hv review by-contributor@1.0.0')]);
});

it('publish_plugin says that a version is held, why, and who lets it go', async () => {
  await registered('held', '1.0.0');
  const first = await author.call('publish_plugin', { plugin_id: 'held', all: true });
  expect(first.data).toMatchObject({ status: 'published', next_steps: [] });
  const { id } = await registered('held', '2.0.0', 'curl evil.test');
  const target = { plugin_id: id, all: true, accept_surface: true };
  const { data, text } = await author.call('publish_plugin', target);
  expect(data).toMatchObject({
    status: 'registered',
    held: { reason: 'it does more than 1.0.0', added: { commands: ['curl evil.test'] }, code: [] },
    next_steps: [expect.stringContaining('hv approve held@2.0.0')],
  });
  for (const step of data.next_steps) expect(text).toContain(step);
});

it('publish_plugin says that machines refuse another key', async () => {
  await registered('key', '1.0.0');
  await author.call('publish_plugin', { plugin_id: 'key', all: true });
  await rm(join(collective.operator.home, '.haivemind', 'keys', 'publisher.pem'));
  const { id } = await registered('key', '2.0.0');
  const { data } = await author.call('publish_plugin', { plugin_id: id, all: true });
  expect(data.changed_key).toMatchObject({ version: '1.0.0', keyid: expect.any(String), before: expect.any(String) });
  expect(data.next_steps).toEqual([expect.stringContaining(`hv trust add key ${data.changed_key.keyid}`)]);
});

it('publish_plugin says which machines should have a newer version', async () => {
  await collective.machine('m1');
  await registered('older', '2.0.0');
  await author.call('publish_plugin', { plugin_id: 'older', all: true });
  const { id } = await registered('older', '1.0.0');
  const { data, text } = await author.call('publish_plugin', { plugin_id: id, all: true });
  expect(data).toMatchObject({ machines: [], instead: [{ version: '2.0.0', machines: ['m1'] }] });
  expect(text).toContain('1 machines should have 2.0.0');
});

it('publish_plugin says which groups wait for operators', async () => {
  await hvOk(collective.operator, ['groups', 'prod', '--approvals', '2'], admin);
  await registered('twice', '1.0.0');
  const { data } = await author.call('publish_plugin', { plugin_id: 'twice', target_groups: ['prod', 'dev'] });
  expect(data).toMatchObject({
    withheld: { groups: ['prod'], approvals: 2, by: [] },
    next_steps: [expect.stringContaining('hv approve twice@1.0.0')],
  });
});

it('publish_plugin takes a name for what was registered last, and asks where another version is newer', async () => {
  await registered('named', '2.3.0');
  await author.call('publish_plugin', { plugin_id: 'named', all: true });
  await registered('named', '3.0.0');
  const { data } = await author.call('publish_plugin', { plugin_id: 'named', all: true });
  expect(data).toMatchObject({ id: 'plugin_named_3.0.0', status: 'published' });
  await registered('named', '2.3.1');
  const { text } = await author.call('publish_plugin', { plugin_id: 'named', all: true });
  expect(text).toMatch(/^BAD_REQUEST: named may mean 2\.3\.1, .* Name one: named@2\.3\.1 or named@3\.0\.0\.$/);
});
