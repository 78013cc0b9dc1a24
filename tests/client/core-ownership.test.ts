// haivemind-core has one owner at a time: the stock client's marketplace, or the collective.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Collective } from '../support/collective.ts';
import { hvOk } from '../support/hv.ts';
import { pluginCopy } from '../support/repository.ts';
import type { TempHome } from '../support/temp-home.ts';
import { claudePluginOk, listPlugins } from './harness/claude-plugin.ts';
import { scriptedSession } from './harness/with-model.ts';

const STOCK = 'haivemind-core@haivemind';
const OURS = 'haivemind-core@collective';

const NO_REGISTRY = {
  npm_config_registry: 'http://127.0.0.1:1',
  npm_config_fetch_retries: '0',
  npm_config_offline: 'true',
};

let collective: Collective;
let repository: Awaited<ReturnType<typeof pluginCopy>>;
let home: TempHome;
let count = 0;
beforeAll(async () => {
  collective = await Collective.start();
  repository = await pluginCopy();
});
afterAll(async () => {
  await collective?.close();
  await repository?.remove();
});
beforeEach(async () => {
  count += 1;
  home = await collective.home(`owner-${count}`);
});

async function installStock() {
  await claudePluginOk(home, 'marketplace', 'add', repository.root);
  // The client runs "npm ci" in a plugin that has a lock file (half a minute) and goes on without when that fails: it is not needed.
  await claudePluginOk({ ...home, env: (extra) => home.env({ ...NO_REGISTRY, ...extra }) }, 'install', STOCK);
}
const joinHub = () => collective.join(home, `owner-${count}`);

async function enabled(): Promise<string[]> {
  const text = await readFile(join(home.home, '.claude', 'settings.json'), 'utf8').catch(() => '{}');
  const keys = (JSON.parse(text) as { enabledPlugins?: Record<string, boolean> }).enabledPlugins ?? {};
  return Object.keys(keys).filter((key) => keys[key] && key.startsWith('haivemind-core@'));
}

/** Exit codes of the core's start hooks, each run once. */
async function startHooksOnce(): Promise<number[]> {
  const text = await readFile(join(repository.root, 'hooks', 'hooks.json'), 'utf8');
  const { hooks } = JSON.parse(text) as { hooks: { SessionStart: { hooks: unknown[] }[] } };
  return hooks.SessionStart.flatMap((entry) => entry.hooks).map(() => 0);
}

/** Runs a session and says whose core it had; one plugin, one connected server, each start hook once, the command usable. */
async function coreInSession(): Promise<string | undefined> {
  const { init, hooks, result } = await scriptedSession(home);
  const cores = init.plugins.filter((plugin) => plugin.name === 'haivemind-core');
  expect(cores).toHaveLength(1);
  expect(init.mcp_servers.filter((server) => server.name.includes('haivemind'))).toEqual([
    expect.objectContaining({ name: 'plugin:haivemind-core:haivemind', status: 'connected' }),
  ]);
  expect(hooks.filter((hook) => hook.event === 'SessionStart').map((hook) => hook.exitCode)).toEqual(
    await startHooksOnce(),
  );
  expect(init.slash_commands).toContain('haivemind-core:hv-plugin');
  expect(result.is_error).toBe(false);
  return cores[0]?.source;
}

describe('installed with the stock client first', () => {
  it('works, hands over on join and takes back on leave', async () => {
    await installStock();
    expect(await enabled()).toEqual([STOCK]);
    expect(await coreInSession()).toBe(STOCK);

    await joinHub();
    expect(await enabled()).toEqual([OURS]);
    expect(await coreInSession()).toBe(OURS);
    expect((await listPlugins(home)).flatMap((plugin) => plugin.errors ?? [])).toEqual([]);

    await hvOk(home, ['leave']);
    expect(await enabled()).toEqual([STOCK]);
    expect(await coreInSession()).toBe(STOCK);
    expect((await listPlugins(home)).map((plugin) => plugin.id)).toEqual([STOCK]);
  });

  it('a stock core that the user had disabled stays disabled after leave', async () => {
    await installStock();
    await claudePluginOk(home, 'disable', STOCK);
    await joinHub();
    expect(await enabled()).toEqual([OURS]);
    await hvOk(home, ['leave']);
    expect(await enabled()).toEqual([]);
  });
});

describe('joined first', () => {
  it('a stock install on top is handed over by the next sync, and leave hands it to the stock client', async () => {
    await joinHub();
    expect(await coreInSession()).toBe(OURS);
    await installStock();
    await hvOk(home, ['sync']);
    expect(await enabled()).toEqual([OURS]);
    expect(await coreInSession()).toBe(OURS);
    await hvOk(home, ['leave']);
    expect(await enabled()).toEqual([STOCK]);
    expect(await coreInSession()).toBe(STOCK);
  });

  it('a stock install on top is handed over by the next session itself', async () => {
    await joinHub();
    await installStock();
    await scriptedSession(home);
    expect(await enabled()).toEqual([OURS]);
    expect(await coreInSession()).toBe(OURS);
  });

  it('a stock core that was uninstalled meanwhile does not come back with leave', async () => {
    await installStock();
    await joinHub();
    await claudePluginOk(home, 'uninstall', STOCK);
    await hvOk(home, ['leave']);
    expect(await enabled()).toEqual([]);
    expect(await listPlugins(home)).toEqual([]);
  });

  it('a person who disabled the core of the collective keeps the stock one', async () => {
    await joinHub();
    await installStock();
    await claudePluginOk(home, 'disable', OURS);
    await hvOk(home, ['sync']);
    expect(await enabled()).toEqual([STOCK]);
    expect(await coreInSession()).toBe(STOCK);
  });

  it('leave without a stock install leaves no core at all', async () => {
    await joinHub();
    await hvOk(home, ['leave']);
    expect(await enabled()).toEqual([]);
    const { init } = await scriptedSession(home);
    expect(init.plugins).toEqual([]);
  });
});
