// A plugin that needs an MCP server says so where Claude Code has none of that name.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { machineStatus } from '../../server/src/client/status.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { publish, type TestHub, testHub } from '../hub/support.ts';
import { type RealClient, realClient } from './real-client.ts';

describe('the MCP servers that a plugin needs', () => {
  let t: TestHub;
  let machine: RealClient;
  const needs = { dependencies: { mcp_servers: ['tickets', 'wiki'] } };
  beforeEach(async () => {
    t = await testHub('sqlite');
    await publish(t.url, t.admin, { name: 'aa', manifest: needs });
    await publish(t.url, t.admin, { name: 'plain' });
    machine = await realClient(t.url, t.hub.joinToken, 'm1');
  });
  afterEach(async () => {
    await machine.remove();
    await t.close();
  });
  const lacks = async () =>
    (await machineStatus(machine.ctx)).problems.map(({ name, code, message }) => [
      name,
      code,
      message.split(', which')[0],
    ]);
  const put = async (path: string, value: unknown) => {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, typeof value === 'string' ? value : JSON.stringify(value));
  };

  it('are looked for among the user’s own, ours, and those of other marketplaces', async () => {
    const { paths } = machine.ctx.machine;
    expect(await lacks()).toEqual([['aa', 'MCP_SERVER_MISSING', 'aa needs the MCP servers tickets, wiki']]);
    await put(paths.claudeJson, { mcpServers: { wiki: { command: 'wiki' } } });
    expect(await lacks()).toEqual([['aa', 'MCP_SERVER_MISSING', 'aa needs the MCP server tickets']]);
    await publish(t.url, t.admin, {
      name: 'brings',
      files: { '.mcp.json': JSON.stringify({ mcpServers: { tickets: { command: 'node', args: ['x.js'] } } }) },
    });
    await syncMachine(machine.ctx, { mode: 'agent' });
    expect(await lacks()).toEqual([]);
    expect((await machineStatus(machine.ctx)).in_step).toBe(true);
  });

  it('of a plugin of another marketplace count unless it is switched off', async () => {
    const {
      paths,
      paths: { home },
    } = machine.ctx.machine;
    await put(paths.claudeJson, { mcpServers: { wiki: { command: 'wiki' } } });
    const folder = join(home, 'elsewhere');
    await put(join(folder, '.claude-plugin/plugin.json'), {
      name: 'other',
      mcpServers: { tickets: { command: 'tickets' } },
    });
    await put(paths.installedPlugins, { version: 2, plugins: { 'other@market': [{ installPath: folder }] } });
    expect(await lacks()).toEqual([]);
    await put(paths.settings, { enabledPlugins: { 'other@market': false } });
    expect(await lacks()).toHaveLength(1);
  });

  it('are not there in files that hold something else', async () => {
    const { paths } = machine.ctx.machine;
    for (const text of ['', '{', '[]', '{"mcpServers":["tickets","wiki"]}']) {
      await put(paths.claudeJson, text);
      expect(await lacks()).toHaveLength(1);
    }
  });
});
