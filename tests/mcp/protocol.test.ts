import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SUPPORTED_PROTOCOL_VERSIONS } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { greet, REVISIONS } from '../../server/src/interfaces/mcp/greeting.ts';
import { TOOLS } from '../../server/src/interfaces/mcp/tools/index.ts';
import { startMcp } from '../support/mcp-client.ts';
import { pluginCopy } from '../support/repository.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';

let copy: Awaited<ReturnType<typeof pluginCopy>>;
let home: TempHome;

beforeAll(async () => {
  copy = await pluginCopy();
});
afterAll(() => copy?.remove());
beforeEach(async () => {
  home = await tempHome('mcp');
  return () => home.remove();
});

const file = () => join(copy.root, 'server', 'dist', 'mcp.mjs');

/** Sends raw lines, closes stdin and returns the parsed answers. */
async function exchange(lines: (string | object)[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [file()], { env: home.env(env), cwd: home.project });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk) => {
    stderr += chunk;
  });
  child.stdin.end(lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join(''));
  const [code] = await once(child, 'close');
  const answers = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
  return { answers, code, stderr };
}

const initialize = (protocolVersion: unknown, id = 1) => ({
  jsonrpc: '2.0',
  id,
  method: 'initialize',
  params: { protocolVersion, capabilities: {}, clientInfo: { name: 'test', version: '1' } },
});

describe('the MCP server, from a copy with no node_modules anywhere above', () => {
  it("answers the SDK client's initialize and tools/list with every tool", async () => {
    const mcp = await startMcp(copy.root, home);
    try {
      expect(mcp.client.getServerVersion()).toMatchObject({ name: 'haivemind' });
      expect(mcp.client.getServerCapabilities()).toEqual({ tools: {} });
      const { tools } = await mcp.client.listTools();
      expect(tools.map((tool) => tool.name).sort()).toEqual(Object.keys(TOOLS).sort());
      for (const tool of tools) {
        expect(tool.inputSchema.type).toBe('object');
        expect(tool.outputSchema?.type).toBe('object');
        expect(tool.description?.length).toBeGreaterThan(60);
        expect(tool.annotations?.readOnlyHint).toBe(
          [
            'list_plugins',
            'plugin_info',
            'recommend_plugins',
            'explain_plugin',
            'get_plugin_status',
            'explain_plugin',
            'search_memories',
            'get_recent_memories',
            'get_agent_roster',
            'query_agent_knowledge',
            'list_tasks',
          ].includes(tool.name),
        );
      }
      await mcp.client.ping();
    } finally {
      await mcp.close();
    }
  });

  it("takes the seed's parameters", async () => {
    const { answers } = await exchange([{ jsonrpc: '2.0', id: 1, method: 'tools/list' }]);
    const parameters = Object.fromEntries(
      answers[0].result.tools.map((t: { name: string; inputSchema: { properties: object } }) => [
        t.name,
        Object.keys(t.inputSchema.properties),
      ]),
    );
    expect(parameters).toMatchObject({
      register_plugin: ['plugin_path', 'plugin_archive', 'plugin_url'],
      publish_plugin: ['plugin_id', 'target_groups', 'all', 'notify_agents', 'accept_surface'],
      install_plugin: ['plugin_id', 'version', 'target_machines', 'force'],
      list_plugins: expect.arrayContaining(['installed_only', 'machine_group', 'capability_filter', 'search_query']),
      sync_plugins: ['force', 'dry_run'],
      get_plugin_status: ['plugin_id', 'machine', 'fleet'],
    });
    const install = answers[0].result.tools.find((t: { name: string }) => t.name === 'install_plugin');
    expect(install.inputSchema.required).toEqual(['plugin_id']);
    expect(install.inputSchema.properties.version.default).toBe('latest');
  });

  it.each(['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'])('speaks revision %s', async (revision) => {
    const { answers, code } = await exchange([initialize(revision)]);
    expect(answers[0].result).toMatchObject({ protocolVersion: revision, serverInfo: { name: 'haivemind' } });
    expect(code).toBe(0);
  });

  it('offers its newest revision to a client from the future, and refuses one that states none', async () => {
    const { answers } = await exchange([initialize('2099-01-01'), initialize(undefined, 2)]);
    expect(answers.find((a) => a.id === 1).result.protocolVersion).toBe('2025-11-25');
    expect(answers.find((a) => a.id === 2).error).toBeDefined();
  });

  it('greets at once exactly as the SDK does, and only once', async () => {
    expect(REVISIONS).toEqual(SUPPORTED_PROTOCOL_VERSIONS);
    const bySdk = await exchange([{ jsonrpc: '2.0', id: 9, method: 'ping' }, initialize('2025-06-18')]);
    const greeted = await exchange([initialize('2025-06-18'), { jsonrpc: '2.0', id: 9, method: 'ping' }]);
    expect(bySdk.answers.map((a) => a.id).sort()).toEqual([1, 9]);
    expect(greeted.answers.map((a) => a.id)).toEqual([1, 9]);
    expect(greeted.answers[0]).toEqual(bySdk.answers.find((a) => a.id === 1));
  });

  it.each([
    ['another method', { jsonrpc: '2.0', id: 1, method: 'ping' }],
    ['a notification', { ...initialize('2025-06-18'), id: undefined }],
    ['an unknown revision', initialize('1999-01-01')],
    ['no client', { ...initialize('2025-06-18'), params: { protocolVersion: '2025-06-18', capabilities: {} } }],
    ['no object', 7],
    ['nothing', null],
  ])('leaves %s to the SDK', (_, message) => {
    expect(greet(JSON.stringify(message))).toBeUndefined();
    expect(greet('{"jsonrpc":')).toBeUndefined();
  });

  it.each([
    ['no JSON', '{"jsonrpc":'],
    ['no object', '7'],
    ['no version', { id: 3, method: 'ping' }],
    ['no method', { jsonrpc: '2.0', id: 3 }],
    ['an id that is none', { jsonrpc: '2.0', id: {}, method: 'ping' }],
    ['an empty list', '[]'],
    ['a notification nobody knows', { jsonrpc: '2.0', method: 'notifications/whatever' }],
    ['an answer to nothing', { jsonrpc: '2.0', id: 4, result: {} }],
  ])('passes over %s and goes on', async (_, message) => {
    const { answers } = await exchange([message, { jsonrpc: '2.0', id: 9, method: 'ping' }]);
    expect(answers).toEqual([{ jsonrpc: '2.0', id: 9, result: {} }]);
  });

  it.each([
    ['an unknown method', { jsonrpc: '2.0', id: 3, method: 'resources/list' }],
    ['a call without a name', { jsonrpc: '2.0', id: 3, method: 'tools/call', params: {} }],
    [
      'arguments that are a list',
      { jsonrpc: '2.0', id: 3, method: 'tools/call', params: { name: 'list_plugins', arguments: [] } },
    ],
  ])('answers %s with an error and goes on', async (_, message) => {
    const { answers } = await exchange([message, { jsonrpc: '2.0', id: 9, method: 'ping' }]);
    expect(answers).toHaveLength(2);
    expect(answers.find((a) => a.id === 3).error).toMatchObject({
      code: expect.any(Number),
      message: expect.any(String),
    });
    expect(answers).toContainEqual({ jsonrpc: '2.0', id: 9, result: {} });
  });

  it('reads messages that arrive in pieces, in the middle of a character', async () => {
    const child = spawn(process.execPath, [file()], { env: home.env(), cwd: home.project });
    const bytes = Buffer.from(
      `${JSON.stringify({ jsonrpc: '2.0', id: 'ü', method: 'ping' })}\r\n${JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'ping' })}\n`,
    );
    const out = once(child.stdout.setEncoding('utf8'), 'data');
    const cut = bytes.indexOf(0xc3) + 1;
    child.stdin.write(bytes.subarray(0, cut));
    await new Promise((resolve) => setTimeout(resolve, 20));
    child.stdin.end(bytes.subarray(cut));
    expect(String(await out)).toContain('"id":"ü"');
    await once(child, 'close');
  });

  it('does not answer a call that was taken back', async () => {
    const { answers } = await exchange([
      { jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'list_plugins', arguments: {} } },
      { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7 } },
      { jsonrpc: '2.0', id: 8, method: 'ping' },
    ]);
    expect(answers).toEqual([{ jsonrpc: '2.0', id: 8, result: {} }]);
  });

  it('ends when it is told to', async () => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const child = spawn(process.execPath, [file()], { env: home.env(), cwd: home.project });
      child.stdin.write(`${JSON.stringify(initialize('2025-06-18'))}\n`);
      await once(child.stdout, 'data');
      child.kill(signal);
      expect(await once(child, 'exit')).toEqual([0, null]);
    }
  });
});

describe('errors of tools', () => {
  const call = (name: string, args: object) => ({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name, arguments: args },
  });
  const text = async (name: string, args: object, env: Record<string, string> = {}): Promise<string> => {
    const { answers } = await exchange([call(name, args)], env);
    expect(answers[0].result.isError).toBe(true);
    expect(answers[0].result.content).toHaveLength(1);
    return answers[0].result.content[0].text;
  };

  it('are results that read CODE: message. hint', async () => {
    expect(await text('list_plugins', {})).toBe(
      'HUB_NOT_CONFIGURED: This machine knows no hub. Run `hv join URL --token T`.',
    );
    expect(await text('sync_plugins', {})).toMatch(/^NOT_JOINED: /);
    expect(await text('no_such_tool', {})).toMatch(
      /^USAGE: There is no tool no_such_tool\. The tools are list_plugins/,
    );
  });

  it('name the argument that is wrong', async () => {
    expect(await text('install_plugin', {})).toMatch(/^BAD_REQUEST: .*plugin_id.* It takes plugin_id, version/);
    expect(await text('install_plugin', { plugin_id: 'x', forced: true })).toMatch(/^BAD_REQUEST: .*forced/);
    expect(await text('list_plugins', { limit: 'many' })).toMatch(/^BAD_REQUEST: .*limit/);
    expect(await text('__proto__', {})).toMatch(/^USAGE: /);
  });

  it('tell apart the sources of a registration', async () => {
    expect(await text('register_plugin', {})).toMatch(/^BAD_REQUEST: .*0 were given/);
    expect(await text('register_plugin', { plugin_path: '.', plugin_url: 'https://x.example/p.zip' })).toMatch(
      /^BAD_REQUEST: .*2 were given/,
    );
    expect(await text('register_plugin', { plugin_archive: 'not base64!' })).toMatch(/^BODY_INVALID: /);
  });

  it('say that the hub is away', async () => {
    const env = { HAIVEMIND_HUB_URL: 'http://127.0.0.1:1', HAIVEMIND_TOKEN: 'hvt_x' };
    expect(await text('list_plugins', {}, env)).toMatch(/^HUB_UNREACHABLE: http:\/\/127\.0\.0\.1:1 /);
  });

  it('keep a broken configuration apart from a missing one', async () => {
    await mkdir(join(home.home, '.haivemind'));
    await writeFile(join(home.home, '.haivemind', 'config.json'), '{ not json');
    expect(await text('list_plugins', {})).toMatch(/^CONFIG_INVALID: /);
  });
});

describe('the code cache', () => {
  const data = () => join(home.home, 'plugin data');
  const start = () =>
    exchange([{ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'get_plugin_status', arguments: {} } }], {
      CLAUDE_PLUGIN_DATA: data(),
    });
  const files = async (): Promise<string[]> => (await readdir(data())).filter((name) => name.endsWith('.v8'));

  it('is made under CLAUDE_PLUGIN_DATA and keyed by Node, architecture and bundle', async () => {
    await start();
    const names = (await files()).sort();
    const key = `${process.version.replaceAll('.', '\\.')}-${process.arch}-[0-9a-f]{16}`;
    expect(names).toEqual([
      expect.stringMatching(new RegExp(`^serve-${key}\\.v8$`)),
      expect.stringMatching(new RegExp(`^work-${key}\\.v8$`)),
    ]);
    expect((await readdir(data())).sort()).toEqual(names);
    const read = () => Promise.all(names.map((name) => readFile(join(data(), name), 'base64')));
    const before = await read();
    expect((await start()).answers[0].result.isError).toBeUndefined();
    expect(await read()).toEqual(before);
  });

  it.each([
    ['cut short', (b: Buffer) => b.subarray(0, b.length / 2)],
    ['empty', () => Buffer.alloc(0)],
    [
      'with one byte changed',
      (b: Buffer) => Buffer.from(b).fill((b[b.length >> 1] ?? 0) ^ 0x41, b.length >> 1, (b.length >> 1) + 1),
    ],
    ['zeroes', (b: Buffer) => Buffer.alloc(b.length)],
  ])('that is %s is not trusted, and made anew', async (_, damage) => {
    await start();
    const [name = ''] = await files();
    const path = join(data(), name);
    const good = await readFile(path);
    await writeFile(path, damage(good));
    const { answers, code } = await start();
    expect(code).toBe(0);
    expect(answers[0].result.structuredContent).toMatchObject({ machine: null });
    expect((await readFile(path)).length).toBeGreaterThan(good.length / 2);
    expect((await readFile(path)).subarray(0, 4).toString()).toBe('HVC1');
  });

  it('may be impossible to write', async () => {
    await writeFile(data(), 'a file where the folder should be');
    const { answers, code } = await start();
    expect(code).toBe(0);
    expect(answers[0].result.structuredContent).toMatchObject({ machine: null });
  });
});

it('needs nothing beside its one file', async () => {
  const alone = join(home.home, 'alone');
  await mkdir(alone);
  await writeFile(join(alone, 'mcp.mjs'), await readFile(file()));
  await chmod(alone, 0o555);
  const out = await new Promise<string>((resolve, reject) => {
    const child = execFile(process.execPath, [join(alone, 'mcp.mjs')], { env: home.env() }, (error, stdout) =>
      error ? reject(error) : resolve(stdout),
    );
    child.stdin?.end(
      `${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'get_plugin_status' } })}\n`,
    );
  });
  expect(JSON.parse(out).result.structuredContent.machine).toBeNull();
  await rm(alone, { recursive: true });
});
