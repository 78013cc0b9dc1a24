import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Collective, DEVOPS } from '../support/collective.ts';
import { hvOk } from '../support/hv.ts';
import { pluginCopy } from '../support/repository.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';

let copy: Awaited<ReturnType<typeof pluginCopy>>;
let home: TempHome;
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  copy = await pluginCopy();
});
afterAll(() => copy?.remove());
beforeEach(async () => {
  home = await tempHome('hook');
  closing.push(() => home.remove());
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Said {
  systemMessage?: string;
  hookSpecificOutput?: { hookEventName: string; additionalContext?: string; reloadSkills?: boolean };
}

/** Runs the hook as the client does: through sh, with JSON on stdin. Whatever happens, it may not fail or print a stack. */
async function sessionStart(of: TempHome = home, env: Record<string, string> = {}): Promise<Said | null> {
  const child = spawn('/bin/sh', [join(copy.root, 'hooks', 'session-start.sh')], {
    env: of.env({ CLAUDE_PLUGIN_ROOT: copy.root, CLAUDE_PLUGIN_DATA: join(of.home, 'plugin-data'), ...env }),
    cwd: of.project,
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk) => {
    stderr += chunk;
  });
  child.stdin.on('error', () => {});
  child.stdin.end('{"session_id":"x","hook_event_name":"SessionStart","source":"startup"}');
  const [code] = await once(child, 'close');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  if (stdout === '') return null;
  expect(stdout.trimEnd().split('\n')).toHaveLength(1);
  return JSON.parse(stdout) as Said;
}

async function listening(server: Server | ReturnType<typeof createTcpServer>): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(async () => {
    if ('closeAllConnections' in server) server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A stand-in for a hub, and a machine that believes it has joined it. */
async function joinedTo(listener: RequestListener, plugins: object = {}): Promise<string> {
  const url = await listening(createServer(listener));
  await configure(url, plugins);
  return url;
}

async function configure(url: string, plugins: object = {}): Promise<void> {
  await mkdir(join(home.home, '.haivemind'), { recursive: true });
  const config = { format: 1, hub_url: url, token: 'hvt_test', plugins };
  await writeFile(join(home.home, '.haivemind', 'config.json'), JSON.stringify(config));
}

describe('without a hub', () => {
  it('says how to join, once a day', async () => {
    expect((await sessionStart())?.systemMessage).toMatch(/^hAIveMind: .*join line/);
    expect(await sessionStart()).toBeNull();
    const stamp = join(home.home, 'plugin-data', 'join-hint');
    await writeFile(stamp, String(Number(await readFile(stamp, 'utf8')) - 25 * 60 * 60 * 1000));
    expect((await sessionStart())?.systemMessage).toMatch(/join line/);
  });

  it('leaves nothing of ours in a HOME that has joined nothing', async () => {
    await sessionStart(home, { CLAUDE_PLUGIN_DATA: '' });
    await expect(readFile(join(home.home, '.haivemind'))).rejects.toThrow('ENOENT');
    await expect(readFile(join(home.home, '.claude'))).rejects.toThrow('ENOENT');
  });

  it('names a configuration that is not JSON', async () => {
    await mkdir(join(home.home, '.haivemind'));
    await writeFile(join(home.home, '.haivemind', 'config.json'), '{ "hub_url": ');
    expect((await sessionStart())?.systemMessage).toMatch(/config\.json is not JSON/);
  });
});

describe('a hub that is no help costs a bounded moment and one quiet line', () => {
  it('is down', async () => {
    const url = await listening(createServer());
    for (const close of closing.splice(1)) await close();
    await configure(url);
    const said = await sessionStart();
    expect(said?.systemMessage).toMatch(/hub at 127\.0\.0\.1:\d+ is away \(ECONNREFUSED\); plugins stay as they are/);
    expect(said?.hookSpecificOutput).toBeUndefined();
  });

  it('accepts and never answers', async () => {
    const url = await listening(createTcpServer(() => {}));
    await configure(url);
    expect((await sessionStart())?.systemMessage).toMatch(/is away \(no answer in time\)/);
  });

  it('answers drop by drop', async () => {
    await joinedTo((_, response) => {
      response.writeHead(500, { 'content-type': 'application/problem+json' });
      const timer = setInterval(() => response.write(' '), 100);
      response.on('close', () => clearInterval(timer));
    });
    expect((await sessionStart())?.systemMessage).toMatch(/is away \(no answer in time\)/);
  });

  it.each([
    ['HTML', 200, 'text/html', '<html>login</html>'],
    ['another JSON error', 404, 'application/json', '{"message":"no"}'],
    ['a problem without a code', 500, 'application/problem+json', '{}'],
    ['a problem that is cut', 500, 'application/problem+json', '{"code":"INT'],
    ['a redirect', 302, 'text/plain', ''],
  ])('answers %s', async (_, status, type, body) => {
    await joinedTo((__, response) => {
      response.writeHead(status, { 'content-type': type, location: 'http://127.0.0.1:1/' }).end(body);
    });
    expect((await sessionStart())?.systemMessage).toMatch(/is away \(HTTP \d+, not a hub\)/);
  });

  it('answers bytes that are no HTTP', async () => {
    const url = await listening(createTcpServer((socket) => socket.on('error', () => {}).end('SSH-2.0-OpenSSH_9\r\n')));
    await configure(url);
    expect((await sessionStart())?.systemMessage).toMatch(/is away \((HPE_|ECONNRESET)/);
  });

  it('has an address that is none', async () => {
    await configure('not an address');
    expect((await sessionStart())?.systemMessage).toMatch(/is away/);
  });

  it('is another host, in the clear: nothing is said to it', async () => {
    await configure('http://hub.invalid:7420');
    expect((await sessionStart())?.systemMessage).toMatch(/TLS_REQUIRED|not be encrypted/);
  });

  it('refuses the token', async () => {
    await joinedTo((_, response) => {
      response.writeHead(401, { 'content-type': 'application/problem+json' }).end('{"code":"TOKEN_INVALID"}');
    });
    expect((await sessionStart())?.systemMessage).toMatch(/refused \(TOKEN_INVALID\).*hv join/);
  });

  it('speaks another protocol', async () => {
    await joinedTo((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'haivemind-protocol': '99' }).end('{}');
    });
    expect((await sessionStart())?.systemMessage).toMatch(/PROTOCOL_MISMATCH.*Update/);
  });

  it('answers a plan that is forged', async () => {
    const forged = { payloadType: 'x', payload: '', signatures: [] };
    await joinedTo((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(forged));
    });
    expect((await sessionStart())?.systemMessage).toMatch(/plugins stay as they are/);
    await expect(readFile(join(home.home, '.claude', 'settings.json'))).rejects.toThrow('ENOENT');
  });
});

it.each([{ auto_sync: false }, { enabled: false }])('asks nobody when the configuration says %o', async (plugins) => {
  let asked = 0;
  await joinedTo((_, response) => {
    asked++;
    response.writeHead(500).end();
  }, plugins);
  expect(await sessionStart()).toBeNull();
  expect(asked).toBe(0);
});

describe('with a hub', () => {
  let collective: Collective;
  beforeAll(async () => {
    collective = await Collective.start();
  });
  afterAll(() => collective?.close());

  const version = async (of: TempHome, name: string): Promise<string> => {
    const path = join(of.home, '.claude', 'plugins', name, '.claude-plugin', 'plugin.json');
    return JSON.parse(await readFile(path, 'utf8')).version;
  };

  it('installs what is new, says what arrived once, tells of updates that wait, and installs them when told to', async () => {
    const machine = await collective.machine('m1', DEVOPS);
    expect(await sessionStart(machine)).toBeNull();

    await collective.publish('base-memory-tools', { args: ['--all'] });
    const arrived = await sessionStart(machine);
    expect(arrived?.systemMessage).toMatch(/installed: base-memory-tools 1\.0\.0.*\/reload-plugins/);
    expect(arrived?.hookSpecificOutput).toMatchObject({
      hookEventName: 'SessionStart',
      additionalContext: arrived?.systemMessage,
    });
    expect(await version(machine, 'base-memory-tools')).toBe('1.0.0');
    expect(await sessionStart(machine)).toBeNull();

    await collective.publish('base-memory-tools', { version: '1.1.0', args: ['--all'] });
    for (let start = 0; start < 2; start++) {
      expect((await sessionStart(machine))?.systemMessage).toMatch(
        /waiting: base-memory-tools 1\.0\.0 → 1\.1\.0.*hv-sync/,
      );
      expect(await version(machine, 'base-memory-tools')).toBe('1.0.0');
    }
    await hvOk(machine, ['sync']);
    expect(await sessionStart(machine)).toBeNull();
    expect(await version(machine, 'base-memory-tools')).toBe('1.1.0');

    await hvOk(machine, ['config', 'set', 'plugins.auto_install_updates', 'true']);
    await collective.publish('base-memory-tools', { version: '1.2.0', args: ['--all'] });
    expect((await sessionStart(machine))?.systemMessage).toMatch(/base-memory-tools 1\.1\.0 → 1\.2\.0/);
    expect(await version(machine, 'base-memory-tools')).toBe('1.2.0');
  });

  it('asks with the etag, so that nothing new costs a 304', async () => {
    const machine = await collective.machine('m2');
    await sessionStart(machine);
    const config = JSON.parse(await readFile(join(machine.home, '.haivemind', 'config.json'), 'utf8'));
    const seen: unknown[] = [];
    const url = await listening(
      createServer((request, response) => {
        seen.push([request.method, request.url, request.headers['if-none-match'], request.headers.authorization]);
        response.writeHead(304).end();
      }),
    );
    expect(await sessionStart(machine, { HAIVEMIND_HUB_URL: url })).toBeNull();
    const inbox = await readFile(join(machine.home, '.claude/plugins/.haivemind/inbox-revision'), 'utf8');
    expect(seen).toHaveLength(2);
    expect(seen).toContainEqual(['GET', '/api/machines/me/plan', config.plan.etag, `Bearer ${config.token}`]);
    const asked = ['GET', '/api/collective/inbox', `"inbox-${inbox}"`, `Bearer ${config.token}`];
    expect(seen).toContainEqual(asked);
  });

  it('looks at what a crashed run left before it trusts a 304', async () => {
    const machine = await collective.machine('m3', DEVOPS);
    await sessionStart(machine);
    const root = join(machine.home, '.claude', 'plugins', '.haivemind');
    await writeFile(join(root, 'journal.json'), '{"torn":');
    expect((await sessionStart(machine))?.systemMessage).toMatch(/IO_ERROR: .*journal\.json is damaged/);
    await rm(join(root, 'journal.json'));
    expect(await sessionStart(machine)).toBeNull();
  });

  it('has the plan signed anew before it trusts a 304 about one that is past its time', async () => {
    const machine = await collective.machine('m5');
    await sessionStart(machine);
    const file = join(machine.home, '.claude', 'plugins', '.haivemind', 'hook.json');
    const seen = JSON.parse(await readFile(file, 'utf8'));
    expect(Date.parse(seen.until)).toBeGreaterThan(Date.now());
    await writeFile(file, JSON.stringify({ ...seen, until: '2026-01-01T00:00:00.000Z' }));
    expect(await sessionStart(machine)).toBeNull();
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(seen);
  });

  it("joins with the plugin's own options", async () => {
    const options = {
      CLAUDE_PLUGIN_OPTION_HUB_URL: collective.hub.url,
      CLAUDE_PLUGIN_OPTION_TOKEN: collective.hub.joinToken,
    };
    const said = await sessionStart(home, options);
    expect(said?.systemMessage).toMatch(/^hAIveMind: joined http:\/\/127\.0\.0\.1:\d+ as /);
    expect(await version(home, 'haivemind-core')).toBe('1.0.0');
    expect(await sessionStart(home, options)).toBeNull();
    const wrong = await tempHome('wrong');
    closing.push(() => wrong.remove());
    const refused = await sessionStart(wrong, { ...options, CLAUDE_PLUGIN_OPTION_TOKEN: 'hvt_wrong' });
    expect(refused?.systemMessage).toMatch(/TOKEN_INVALID/);
  });
});
