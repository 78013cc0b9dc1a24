// A real hub in this process, on a port the system chooses, with a database and HOME of its own.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Endpoint } from '../../server/src/contract/endpoint.ts';
import { ENDPOINTS, type EndpointName } from '../../server/src/contract/endpoints.ts';
import { encodeFrame, endFrame, FRAMES_TYPE } from '../../server/src/contract/frames.ts';
import type { Role } from '../../server/src/contract/roles.ts';
import { Problem } from '../../server/src/contract/schemas.ts';
import { createKeyPair, sealJson } from '../../server/src/domain/signing/dsse.ts';
import { packPlugin, type SourceFile } from '../../server/src/domain/version/package.ts';
import { RECORD_PAYLOAD_TYPE } from '../../server/src/domain/version/record.ts';
import { DEFAULT_LIMITS, type HubConfig, type HubLimits } from '../../server/src/hub/config.ts';
import { type HubDeps, type RunningHub, startHub } from '../../server/src/hub/server.ts';
import { createDatabase, type EngineUnderTest, type TestDatabase } from '../contract/engines.ts';

export { ENGINES, type EngineUnderTest } from '../contract/engines.ts';

export interface TestHub {
  hub: RunningHub;
  url: string;
  /** The first start's admin token. */
  admin: string;
  home: string;
  database: TestDatabase;
  config: HubConfig;
  logged: { level: string; message: string; fields: Record<string, unknown> }[];
  /** A token with these roles. */
  token(roles: Role[], more?: Record<string, unknown>): Promise<string>;
  /** Joins a machine; answers its id and token. */
  machine(name: string, more?: Record<string, unknown>): Promise<{ id: string; name: string; token: string }>;
  /** Another hub process's worth on the same database: closed with this one. */
  another(deps?: HubDeps): Promise<RunningHub>;
  close(): Promise<void>;
}

export interface TestHubOptions {
  limits?: Partial<HubLimits>;
  deps?: HubDeps;
  config?: Partial<HubConfig>;
}

export async function testHub(engine: EngineUnderTest, options: TestHubOptions = {}): Promise<TestHub> {
  const database = await createDatabase(engine);
  const home = await mkdtemp(join(tmpdir(), 'hv home ü '));
  const logged: TestHub['logged'] = [];
  const entry = (level: string) => (fields: Record<string, unknown>, message: string) => {
    logged.push({ level, message, fields });
  };
  const log = { info: entry('info'), warn: entry('warn'), error: entry('error') };
  const config: HubConfig = {
    host: '127.0.0.1',
    port: 0,
    dataDir: database.options.dataDir,
    databaseUrl: database.options.databaseUrl,
    home,
    tls: undefined,
    behindProxy: false,
    publicUrl: undefined,
    maxPluginSizeMb: 50,
    findings: {},
    allowedSourceHosts: [],
    approvals: 'widening',
    approvalGroups: [],
    planTtlMs: 7 * 24 * 3600_000,
    logLevel: 'silent',
    ...options.config,
    limits: { ...DEFAULT_LIMITS, failedAuthPerMinute: 100_000, ...options.limits },
  };
  const deps = { log, coreRoot: '/nowhere', ...options.deps };
  const hub = await startHub(config, deps);
  const others: RunningHub[] = [];
  const admin = hub.adminToken ?? '';
  return {
    hub,
    url: hub.url,
    admin,
    home,
    database,
    config,
    logged,
    async token(roles, more = {}) {
      const made = await ask(hub.url, 'POST', '/api/tokens', {
        token: admin,
        body: { name: roles.join('+'), roles, ...more },
      });
      return made.expect(200).token as string;
    },
    async machine(name, more = {}) {
      const body = { name, platform: 'linux-x64', haivemind_version: '1.0.0', ...more };
      const joined = (await ask(hub.url, 'POST', '/api/machines/join', { token: hub.joinToken, body })).expect(200);
      return { id: (joined.machine as { id: string }).id, name, token: joined.token as string };
    },
    async another(more = {}) {
      const own = { ...config, home: join(home, `other-${others.length}`) };
      const other = await startHub(own, { ...deps, hold: BESIDE, ...more });
      others.push(other);
      return other;
    },
    async close() {
      for (const other of others) await other.close();
      await hub.close();
      await database.drop();
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** Lets a hub run beside one that has its SQLite folder: as the next one does while the one before ends. */
export const BESIDE = async () => () => {};

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  json: Record<string, unknown>;
  /** The JSON, once the status is this one. */
  expect(status: number): Record<string, unknown>;
  /** The problem's code; '' for what is no problem. */
  code: string;
}

export interface Ask {
  token?: string | undefined;
  body?: unknown;
  /** Sent as it is, without a content type of ours. */
  raw?: string | Uint8Array | ReadableStream;
  headers?: Record<string, string>;
}

/** One request; a body is sent as JSON. */
export async function ask(url: string, method: string, path: string, options: Ask = {}): Promise<Answer> {
  const body = options.raw ?? (options.body === undefined ? null : JSON.stringify(options.body));
  const init = {
    method,
    body,
    redirect: 'manual' as const,
    // fetch wants this said for streams.
    duplex: 'half' as const,
    headers: {
      ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
      ...options.headers,
    },
  };
  const response = await fetch(url + path, init);
  const text = await response.text();
  const isProblem = response.headers.get('content-type') === 'application/problem+json';
  let json: Record<string, unknown> = {};
  try {
    json = JSON.parse(text) as Record<string, unknown>;
  } catch {}
  return {
    status: response.status,
    headers: response.headers,
    text,
    json,
    code: isProblem ? Problem.parse(json).code : '',
    expect(status) {
      if (response.status !== status) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 400)}`);
      return json;
    },
  };
}

/** The files of a plugin whose only deed is one command at one event. */
export const hooks = (command: string, event = 'Stop') => ({
  'hooks/hooks.json': JSON.stringify({ hooks: { [event]: [{ hooks: [{ type: 'command', command }] }] } }),
});

/** Every endpoint of the contract by name. */
export function endpoints(): [EndpointName, Endpoint][] {
  return Object.entries(ENDPOINTS) as [EndpointName, Endpoint][];
}

export interface PluginWish {
  name: string;
  version?: string;
  files?: Record<string, string>;
  manifest?: Record<string, unknown>;
}

/** A small plugin as its author has it. */
export function sourceFiles({ name, version = '1.0.0', files = {}, manifest = {} }: PluginWish): SourceFile[] {
  const plugin = { name, version, description: `The plugin ${name}`, author: { name: 'A' }, ...manifest };
  const all = {
    '.claude-plugin/plugin.json': JSON.stringify(plugin),
    'commands/hello.md': `---\ndescription: Says hello\n---\nHello from ${name} ${version}\n`,
    ...files,
  };
  return Object.entries(all).map(([path, text]) => ({ path, bytes: Buffer.from(text), executable: false }));
}

export const PUBLISHER = createKeyPair();

/** What a publisher sends to register: frames, and the key in a header. */
export function registerRequest(files: SourceFile[], token: string): Ask {
  const packed = packPlugin(files, { maxBytes: 1e9, now: new Date() });
  const envelope = sealJson(RECORD_PAYLOAD_TYPE, packed.record, PUBLISHER.privatePem);
  const original = packed.originalManifest;
  const frames = [
    encodeFrame({ t: 'record', n: 0 }, Buffer.from(JSON.stringify(envelope))),
    ...(original === null
      ? []
      : [encodeFrame({ t: 'original-manifest', n: 0 }, Buffer.from(JSON.stringify(original)))]),
    ...[...packed.blobs].map(([sha256, bytes]) => encodeFrame({ t: 'blob', sha256, enc: 'identity', n: 0 }, bytes)),
    endFrame(),
  ];
  const headers = { 'content-type': FRAMES_TYPE, 'haivemind-publisher-key': PUBLISHER.publicKey };
  return { token, raw: Buffer.concat(frames), headers };
}

export function register(url: string, token: string, wish: PluginWish): Promise<Answer> {
  return ask(url, 'POST', '/api/plugins/register', registerRequest(sourceFiles(wish), token));
}

/** Registers and publishes to all (or to groups), accepting what the plugin does; answers the publication. */
export async function publish(
  url: string,
  token: string,
  wish: PluginWish,
  groups?: string[],
): Promise<Record<string, unknown>> {
  const { id } = (await register(url, token, wish)).expect(200);
  const target = groups === undefined ? { all: true } : { target_groups: groups };
  const body = { plugin_id: id, accept_surface: true, ...target };
  return (await ask(url, 'POST', '/api/plugins/publish', { token, body })).expect(200);
}
