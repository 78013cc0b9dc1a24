// The policy's sandbox in the real client: what a plugin's hook and server reach, in both layouts, and what becomes of them where
// the system confines nothing.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { whySystemCannot } from '../../server/src/client/trust/confining.ts';
import { Collective } from '../support/collective.ts';
import { hv, hvOk } from '../support/hv.ts';
import { buildDist } from '../support/repository.ts';
import { runProcess } from '../support/run-process.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { writeFiles } from './harness/hand-made-plugin.ts';
import { scriptedSession } from './harness/with-model.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

const ROOT = '$' + '{CLAUDE_PLUGIN_ROOT}';
const unable = await whySystemCannot([dirname(process.execPath), '/usr/local/bin', '/usr/bin', '/bin'].join(delimiter));

/** Tries everything, prints what came of it as JSON. */
const PROBE = `
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
const SPEC = JSON.parse(readFileSync(new URL('./spec.json', import.meta.url), 'utf8'));
const attempt = (work) => { try { return work() ?? 'done'; } catch (e) { return e.code; } };
const project = process.env.CLAUDE_PROJECT_DIR ?? process.cwd();
const proxy = process.env.HTTP_PROXY ?? process.env.http_proxy;
const get = (port) => new Promise((resolve) => {
  const url = 'http://127.0.0.1:' + port + '/';
  const via = proxy ? new URL(proxy) : new URL(url);
  const headers = proxy ? { 'proxy-authorization': 'Basic ' + Buffer.from(decodeURIComponent(via.username + ':' + via.password)).toString('base64'), host: '127.0.0.1:' + port } : {};
  request({ host: via.hostname, port: via.port, path: proxy ? url : '/', headers }, (res) => { res.resume(); resolve(res.statusCode); })
    .on('error', (e) => resolve(e.code)).end();
});
export async function probe() {
  return {
    ssh: attempt(() => readFileSync(join(SPEC.home, '.ssh', 'id_ed25519'), 'utf8')),
    token: attempt(() => readFileSync(join(SPEC.home, '.haivemind', 'config.json'), 'utf8') && 'read'),
    outside: attempt(() => writeFileSync(join(project, 'outside.txt'), 'x')),
    own: attempt(() => writeFileSync(new URL('./hooks/hooks.json', import.meta.url), '{}')),
    inside: attempt(() => writeFileSync(join(project, 'allowed', SPEC.name + '.txt'), 'x')),
    project: attempt(() => readFileSync(join(project, 'note.txt'), 'utf8')),
    declared: await get(SPEC.declared),
    undeclared: await get(SPEC.undeclared),
    secret: process.env.MY_SECRET ?? null,
    given: process.env.PROBE_GIVEN ?? null,
  };
}
`;
const HOOK = `
import { probe } from './probe.mjs';
process.stdin.resume();
console.log(JSON.stringify({ systemMessage: 'PROBE ' + JSON.stringify(await probe()) }));
`;
const SERVER = `
import { createInterface } from 'node:readline';
import { probe } from './probe.mjs';
const reply = (id, result) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\\n');
createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, method, params } = JSON.parse(line);
  if (method === 'initialize')
    reply(id, { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'probe', version: '1.0.0' } });
  else if (method === 'tools/list') reply(id, { tools: [{ name: 'try', description: 'Tries', inputSchema: { type: 'object' } }] });
  else if (method === 'tools/call') reply(id, { content: [{ type: 'text', text: JSON.stringify(await probe()) }] });
  else if (id !== undefined) reply(id, {});
});
`;

const CONFINED = {
  ssh: 'ENOENT',
  token: 'ENOENT',
  outside: expect.any(String),
  own: 'EROFS',
  inside: 'done',
  project: 'a note',
  declared: 200,
  undeclared: 403,
  secret: null,
  given: 'yes',
};

let collective: Collective;
let declared: Server;
let undeclared: Server;
const listening = async () => {
  const server = createServer((_req, res) => res.end('ok'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
};
const portOf = (server: Server) => (server.address() as AddressInfo).port;

beforeAll(async () => {
  collective = await Collective.start();
  declared = await listening();
  undeclared = await listening();
});
afterAll(async () => {
  declared?.close();
  undeclared?.close();
  await collective?.close();
});

/** A plugin that tries what it must not and what it may, and what it declares to be allowed. */
async function probePlugin(home: TempHome, name: string): Promise<string> {
  const folder = join(collective.operator.project, name);
  await writeFiles(folder, {
    '.claude-plugin/plugin.json': {
      name,
      version: '1.0.0',
      description: 'Tries what it may',
      author: { name: 'T' },
      haivemind: {
        permissions: {
          hook_events: ['SessionStart'],
          commands: ['*'],
          mcp_servers: ['probe'],
          hosts: [`127.0.0.1:${portOf(declared)}`],
          files: ['./allowed'],
          environment: ['PROBE_GIVEN'],
        },
      },
    },
    'hooks/hooks.json': {
      hooks: {
        SessionStart: [{ hooks: [{ type: 'command', command: `PROBE_GIVEN=yes node "${ROOT}/hook.mjs" | cat` }] }],
      },
    },
    '.mcp.json': {
      mcpServers: {
        probe: { command: 'node', args: [`${ROOT}/server.mjs`], env: { PROBE_GIVEN: 'yes', PROBE_OTHER: 'no' } },
      },
    },
    'probe.mjs': PROBE,
    'hook.mjs': HOOK,
    'server.mjs': SERVER,
    'spec.json': { name, home: home.home, declared: portOf(declared), undeclared: portOf(undeclared) },
  });
  return folder;
}

async function desk(label: string, policy: object): Promise<TempHome> {
  const home = await collective.home(label);
  await writeFiles(home.home, { '.haivemind/policy.json': policy, '.ssh/id_ed25519': 'PRIVATE KEY' });
  await writeFile(join(home.project, 'note.txt'), 'a note');
  await mkdir(join(home.project, 'allowed'));
  return home;
}

async function publishTo(home: TempHome, name: string): Promise<void> {
  const folder = await probePlugin(home, name);
  const manifest = join(folder, '.claude-plugin', 'plugin.json');
  const value = JSON.parse(await readFile(manifest, 'utf8'));
  value.haivemind.permissions.environment.push('PROBE_OTHER');
  await writeFile(manifest, JSON.stringify(value));
  await hvOk(collective.operator, ['publish', folder, '--groups', name]);
}

async function tried(home: TempHome, tool: string) {
  const steps = [{ tool, input: {} }, { text: 'done' }];
  const session = await scriptedSession(home, steps, {
    extraArgs: ['--allowedTools', tool],
    env: { MY_SECRET: 's3cret' },
  });
  const texts = session.hooks.map((run) => run.stdout || run.output);
  const said = texts.map((text) => /PROBE (\{.*\})"\}/.exec(text)?.[1]).find((text) => text !== undefined);
  return {
    hook: said === undefined ? undefined : JSON.parse(JSON.parse(`"${said}"`)),
    server: JSON.parse(session.toolResults[0]?.text ?? 'null'),
    session,
  };
}

describe.skipIf(unable !== null)(`confined programs${unable === null ? '' : ` (skipped: ${unable})`}`, () => {
  it('reach what was declared and nothing else, native and loose, also from a policy that comes later', async () => {
    const home = await desk('confined', { sandbox: 'confine' });
    await publishTo(home, 'probe-a');
    await collective.join(home, 'confined', { groups: ['probe-a'] });
    const native = await tried(home, 'mcp__plugin_probe-a_probe__try');
    expect(native.hook).toEqual(CONFINED);
    expect(native.server).toEqual(CONFINED);
    // A write beside its scope went nowhere, whatever the program was told.
    expect(await readdir(home.project)).not.toContain('outside.txt');
    expect(await readFile(join(home.project, 'allowed', 'probe-a.txt'), 'utf8')).toBe('x');
    // The rewriting is no edit of the person's, and nothing is laid out anew a second time.
    expect(await hvOk(home, ['status'])).toMatchObject({ in_step: true });
    expect(await hvOk(home, ['diff', 'probe-a'])).toMatchObject({ edits: [] });
    expect(await hvOk(home, ['sync'])).toMatchObject({ reload_needed: false });

    await hvOk(home, ['config', 'set', 'layout', 'loose']);
    await hvOk(home, ['sync']);
    const loose = await tried(home, 'mcp__probe__try');
    expect(loose.hook).toEqual(CONFINED);
    expect(loose.server).toEqual(CONFINED);

    await writeFiles(home.home, { '.haivemind/policy.json': {} });
    await hvOk(home, ['config', 'set', 'layout', 'native']);
    await hvOk(home, ['sync']);
    const free = await tried(home, 'mcp__plugin_probe-a_probe__try');
    expect(free.hook).toMatchObject({ ssh: 'PRIVATE KEY', token: 'read', outside: 'done', undeclared: 200 });
  });

  it('keep a person’s edits of the files that were rewritten, and give them back as they were written', async () => {
    const home = await desk('edited', { sandbox: 'confine' });
    await publishTo(home, 'probe-b');
    await collective.join(home, 'edited', { groups: ['probe-b'] });
    const link = join(home.home, '.claude', 'plugins', 'probe-b', 'hooks', 'hooks.json');
    const laid = await readFile(link, 'utf8');
    expect(laid).toContain('sandbox.mjs');
    await writeFile(link, laid.replace('"SessionStart"', '"SessionEnd"'));
    const { edits } = await hvOk(home, ['diff', 'probe-b']);
    expect(edits.map((edit: { path: string }) => edit.path)).toEqual(['hooks/hooks.json']);
    expect(edits[0].diff).toContain('SessionEnd');
    expect(edits[0].diff).not.toContain('sandbox.mjs');
    await hvOk(home, ['repair', 'probe-b']);
    expect(await readFile(link, 'utf8')).toContain('SessionStart');
    expect(await hvOk(home, ['status'])).toMatchObject({ in_step: true });
  });
});

describe('where nothing can be confined', () => {
  const nowhere = (home: TempHome) => ({ env: { PATH: home.bin } });

  it('a plugin that runs programs is refused, and one of text comes', async () => {
    const home = await desk('refusing', { sandbox: 'confine' });
    await publishTo(home, 'probe-c');
    const text = join(collective.operator.project, 'text-c');
    await writeFiles(text, {
      '.claude-plugin/plugin.json': { name: 'text-c', version: '1.0.0', description: 'Text', author: { name: 'T' } },
      'commands/c.md': '---\ndescription: d\n---\nText\n',
    });
    await hvOk(collective.operator, ['publish', text, '--groups', 'probe-c']);
    await hv(
      home,
      ['join', collective.hub.url, '--token', collective.hub.joinToken, '--name', 'refusing', '--groups', 'probe-c'],
      nowhere(home),
    );
    const { plugins } = await hvOk(home, ['status'], nowhere(home));
    const names = plugins
      .filter((p: { installed: unknown; state: string }) => p.state === 'verified')
      .map((p: { name: string }) => p.name);
    expect(names).toContain('text-c');
    expect(names).not.toContain('probe-c');
    const again = await hv(home, ['sync', '--json'], nowhere(home));
    expect(again.json.problems).toContainEqual(
      expect.objectContaining({
        name: 'probe-c',
        code: 'POLICY_REFUSED',
        message: expect.stringMatching(/bwrap|sandbox/),
      }),
    );
  });

  it('it comes with a warning where the policy says so', async () => {
    const home = await desk('warned', { sandbox: 'confine', sandbox_fallback: 'warn' });
    await publishTo(home, 'probe-d');
    await collective.join(home, 'warned');
    await hvOk(home, ['config', 'set', 'auto_sync', 'false']);
    const installed = await hvOk(home, ['install', 'probe-d'], nowhere(home));
    expect(JSON.stringify(installed)).toMatch(/probe-d@1\.0\.0 runs unconfined: /);
  });

  it.each([
    ['refuse', 1, '', 'not started'],
    ['warn', 3, 'ran\n', 'runs unconfined'],
  ])('the launcher itself follows the fallback %s', async (fallback, code, stdout, word) => {
    const home = await tempHome('launcher');
    try {
      const launcher = join(await buildDist(), 'sandbox.mjs');
      const profile = JSON.stringify({ files: [], hosts: [], environment: [], fallback });
      const args = [launcher, home.project, profile, '--shell', 'echo ran; exit 3'];
      const run = await runProcess(process.execPath, args, { cwd: home.project, env: home.env({ PATH: home.bin }) });
      expect(run).toMatchObject({ code, stdout });
      expect(run.stderr).toContain(word);
    } finally {
      await home.remove();
    }
  });
});
