import { decodeFrames, FRAMES_TYPE, type Frame } from '../contract/frames.ts';
import { Envelope } from '../contract/schemas.ts';
import { openJson, type Envelope as SignedEnvelope } from '../domain/dsse.ts';
import { HaiveError } from '../domain/errors.ts';
import { applyDelta } from '../domain/file-delta.ts';
import { checkPluginName, checkVersion } from '../domain/names.ts';
import { fromRecordDelta, type RecordDelta } from '../domain/record-delta.ts';
import { checkPath, checkPathSet } from '../domain/safe-path.ts';
import { RECORD_PAYLOAD_TYPE, type VersionRecord } from '../domain/version-record.ts';
import { getRecord, hasBlob, missingBlobs, putRecord, readBlob } from '../machine/blob-store.ts';
import { type Intake, openIntake } from '../machine/intake.ts';
import type { Machine } from '../machine/machine.ts';
import { checkSpace, roomOf } from '../machine/stage.ts';
import { inflate, keepPack, openBatches } from './batch.ts';
import { brokenOff } from './http.ts';
import type { HubClient } from './hub-client.ts';
import { admitKey, followsRotation, pin, readTrust, type Trust, trustOf, writeTrust } from './trust.ts';

export interface Wanted {
  id: string;
  name: string;
  version: string;
  digest: string;
}

export interface Fetched {
  record: VersionRecord;
  /** Who signed it. */
  keyid: string;
}

export interface TransferResult {
  /** By digest: complete on this machine, every byte checked. */
  fetched: Map<string, Fetched>;
  /** By digest: what may not be installed, and why. */
  failed: Map<string, HaiveError>;
  /** Bytes of frames received. */
  bytes: number;
}

export interface TransferOptions {
  hub: { id: string; public_key: string };
  /** Largest plugin that is accepted, bytes. */
  maxBytes: number;
  /** Versions that are installed here. */
  installed: readonly { name: string; digest: string }[];
  /** Key ids whose statements count for nothing. */
  revokedKeys?: readonly string[] | undefined;
  /** Calls before a cut connection is given up. */
  attempts: number;
  signal?: AbortSignal | undefined;
  onBytes?: ((received: number) => void) | undefined;
}

/**
 * Brings records and missing blobs of versions into this machine's blob store. Every sha256 and signature is checked as it arrives;
 * what arrived before a cut stays, and the next attempt asks only for the rest.
 * @throws HaiveError of the connection (HUB_UNREACHABLE, TIMEOUT, HUB_ANSWER_INVALID, the hub's own codes)
 */
export async function fetchVersions(
  m: Machine,
  hub: HubClient,
  wanted: readonly Wanted[],
  options: TransferOptions,
): Promise<TransferResult> {
  const result: TransferResult = { fetched: new Map(), failed: new Map(), bytes: 0 };
  const keys = keptKeys(m, await readTrust(m));
  let differences = true;
  try {
    for (let attempt = 1; ; attempt++) {
      const lacking = await stillLacking(m, wanted, result, options.hub);
      if (lacking.length === 0) break;
      let misfit: boolean;
      try {
        misfit = await askOnce(m, hub, lacking, { result, keys, options, differences });
      } catch (thrown) {
        if (attempt >= options.attempts || !isCut(thrown) || options.signal?.aborted === true) throw thrown;
        continue;
      }
      if (misfit) {
        // Differences that do not fit what is here cost one more question, never the update.
        differences = false;
        continue;
      }
      for (const want of await stillLacking(m, lacking, result, options.hub)) {
        const message = `The hub did not send all of ${want.name}@${want.version}`;
        result.failed.set(want.digest, new HaiveError('BLOB_NOT_FOUND', message));
      }
      break;
    }
  } finally {
    await keys.settled();
  }
  return result;
}

const isCut = (thrown: unknown): boolean =>
  thrown instanceof HaiveError && ['HUB_ANSWER_INVALID', 'HUB_UNREACHABLE', 'TIMEOUT'].includes(thrown.code);

/** Moves complete versions into `fetched`; returns those that lack something and have not failed. */
async function stillLacking(
  m: Machine,
  wanted: readonly Wanted[],
  result: TransferResult,
  hub: { public_key: string },
): Promise<Wanted[]> {
  const lacking: Wanted[] = [];
  for (const want of wanted) {
    if (result.failed.has(want.digest) || result.fetched.has(want.digest)) continue;
    const kept = await getRecord(m, want.digest);
    if (kept === null || (await missingBlobs(m, [kept.record])).length > 0) lacking.push(want);
    else if (kept.record.name !== want.name || kept.record.version !== want.version) {
      result.failed.set(want.digest, otherRecord(want));
    } else {
      const keyid = kept.envelope.signatures[0]?.keyid ?? hub.public_key;
      result.fetched.set(want.digest, { record: kept.record, keyid });
    }
  }
  return lacking;
}

type Base = Pick<VersionRecord, 'files'>;

/** What this machine trusts, written down as it grows while the rest still arrives. */
interface Keys {
  trust: Trust;
  /** @throws HaiveError of files */
  settled(): Promise<void>;
}

function keptKeys(m: Machine, known: Trust): Keys {
  let [trust, written] = [known, known];
  let writing: Promise<unknown> | undefined;
  return {
    get trust() {
      return trust;
    },
    set trust(next: Trust) {
      trust = next;
      if (next === written || writing !== undefined) return;
      written = next;
      // What went wrong is told in the end; then it is written again.
      writing = writeTrust(m, next).catch(() => {
        written = known;
      });
    },
    async settled() {
      await writing;
      if (trust !== written) await writeTrust(m, trust);
    },
  };
}

interface Asking {
  result: TransferResult;
  keys: Keys;
  options: TransferOptions;
  /** Whether records and files may come as differences from what is here. */
  differences: boolean;
}

/** What one answer has told so far. */
interface Answering extends Asking {
  wanted: Map<string, Wanted>;
  /** Bytes of blobs that accepted records name, by sha256. */
  expected: Map<string, number>;
  /** Where the bytes go. */
  intake: Intake;
  /** The record that came last, and the one that it was told as a difference from. */
  newest: { record: VersionRecord; base: Base | null } | null;
  /** A difference did not fit. */
  misfit: boolean;
}

/** @returns true when differences came that did not fit: what they stood for is still lacking */
async function askOnce(m: Machine, hub: HubClient, wanted: readonly Wanted[], asking: Asking): Promise<boolean> {
  const { options } = asking;
  const answer = await hub.open('transfer', {
    body: {
      versions: wanted.map((w) => w.digest),
      have: await wholeVersions(m, wanted, options),
      have_blobs: await partial(m, wanted),
      forms: asking.differences ? ['delta', 'batch'] : [],
    },
    headers: { accept: FRAMES_TYPE },
    signal: options.signal,
  });
  if (!String(answer.headers['content-type']).startsWith(FRAMES_TYPE)) {
    answer.body.destroy();
    throw new HaiveError('HUB_ANSWER_INVALID', 'The hub answers with something other than frames');
  }
  const so: Answering = {
    ...asking,
    wanted: new Map(wanted.map((w) => [w.digest, w])),
    expected: new Map(),
    intake: openIntake(m),
    newest: null,
    misfit: false,
  };
  const limit = Math.max(options.maxBytes, 8 * 1024 * 1024) + 64 * 1024;
  try {
    const arriving = counted(decodeFrames(answer.body as AsyncIterable<Buffer>, limit), asking);
    for await (const frame of openBatches(arriving)) {
      await take(m, hub, frame, so);
      // Lets more arrive.
      if (frame.header.t === 'pack') await new Promise(setImmediate);
    }
  } catch (thrown) {
    answer.body.destroy();
    await so.intake.settle().catch(() => undefined);
    throw brokenOff(thrown, 'The transfer broke off; what arrived is kept');
  }
  await so.intake.settle();
  return so.misfit && asking.differences;
}

async function* counted(frames: AsyncIterable<Frame>, { result, options }: Asking): AsyncGenerator<Frame> {
  for await (const frame of frames) {
    result.bytes += frame.bytes.length;
    options.onBytes?.(result.bytes);
    yield frame;
  }
}

async function take(m: Machine, hub: HubClient, frame: Frame, so: Answering): Promise<void> {
  if (frame.header.t === 'record') await takeRecord(m, hub, frame, so);
  else if (frame.header.t === 'blob') await takeBlob(frame, so);
  else if (frame.header.t === 'delta') await takeDelta(m, frame, so);
  else if (frame.header.t === 'pack' && so.newest !== null) await keepPack(so.intake, so.newest.record, frame);
}

/**
 * The versions that are replaced, as far as every blob of theirs is still here: the hub leaves those blobs out. Looking through all that is
 * installed takes longer than an installation.
 */
async function wholeVersions(m: Machine, wanted: readonly Wanted[], options: TransferOptions): Promise<string[]> {
  const names = new Set(wanted.map((w) => w.name));
  return wholeHere(
    m,
    options.installed.filter((p) => names.has(p.name)),
  );
}

/** Digests of those whose record and every blob are here. */
export async function wholeHere(m: Machine, trees: readonly { digest: string }[]): Promise<string[]> {
  const whole: string[] = [];
  for (const { digest } of trees) {
    const kept = await getRecord(m, digest);
    if (kept !== null && (await missingBlobs(m, [kept.record])).length === 0) whole.push(digest);
  }
  return whole;
}

/** Blobs that an attempt before this one brought. */
async function partial(m: Machine, wanted: readonly Wanted[]): Promise<string[]> {
  const here = new Set<string>();
  for (const want of wanted) {
    const kept = await getRecord(m, want.digest);
    for (const file of kept?.record.files ?? []) if (await hasBlob(m, file.sha256)) here.add(file.sha256);
  }
  return [...here];
}

async function takeRecord(m: Machine, hub: HubClient, frame: Frame, so: Answering): Promise<void> {
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
    if (!followsRotation(keys.trust, id, plugin, key, rotations, options.revokedKeys)) throw refused;
    keys.trust = pin(keys.trust, id, plugin, key, m.clock());
  }
}

const otherRecord = ({ name, version }: Wanted): HaiveError =>
  new HaiveError('DIGEST_MISMATCH', `The record is not that of ${name}@${version}`);

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

async function takeBlob(frame: Frame, { expected, intake }: Answering): Promise<void> {
  const { header } = frame;
  if (header.t !== 'blob') return;
  const size = expected.get(header.sha256);
  // Bytes that no accepted record names are none of ours.
  if (size === undefined) return;
  await intake.put(header.sha256, header.enc === 'br' ? await inflate(frame.bytes, size) : frame.bytes);
}

/** A file of the newest record, made from one that is here. What does not fit is asked for whole. */
async function takeDelta(m: Machine, frame: Frame, so: Answering): Promise<void> {
  const { header } = frame;
  if (header.t !== 'delta') return;
  const file = so.newest?.record.files[header.of];
  const from = so.newest?.base?.files[header.from];
  try {
    if (file === undefined || from === undefined) throw new HaiveError('HASH_MISMATCH', 'A delta of nothing known');
    const base = await readBlob(m, from.sha256);
    await so.intake.put(file.sha256, applyDelta(base, frame.bytes, file.size));
  } catch (thrown) {
    if (!(thrown instanceof HaiveError) || !['HASH_MISMATCH', 'BLOB_MISSING'].includes(thrown.code)) throw thrown;
    so.misfit = true;
  }
}
