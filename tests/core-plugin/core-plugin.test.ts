import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ERRORS } from '../../server/src/domain/errors.ts';
import { TOOLS } from '../../server/src/interfaces/mcp/tools/index.ts';
import { claudePluginOk } from '../client/harness/claude-plugin.ts';
import { pluginCopy, REPOSITORY } from '../support/repository.ts';
import { tempHome } from '../support/temp-home.ts';

const read = (path: string) => readFile(join(REPOSITORY, path), 'utf8');
const json = async (path: string) => JSON.parse(await read(path));

/** Every Markdown file that the core plugin ships for the client. */
async function markdown(): Promise<{ path: string; text: string }[]> {
  const files = await Promise.all(
    ['commands', 'agents', 'skills'].map(async (folder) =>
      (await readdir(join(REPOSITORY, folder), { recursive: true }))
        .filter((name) => name.endsWith('.md'))
        .map((name) => `${folder}/${name}`),
    ),
  );
  return Promise.all(files.flat().map(async (path) => ({ path, text: await read(path) })));
}

it('has one version everywhere', async () => {
  const { version } = await json('package.json');
  expect((await json('.claude-plugin/plugin.json')).version).toBe(version);
  expect((await json('package-lock.json')).version).toBe(version);
});

it('is a marketplace whose one plugin is the repository itself', async () => {
  const marketplace = await json('.claude-plugin/marketplace.json');
  expect(marketplace).toMatchObject({ name: 'haivemind', plugins: [{ name: 'haivemind-core', source: './' }] });
  expect(await json('.claude-plugin/plugin.json')).toMatchObject({
    name: 'haivemind-core',
    haivemind: { global_commands: true },
    userConfig: { hub_url: { type: 'string' }, token: { type: 'string', sensitive: true } },
  });
});

it('starts its hook through sh, which needs no executable bit, and its server with Node', async () => {
  const { hooks } = await json('hooks/hooks.json');
  const [handler] = hooks.SessionStart[0].hooks;
  expect(handler).toMatchObject({ command: 'sh', args: [`\${CLAUDE_PLUGIN_ROOT}/hooks/session-start.sh`] });
  expect((await stat(join(REPOSITORY, 'hooks', 'session-start.sh'))).isFile()).toBe(true);
  const { mcpServers } = await json('.mcp.json');
  expect(mcpServers.haivemind).toMatchObject({
    command: 'node',
    args: [`\${CLAUDE_PLUGIN_ROOT}/server/dist/mcp.mjs`],
  });
});

it('knows every word of the seed, names only tools that exist, and only codes that exist', async () => {
  const plugin = await read('commands/hv-plugin.md');
  for (const word of [
    'list',
    'search',
    'install',
    'update',
    'remove',
    'info',
    'create',
    'publish',
    'sync',
    'rollback',
  ]) {
    expect(plugin).toContain(`\`${word}`);
  }
  for (const { path, text } of await markdown()) {
    for (const [, name] of text.matchAll(/`([a-z]+_plugins?(?:_[a-z]+)?)`/g)) {
      expect(Object.keys(TOOLS), `${path} names ${name}`).toContain(name);
    }
    for (const [, code] of text.matchAll(/`([A-Z]{3,}(?:_[A-Z]+)+)`/g)) {
      expect(Object.keys(ERRORS), `${path} names ${code}`).toContain(code);
    }
  }
});

it('grants its commands the tools under both names they can have', async () => {
  for (const { path, text } of await markdown()) {
    if (!path.startsWith('commands/')) continue;
    const grants = /^allowed-tools: (.*)$/m.exec(text)?.[1]?.split(', ');
    expect(grants, path).toEqual(['mcp__plugin_haivemind-core_haivemind__*', 'mcp__haivemind__*']);
  }
});

it('costs a session little context', async () => {
  const home = await tempHome('details');
  const copy = await pluginCopy();
  try {
    await claudePluginOk(home, 'marketplace', 'add', copy.root);
    await claudePluginOk(home, 'install', 'haivemind-core@haivemind');
    const { stdout } = await claudePluginOk(home, 'details', 'haivemind-core@haivemind');
    const tokens = Number(/Always-on:\s+~(\d+) tok/.exec(stdout)?.[1]);
    expect(tokens).toBeGreaterThan(0);
    expect(tokens).toBeLessThan(600);
  } finally {
    await copy.remove();
    await home.remove();
  }
}, 240_000);
