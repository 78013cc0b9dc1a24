// The core plugin as the stock client installs it, in a real session, with its own options for hub and token.
import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { claudePluginOk } from '../client/harness/claude-plugin.ts';
import { scriptedSession } from '../client/harness/with-model.ts';
import { Collective } from '../support/collective.ts';
import { pluginCopy } from '../support/repository.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';

// Several starts of the client each, on machines that may be busy.
vi.setConfig({ testTimeout: 240_000 });

const STATUS = 'mcp__plugin_haivemind-core_haivemind__get_plugin_status';
let copy: Awaited<ReturnType<typeof pluginCopy>>;
let home: TempHome;

beforeAll(async () => {
  copy = await pluginCopy();
});
afterAll(() => copy?.remove());
beforeEach(async () => {
  home = await tempHome('stock');
  await claudePluginOk(home, 'marketplace', 'add', copy.root);
  return () => home.remove();
});

// The client shows the model structuredContent where there is some, not the text beside it.
const said = (session: { hooks: { event: string; output: string; stdout: string; exitCode: number | null }[] }) =>
  session.hooks.filter((hook) => hook.event === 'SessionStart').map((hook) => hook.stdout || hook.output);

it('says how to join, connects its server, and keeps its cache in its own data folder', async () => {
  await claudePluginOk(home, 'install', 'haivemind-core@haivemind');
  const steps = [{ tool: STATUS, input: {} }, { text: 'done' }];
  const session = await scriptedSession(home, steps, { prompt: '/haivemind-core:hv-status' });
  expect(session.init.mcp_servers).toContainEqual(
    expect.objectContaining({ name: 'plugin:haivemind-core:haivemind', status: 'connected' }),
  );
  expect(said(session).join('\n')).toContain('has joined no hub yet');
  expect(session.toolResults).toMatchObject([{ isError: false, text: expect.stringContaining('"machine":null') }]);
  const data = join(home.home, '.claude', 'plugins', 'data');
  const files = await readdir(data, { recursive: true });
  expect(files.some((name) => name.endsWith('.v8'))).toBe(true);
  await expect(access(join(home.home, '.haivemind'))).rejects.toThrow();
});

it('joins by its options at the first session, and has the bare command from the next on', async () => {
  const collective = await Collective.start();
  try {
    const options = ['--config', `hub_url=${collective.hub.url}`, '--config', `token=${collective.hub.joinToken}`];
    await claudePluginOk(home, 'install', 'haivemind-core@haivemind', ...options);
    expect(said(await scriptedSession(home)).join('\n')).toMatch(/hAIveMind: joined http/);
    const steps = [{ tool: STATUS, input: {} }, { text: 'done' }];
    const session = await scriptedSession(home, steps, { prompt: '/hv-status' });
    expect(session.init.plugins.filter((plugin) => plugin.name === 'haivemind-core')).toHaveLength(1);
    expect(session.toolResults).toMatchObject([{ isError: false, text: expect.stringContaining('"in_step":true') }]);
  } finally {
    await collective.close();
  }
});
