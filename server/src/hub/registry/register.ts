import type { Reply } from '../../contract/endpoints.ts';
import { FRAMES_TYPE } from '../../contract/frames.ts';
import { ORIGIN_HEADER, PUBLISHER_KEY_HEADER } from '../../contract/headers.ts';
import type { VersionStatus } from '../../domain/desired/registry.ts';
import { HaiveError } from '../../domain/errors.ts';
import { withoutLogin } from '../../domain/redact.ts';
import { judge } from '../../domain/safety/refuse.ts';
import { keyIdOf, sealJson } from '../../domain/signing/dsse.ts';
import { readZip } from '../../domain/version/archive.ts';
import { type Packed, packPlugin, type SourceFile } from '../../domain/version/package.ts';
import { RECORD_PAYLOAD_TYPE } from '../../domain/version/record.ts';
import { decodeBlob, encodeBlob, readBlobs } from '../../storage/queries/blobs.ts';
import { findPublisherKey } from '../../storage/queries/publisher-keys.ts';
import type { HubContext, Principal, UseCase } from '../context.ts';
import { fetchGit, isGitUrl } from '../fetch/git.ts';
import { fetchUrl } from '../fetch/url.ts';
import { requireName } from './access.ts';
import { type Received, receiveFrames } from './receive-frames.ts';
import { blobsMissing, storeVersion } from './store-version.ts';
import { readArchiveRequest, readBytes } from './uploads.ts';

type Registered = Reply<'register'>;

const MAX_FILES = 20_000;

const maxBytesOf = (hub: HubContext): number => hub.config.maxPluginSizeMb * 1024 * 1024;

/** Registers a version: signed frames as a publisher packed them, or a zip (in JSON, by URL, raw) that the hub packs. */
export const register: UseCase<'register'> = async (hub, call) => {
  const type = call.contentType.split(';')[0]?.trim().toLowerCase();
  const maxBytes = maxBytesOf(hub);
  switch (type) {
    case FRAMES_TYPE: {
      const publicKey = publisherKey(call.header(PUBLISHER_KEY_HEADER));
      await refuseRevoked(hub, publicKey);
      const received = await receiveFrames(call.stream, publicKey, { maxBytes, maxFiles: MAX_FILES });
      return registerReceived(hub, call.principal, publicKey, received);
    }
    case 'application/zip':
      return registerZip(
        hub,
        call.principal,
        await readBytes(call.stream, maxBytes),
        originOf(call.header(ORIGIN_HEADER)),
      );
    case 'application/json': {
      const request = await readArchiveRequest(call.stream, maxBytes);
      if ('archive' in request) return registerZip(hub, call.principal, request.archive, 'archive');
      const limits = { maxBytes, allowedHosts: hub.config.allowedSourceHosts };
      if (isGitUrl(request.url)) {
        const { zip, commit } = await fetchGit(request.url, limits);
        return registerZip(hub, call.principal, zip, `${request.url} at ${commit}`);
      }
      const bytes = await fetchUrl(request.url, limits);
      return registerZip(hub, call.principal, bytes, request.url);
    }
    default:
      throw new HaiveError('BODY_INVALID', `A plugin cannot be registered from ${type || 'a body without a type'}`, {
        hint: `Send ${FRAMES_TYPE}, application/zip or application/json.`,
      });
  }
};

/** What a sender says is kept as said: printable ASCII, percent-encoded elsewhere. */
function originOf(header: string | undefined): string {
  if (header === undefined || header === '') return 'archive';
  if (header.length <= 2000 && /^[\x21-\x7e]+$/.test(header)) return `import ${withoutLogin(header)}`;
  throw new HaiveError('BAD_REQUEST', `The header ${ORIGIN_HEADER} is not an address of at most 2000 characters`);
}

function publisherKey(header: string | undefined): string {
  if (header !== undefined && /^[A-Za-z0-9+/]{43}=$/.test(header)) return header;
  throw new HaiveError('SIGNATURE_INVALID', `The header ${PUBLISHER_KEY_HEADER} holds no Ed25519 public key`, {
    hint: "Send the publisher's public key, 32 bytes in base64.",
  });
}

async function refuseRevoked(hub: HubContext, publicKey: string): Promise<void> {
  const known = await findPublisherKey(hub.store.read, keyIdOf(publicKey));
  if (known.some((row) => row.revoked_at !== null)) {
    throw new HaiveError('SIGNATURE_INVALID', `The publisher key ${keyIdOf(publicKey)} is revoked`, {
      hint: 'Publish with a new key.',
    });
  }
}

/** Checks that the signed bytes are a plugin the client loads, exactly as they are, and keeps them. */
async function registerReceived(
  hub: HubContext,
  principal: Principal,
  publicKey: string,
  received: Received,
): Promise<Registered> {
  const { record, envelope, keyid } = received;
  requireName(principal, record.name);
  if (record.imported) {
    throw new HaiveError('BODY_INVALID', 'A record that a publisher signs may not call itself imported by the hub');
  }
  const files = await allFiles(hub, received);
  const packed = packPlugin(files, { maxBytes: maxBytesOf(hub), now: hub.clock(), translate: false });
  const { manifest, types, changes, surface } = packed;
  if (packed.record.digest !== record.digest) {
    throw new HaiveError(
      'DIGEST_MISMATCH',
      `The record is for ${record.name}@${record.version}, plugin.json says ${manifest.name}@${manifest.version}, and their digests differ`,
    );
  }
  if (changes.length > 0) {
    throw new HaiveError(
      'TRANSLATION_NEEDED',
      `${changes[0]?.file} is not as Claude Code loads it (${changes[0]?.rule})`,
      {
        details: { changes },
      },
    );
  }
  const findings = await judge(files, packed.findings, hub.config.findings);
  const blobs = [...received.blobs.values()].map((b) => b.stored);
  const { originalManifest } = received;
  const parts = { record, envelope, keyid, publicKey, manifest, originalManifest, types, surface, blobs };
  const version = { ...parts, source: 'upload' };
  return answer(await storeVersion(hub, principal, version), packed, findings);
}

/** The record's files with their bytes, received now or stored before. */
async function allFiles(hub: HubContext, { record, blobs }: Received): Promise<SourceFile[]> {
  const bytes = new Map([...blobs].map(([sha256, blob]) => [sha256, blob.bytes]));
  const rest = record.files.map((f) => f.sha256).filter((sha256) => !bytes.has(sha256));
  for (const blob of await readBlobs(hub.store.read, rest)) bytes.set(blob.sha256, await decodeBlob(blob));
  const missing = rest.filter((sha256) => !bytes.has(sha256));
  if (missing.length > 0) throw blobsMissing(record, missing);
  return record.files.map((f) => ({
    path: f.path,
    bytes: bytes.get(f.sha256) ?? Buffer.alloc(0),
    executable: f.executable,
  }));
}

async function registerZip(hub: HubContext, principal: Principal, zip: Buffer, source: string): Promise<Registered> {
  const maxBytes = maxBytesOf(hub);
  const files = await readZip(zip, { maxBytes, maxFiles: MAX_FILES });
  const packed = packPlugin(files, { maxBytes, imported: true, now: hub.clock() });
  const findings = await judge(files, packed.findings, hub.config.findings);
  return registerPacked(hub, principal, { ...packed, findings }, source);
}

/**
 * Registers what the hub itself has packed, signed with the hub's key.
 * @throws HaiveError FORBIDDEN, VERSION_EXISTS, VERSION_DELETED
 */
async function registerPacked(
  hub: HubContext,
  principal: Principal,
  packed: Packed,
  source: string,
): Promise<Registered> {
  requireName(principal, packed.record.name);
  const { record, manifest, originalManifest, types, surface } = packed;
  const { privatePem, publicKey } = hub.identity;
  const envelope = sealJson(RECORD_PAYLOAD_TYPE, record, privatePem);
  const blobs = await Promise.all([...packed.blobs].map(([sha256, bytes]) => encodeBlob(sha256, bytes)));
  const keyid = keyIdOf(publicKey);
  const parts = { record, envelope, keyid, publicKey, manifest, originalManifest, types, surface, blobs };
  const version = { ...parts, source };
  return answer(await storeVersion(hub, principal, version), packed, packed.findings);
}

function answer(
  stored: { id: string; status: string; created: boolean },
  packed: Packed,
  findings: Registered['findings'],
): Registered {
  const { name, version, digest } = packed.record;
  return { ...stored, status: stored.status as VersionStatus, name, version, digest, findings };
}
