import type { Frame } from '../../contract/frames.ts';
import { Envelope } from '../../contract/schemas.ts';
import { HaiveError } from '../../domain/errors.ts';
import { checkPluginName, checkVersion } from '../../domain/names.ts';
import { checkPath, checkPathSet } from '../../domain/safe-path.ts';
import { openJson, type Envelope as SignedEnvelope } from '../../domain/signing/dsse.ts';
import { RECORD_PAYLOAD_TYPE, type VersionRecord } from '../../domain/version/record.ts';
import { fromRecordDelta, type RecordDelta } from '../../domain/version/record-delta.ts';
import { checkSpace, roomOf } from '../../machine/change/stage.ts';
import type { Machine } from '../../machine/machine.ts';
import { getRecord, missingBlobs, putRecord } from '../../machine/store/blob-store.ts';
import type { HubClient } from '../hub/hub-client.ts';
import { admitKey, followsRotation, pin, trustOf } from '../trust/publisher-keys.ts';
import type { Answering, Base, TransferOptions } from './asking.ts';
import { otherRecord } from './here.ts';
import type { Keys } from './keys.ts';

const REFUSALS = new Set([
  'SIGNATURE_INVALID',
  'DIGEST_MISMATCH',
  'FORMAT_UNSUPPORTED',
  'NAME_INVALID',
  'NAME_RESERVED',
  'VERSION_INVALID',
  'PATH_UNSAFE',
  'PATH_COLLISION',
  'PLUGIN_TOO_LARGE',
]);

/**
 * A record that arrived: signature, key, names and paths are checked before it is kept; what does not hold is a failure of that version.
 * @throws HaiveError DISK_FULL, READ_ONLY, IO_ERROR
 */
export async function takeRecord(m: Machine, hub: HubClient, frame: Frame, so: Answering): Promise<void> {
  const { header } = frame;
  so.newest = null;
  const want = header.t === 'record' && header.digest !== undefined ? so.wanted.get(header.digest) : undefined;
  if (header.t !== 'record' || want === undefined) return;
  const { result, keys, options } = so;
  try {
    const base = header.base === undefined ? null : await baseOf(m, header.base);
    const envelope = base === null ? Envelope.parse(JSON.parse(frame.bytes.toString('utf8'))) : expand(base, frame);
    const signer = envelope.signatures[0]?.keyid ?? '';
    const pinned = trustOf(keys.trust, options.hub.id).publishers[signer]?.key;
    const key = header.key ?? pinned ?? options.hub.public_key;
    // With several, the one that was checked would not be the one that is written down.
    if (envelope.signatures.length !== 1) {
      throw new HaiveError(
        'SIGNATURE_INVALID',
        `The record of ${want.name}@${want.version} is not signed exactly once`,
      );
    }
    const { value } = openJson(envelope, RECORD_PAYLOAD_TYPE, [key]);
    const record = value as VersionRecord;
    if (record.name !== want.name || record.version !== want.version || record.digest !== want.digest) {
      throw otherRecord(want);
    }
    // Both become folders.
    checkPluginName(record.name);
    checkVersion(record.version);
    const size = sizeOf(record.files);
    if (!(size <= options.maxBytes)) {
      throw new HaiveError('PLUGIN_TOO_LARGE', `${want.name}@${want.version} has ${size} bytes, over the limit here`);
    }
    for (const file of record.files) checkPath(file.path);
    checkPathSet(record.files.map((file) => file.path));
    await admit(m, hub, record.name, key, keys, options);
    await checkRoom(m, record);
    await putRecord(m, envelope, record);
    for (const file of record.files) so.expected.set(file.sha256, file.size);
    so.newest = { record, base };
  } catch (thrown) {
    const error =
      thrown instanceof HaiveError
        ? thrown
        : new HaiveError('SIGNATURE_INVALID', `The record of ${want.name}@${want.version} is not one`, {
            cause: thrown,
          });
    if (!REFUSALS.has(error.code)) throw error;
    // A whole record decides what a difference only seems to say.
    if (header.base !== undefined && so.differences) so.misfit = true;
    else result.failed.set(want.digest, error);
  }
}

/** What a record is told as differences from: a version that is here, or nothing. */
async function baseOf(m: Machine, digest: string): Promise<Base | null> {
  return digest === '' ? { files: [] } : ((await getRecord(m, digest))?.record ?? null);
}

/** The record comes before the bytes: what has no room here, as bytes and as a tree, is not fetched. @throws HaiveError DISK_FULL */
async function checkRoom(m: Machine, record: VersionRecord): Promise<void> {
  const bytes = sizeOf(record.files);
  // What is here already needs no second place, but to know that takes a look at each.
  if (roomOf(m) < 2 * bytes) await checkSpace(m, bytes + sizeOf(await missingBlobs(m, [record])));
}

const sizeOf = (files: readonly { size: number }[]): number => files.reduce((sum, { size }) => sum + size, 0);

/** The envelope of a record that came as differences from one that is here. */
function expand(base: Base, frame: Frame): SignedEnvelope {
  const { signatures, record } = JSON.parse(frame.bytes.toString('utf8')) as {
    signatures: unknown;
    record: RecordDelta;
  };
  const payload = Buffer.from(JSON.stringify(fromRecordDelta(base, record))).toString('base64');
  return Envelope.parse({ payloadType: RECORD_PAYLOAD_TYPE, payload, signatures });
}

/** Admits a key, also one that the pinned keys themselves name as the next. @throws HaiveError SIGNATURE_INVALID */
async function admit(
  m: Machine,
  hub: HubClient,
  plugin: string,
  key: string,
  keys: Pick<Keys, 'trust'>,
  options: TransferOptions,
): Promise<void> {
  try {
    keys.trust = admitKey(keys.trust, options.hub, plugin, key, m.clock());
  } catch (refused) {
    if (!(refused instanceof HaiveError) || refused.code !== 'SIGNATURE_INVALID') throw refused;
    const rotations = await hub.call('keys', { signal: options.signal }).then(
      (answer) => answer.rotations,
      () => [],
    );
    const { id } = options.hub;
    if (!followsRotation(keys.trust, id, plugin, key, rotations)) throw refused;
    keys.trust = pin(keys.trust, id, plugin, key, m.clock());
  }
}
