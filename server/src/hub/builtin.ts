import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { encodeFrame, endFrame, FRAMES_TYPE } from '../contract/frames.ts';
import { errnoOf, toHaiveError } from '../domain/errors.ts';
import { CORE } from '../domain/names.ts';
import { sealJson } from '../domain/signing/dsse.ts';
import { type Packed, packPlugin, type SourceFile } from '../domain/version/package.ts';
import { RECORD_PAYLOAD_TYPE } from '../domain/version/record.ts';
import { getMeta, setMeta } from '../storage/queries/meta.ts';
import type { Call, HubContext, Principal, UseCases } from './context.ts';
import { HUB_ITSELF } from './first-start.ts';

/** What of the repository is the plugin haivemind-core. */
const PARTS = [
  '.claude-plugin',
  'commands',
  'agents',
  'skills',
  'hooks',
  '.mcp.json',
  'server/dist/mcp.mjs',
  'server/dist/hook.cjs',
  'server/dist/hook-sync.mjs',
  'server/dist/cli.mjs',
  'server/dist/sandbox.mjs',
  'README.md',
  'LICENSE',
];
const META_KEY = `builtin:${CORE}`;
const HUB: Principal = { ...HUB_ITSELF, roles: ['admin'], machineId: null, namePattern: null };

/**
 * Puts haivemind-core, as it lies in the repository the hub was started from, into the registry and publishes it to all;
 * once for each version, so that what an operator did with it since stays. A hub whose repository is not there, or whose
 * core does not pack, says so in the log and goes on.
 */
export async function publishCore(
  hub: HubContext,
  useCases: Pick<UseCases, 'register' | 'publish'>,
  root: string,
): Promise<void> {
  try {
    const files = await coreFiles(root);
    if (files === null) {
      hub.log.info({ root }, 'no haivemind-core beside this hub; its registry stays without one');
      return;
    }
    const packed = packPlugin(files, { maxBytes: hub.config.maxPluginSizeMb * 1024 * 1024, now: hub.clock() });
    const { name, version, digest } = packed.record;
    if ((await getMeta(hub.store.read, META_KEY)) === digest) return;
    const { id } = (await useCases.register(hub, registerCall(hub, packed))) as { id: string };
    // Whoever starts the hub has taken its core with it.
    const body = { plugin_id: id, all: true, notify_agents: false, dry_run: false, accept_surface: true };
    await useCases.publish(hub, { ...internalCall(), body } as Call<'publish'>);
    await hub.store.transact((tx) => setMeta(tx, META_KEY, digest));
    hub.log.info({ plugin: name, version, digest }, 'published haivemind-core');
  } catch (thrown) {
    const { code, message, details } = toHaiveError(thrown);
    hub.log.warn({ code, reason: message, details, error: thrown }, 'haivemind-core could not be published');
  }
}

/**
 * Registers the other plugins that ship with the hub, each version once; nobody receives them until somebody publishes them.
 * What does not pack is said in the log.
 */
export async function registerBuiltins(
  hub: HubContext,
  useCases: Pick<UseCases, 'register'>,
  root: string,
): Promise<void> {
  const folder = join(root, 'plugins');
  for (const name of (await readdir(folder).catch(() => [])).sort()) {
    try {
      const files: SourceFile[] = [];
      for (const part of await readdir(join(folder, name))) await collect(join(folder, name), part, files);
      const packed = packPlugin(files, { maxBytes: hub.config.maxPluginSizeMb * 1024 * 1024, now: hub.clock() });
      const key = `builtin:${packed.record.name}`;
      if ((await getMeta(hub.store.read, key)) === packed.record.digest) continue;
      await useCases.register(hub, registerCall(hub, packed));
      await hub.store.transact((tx) => setMeta(tx, key, packed.record.digest));
    } catch (thrown) {
      const { code, message, details } = toHaiveError(thrown);
      hub.log.warn(
        { plugin: name, code, reason: message, details },
        'a plugin that ships with the hub was not registered',
      );
    }
  }
}

async function coreFiles(root: string): Promise<SourceFile[] | null> {
  let manifest: { name?: unknown };
  try {
    manifest = JSON.parse(await readFile(join(root, '.claude-plugin/plugin.json'), 'utf8')) as { name?: unknown };
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return null;
    throw cause;
  }
  if (manifest.name !== CORE) return null;
  const files: SourceFile[] = [];
  for (const part of PARTS) await collect(root, part, files);
  return files;
}

async function collect(root: string, path: string, into: SourceFile[]): Promise<void> {
  const at = join(root, path);
  const found = await stat(at).catch(() => null);
  if (found?.isDirectory()) {
    for (const name of (await readdir(at)).sort()) await collect(root, `${path}/${name}`, into);
  } else if (found?.isFile()) {
    // Bundles are run by `node FILE`; npm marks the one that package.json names as `bin`, where and when it likes.
    const executable = (found.mode & 0o111) !== 0 && !path.startsWith('server/dist/');
    into.push({ path, bytes: await readFile(at), executable });
  }
}

function registerCall(hub: HubContext, packed: Packed): Call<'register'> {
  const envelope = sealJson(RECORD_PAYLOAD_TYPE, packed.record, hub.identity.privatePem);
  const frames = [
    encodeFrame({ t: 'record', digest: packed.record.digest, n: 0 }, Buffer.from(JSON.stringify(envelope))),
  ];
  if (packed.originalManifest !== null) {
    const original = Buffer.from(JSON.stringify(packed.originalManifest));
    frames.push(encodeFrame({ t: 'original-manifest', n: 0 }, original));
  }
  for (const [sha256, bytes] of packed.blobs)
    frames.push(encodeFrame({ t: 'blob', sha256, enc: 'identity', n: 0 }, bytes));
  frames.push(endFrame());
  const headers: Record<string, string> = { 'haivemind-publisher-key': hub.identity.publicKey };
  return {
    ...internalCall(),
    body: undefined,
    stream: Readable.from(frames, { objectMode: false }),
    contentType: FRAMES_TYPE,
    header: (name) => headers[name.toLowerCase()],
  };
}

function internalCall(): Omit<Call<'register'>, 'body'> {
  return {
    principal: HUB,
    params: {},
    query: undefined,
    stream: Readable.from([]),
    contentType: '',
    header: () => undefined,
    remoteAddress: '',
    requestId: 'start',
  };
}
