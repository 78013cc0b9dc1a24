import { brotliCompressSync, constants } from 'node:zlib';
import type { Reply } from '../../contract/endpoints.ts';
import { encodeFrame, endFrame, FRAMES_TYPE } from '../../contract/frames.ts';
import { PUBLISHER_KEY_HEADER } from '../../contract/headers.ts';
import { HaiveError } from '../../domain/errors.ts';
import type { Finding } from '../../domain/findings/index.ts';
import { judge } from '../../domain/safety/refuse.ts';
import { type Envelope, sealJson } from '../../domain/signing/dsse.ts';
import type { Change } from '../../domain/translate/index.ts';
import { type Packed, packPlugin } from '../../domain/version/package.ts';
import { RECORD_PAYLOAD_TYPE } from '../../domain/version/record.ts';
import { publisherKey, readPublisherKey } from '../../machine/publisher-key.ts';
import { type ClientContext, hubFor } from '../context.ts';
import type { HubClient } from '../hub/hub-client.ts';
import { ask } from '../hub/registry.ts';
import { type Accept, acceptFirst, firstSurfaceOf } from '../trust/acceptance.ts';
import { authorPolicy, readAuthorFiles } from './author-files.ts';
import { mayPublish, requireMayPublish, withReviewer } from './may-publish.ts';

export interface PublishProgress {
  step: 'read' | 'send' | 'publish';
  /** Bytes sent and to be sent, while sending. */
  sent?: number;
  total?: number;
}

export type PluginSource = { path: string } | { archive: Buffer } | { url: string };

export interface RegisterResult extends Reply<'register'> {
  /** What translation changed. */
  changes: Change[];
  /** False for a contributor's token: an operator looks at the version. */
  may_publish: boolean;
  /** The key that was made here to sign it; absent where one was there. */
  new_key?: NewKey;
}

/** A publisher's key of a moment ago: who loses it signs no later version that machines take. */
export interface NewKey {
  keyid: string;
  file: string;
}

export interface PublishTarget {
  groups?: string[] | undefined;
  all?: boolean | undefined;
  /** False: people are not told; machines are. */
  notify?: boolean | undefined;
  /** Whether what a plugin that declares nothing does is accepted: an answer, or whom to ask. */
  accept?: Accept;
}

export interface PublishResult extends Reply<'publish'> {
  changes: Change[];
  findings: Finding[];
  /** False when the same bytes were registered before. */
  created: boolean;
  new_key?: NewKey;
}

type Progress = ((progress: PublishProgress) => void) | undefined;

/**
 * Reads, checks, scans and translates a plugin on this machine.
 * @throws HaiveError of packing (MANIFEST_*, NAME_*, PATH_*, PLUGIN_TOO_LARGE, COMPONENT_INVALID …)
 */
export async function packFolder(ctx: ClientContext, path: string): Promise<Packed> {
  const maxBytes = ctx.config.plugins.max_plugin_size_mb * 1024 * 1024;
  const { files, findings } = await readAuthorFiles(ctx, path);
  const packed = packPlugin(files, { maxBytes, now: ctx.clock() });
  const all = [...packed.findings, ...findings];
  return { ...packed, findings: await judge(files, all, authorPolicy(ctx)) };
}

/**
 * Registers a version. A folder or zip on this machine is packed and signed here; an archive's bytes or an address go to the
 * hub, which packs them and marks them as imported.
 * @throws HaiveError of packing and of the hub (VERSION_EXISTS, FORBIDDEN …)
 */
export async function registerPlugin(
  ctx: ClientContext,
  source: PluginSource,
  onProgress?: Progress,
): Promise<RegisterResult> {
  const hub = await hubFor(ctx, 'author');
  try {
    if ('path' in source) {
      onProgress?.({ step: 'read' });
      const sent = await sendPacked(ctx, hub, await packFolder(ctx, source.path), onProgress);
      return { ...sent, may_publish: await mayPublish(hub) };
    }
    const body =
      'archive' in source
        ? { type: 'application/zip', bytes: source.archive }
        : { type: 'application/json', bytes: Buffer.from(JSON.stringify({ plugin_url: source.url })) };
    const answer = await hub.call('register', { body: body.bytes, headers: { 'content-type': body.type } });
    return { ...answer, changes: [], may_publish: await mayPublish(hub) };
  } finally {
    hub.close();
  }
}

async function sendPacked(
  ctx: ClientContext,
  hub: HubClient,
  packed: Packed,
  onProgress: Progress,
): Promise<Omit<RegisterResult, 'may_publish'>> {
  const isNew = (await readPublisherKey(ctx.machine)) === null;
  const key = await publisherKey(ctx.machine);
  const envelope = sealJson(RECORD_PAYLOAD_TYPE, packed.record, key.privatePem);
  const { missing } = await hub.call('blobsMissing', { body: { sha256: [...packed.blobs.keys()] } });
  const send = (which: readonly string[]): Promise<Reply<'register'>> =>
    hub.call('register', {
      body: frames(packed, envelope, which, onProgress),
      headers: { 'content-type': FRAMES_TYPE, [PUBLISHER_KEY_HEADER]: key.publicKey },
      timeoutMs: 120_000,
    });
  let answer: Reply<'register'>;
  try {
    answer = await send(missing);
  } catch (thrown) {
    if (!(thrown instanceof HaiveError) || thrown.code !== 'BLOB_MISSING') throw thrown;
    // Blobs that nobody referred to were collected between the question and now.
    answer = await send([...packed.blobs.keys()]);
  }
  return {
    ...answer,
    findings: withoutRepeats([...packed.findings, ...answer.findings]),
    changes: packed.changes,
    ...(isNew ? { new_key: { keyid: key.keyid, file: ctx.machine.paths.publisherKey } } : {}),
  };
}

/** The hub looks at what was translated, this machine at what was given: most is found by both. */
function withoutRepeats(findings: readonly Finding[]): Finding[] {
  return [...new Map(findings.map((f) => [`${f.code} ${f.file} ${f.message}`, f])).values()];
}

async function* frames(
  packed: Packed,
  envelope: Envelope,
  which: readonly string[],
  onProgress: Progress,
): AsyncGenerator<Buffer> {
  const { record, originalManifest, blobs } = packed;
  yield encodeFrame({ t: 'record', digest: record.digest, n: 0 }, Buffer.from(JSON.stringify(envelope)));
  if (originalManifest !== null) {
    yield encodeFrame({ t: 'original-manifest', n: 0 }, Buffer.from(JSON.stringify(originalManifest)));
  }
  const total = which.reduce((sum, sha256) => sum + (blobs.get(sha256)?.length ?? 0), 0);
  let sent = 0;
  for (const sha256 of which) {
    const bytes = blobs.get(sha256);
    if (bytes === undefined) continue;
    const small = squeeze(bytes);
    yield encodeFrame({ t: 'blob', sha256, enc: small === bytes ? 'identity' : 'br', n: 0 }, small);
    sent += bytes.length;
    onProgress?.({ step: 'send', sent, total });
  }
  yield endFrame();
}

/** Compressed where that is worth it; the same Buffer where not. */
function squeeze(bytes: Buffer): Buffer {
  if (bytes.length < 512) return bytes;
  const small = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } });
  return small.length < bytes.length * 0.9 ? small : bytes;
}

/**
 * Publishes a registered version to groups: an id, or NAME[@RANGE] for the one that was registered last.
 * @throws HaiveError TARGET_REQUIRED, GROUP_NOT_ALLOWED, FORBIDDEN, DEPENDENCY_MISSING, PLUGIN_NOT_FOUND, BAD_REQUEST (several may be meant) …
 */
export async function publishRegistered(
  ctx: ClientContext,
  ref: string,
  target: PublishTarget,
  dryRun = false,
): Promise<Reply<'publish'>> {
  const hub = await hubFor(ctx, 'author');
  const send = (id: string, accept: boolean) =>
    hub.call('publish', {
      body: { plugin_id: id, ...targetBody(target), dry_run: dryRun, accept_surface: accept },
    });
  try {
    return await send(ref, target.accept === true);
  } catch (thrown) {
    const first = firstSurfaceOf(thrown);
    if (first === null || typeof target.accept !== 'function' || !(await target.accept(first)))
      throw withReviewer(thrown, ref);
    // What was looked at, not what the range means by now.
    return await send(first.id, true);
  } finally {
    hub.close();
  }
}

/** A target as the hub takes it. */
export const targetBody = (target: PublishTarget) => ({
  ...(target.groups === undefined ? {} : { target_groups: target.groups }),
  all: target.all === true,
  notify_agents: target.notify !== false,
});

/**
 * Registers a folder or zip and publishes it.
 * @throws HaiveError as registerPlugin and publishRegistered
 */
export async function publishFolder(
  ctx: ClientContext,
  path: string,
  target: PublishTarget,
  onProgress?: Progress,
): Promise<PublishResult> {
  onProgress?.({ step: 'read' });
  const packed = await packFolder(ctx, path);
  await ask(ctx, 'author', requireMayPublish);
  const accept = (await acceptFirst(ctx, packed, target.accept)) || target.accept;
  const registered = await ask(ctx, 'author', (hub) => sendPacked(ctx, hub, packed, onProgress));
  onProgress?.({ step: 'publish' });
  const published = await publishRegistered(ctx, registered.id, { ...target, accept });
  const { changes, findings, created, new_key } = registered;
  return { ...published, changes, findings, created, ...(new_key === undefined ? {} : { new_key }) };
}
