import { encodeFrame, endFrame } from '../../contract/frames.ts';
import { MAX_PARCEL, pack } from '../../contract/parcel.ts';
import type { Envelope } from '../../domain/signing/dsse.ts';
import { readBlobs } from '../../storage/queries/blobs.ts';
import { blobsOfDigests, recordsByDigest } from '../../storage/queries/plugins.ts';
import { publicKeysOf } from '../../storage/queries/publisher-keys.ts';
import type { HubContext } from '../context.ts';
import { type Catalogue, loadCatalogue } from '../registry/snapshot.ts';
import { framesOf, type StoredVersion, updateBetween } from '../registry/update-frames.ts';
import type { Plans } from './index.ts';

/**
 * What a connected machine is sent after the doorbell. `bytes`: its plan's differences, signed, with the records and bytes that those
 * need · `same`: nothing changed for it · `ask`: it has to ask itself, because the change is not small or its plan not known here.
 */
export type Parcel =
  | { kind: 'bytes'; bytes: Buffer }
  | { kind: 'same'; seq: number; etag: string }
  | { kind: 'ask'; seq: number };

/** Versions in one parcel; more are a pull's business. */
const MAX_VERSIONS = 20;
/** Kept of one state of the registry, of at most MAX_PARCEL each. */
const MAX_STEPS = 200;

/** @param etag of the plan that the machine says it has */
export async function makeParcel(hub: HubContext, plans: Plans, machineId: string, etag: string): Promise<Parcel> {
  const plan = await plans.compute({ id: machineId });
  const seq = plan.counter;
  if (plan.etag === etag) return { kind: 'same', seq, etag };
  const delta = plan.sealDelta(etag);
  if (delta === null) return { kind: 'ask', seq };
  const here = new Map(plan.installed.map((p) => [p.name, p.digest]));
  const moved = plan.desired.plugins.filter((entry) => here.get(entry.name) !== entry.digest);
  if (moved.length > MAX_VERSIONS) return { kind: 'ask', seq };
  const frames = [encodeFrame({ t: 'plan', etag: plan.etag, n: 0 }, Buffer.from(JSON.stringify(delta)))];
  let bytes = 0;
  const step = await stepsOfNow(hub);
  for (const { name, digest } of moved) {
    const version = await step(digest, here.get(name));
    if (version === null) return { kind: 'ask', seq };
    frames.push(...version);
    bytes += version.reduce((sum, frame) => sum + frame.length, 0);
    if (bytes > MAX_PARCEL) return { kind: 'ask', seq };
  }
  const between = { hub: hub.identity.id, machine: machineId, etag };
  const packed = pack(Buffer.concat([...frames, endFrame()]), between);
  return packed.length > MAX_PARCEL ? { kind: 'ask', seq } : { kind: 'bytes', bytes: packed };
}

type Step = (digest: string, has: string | undefined) => Promise<Buffer[] | null>;

const steps = new WeakMap<Catalogue, Map<string, Promise<Buffer[] | null>>>();

/** `versionFrames`, each made once for a state of the registry: a fleet mostly makes the same step. */
async function stepsOfNow(hub: HubContext): Promise<Step> {
  const catalogue = await loadCatalogue(hub.store);
  const known = steps.get(catalogue) ?? new Map<string, Promise<Buffer[] | null>>();
  steps.set(catalogue, known);
  return (digest, has) => {
    const key = `${has} ${digest}`;
    let frames = known.get(key);
    if (frames === undefined) {
      if (known.size >= MAX_STEPS) known.clear();
      frames = versionFrames(hub, catalogue, digest, has, MAX_PARCEL);
      known.set(key, frames);
      frames.catch(() => known.delete(key));
    }
    return frames;
  };
}

/**
 * The record and all bytes of a version, as differences from what the machine has where that may be; null where its new files hold
 * more than `limit` bytes.
 */
export async function versionFrames(
  hub: HubContext,
  catalogue: Catalogue,
  digest: string,
  has: string | undefined,
  limit: number,
): Promise<Buffer[] | null> {
  const { store } = hub;
  const stored = await recordsByDigest(store.read, has === undefined ? [digest] : [digest, has]);
  const next = stored.find((v) => v.digest === digest);
  if (next === undefined) return null;
  const base = has === undefined ? undefined : readableBase(catalogue, stored, has);
  const wanted = new Map((await blobsOfDigests(store.read, [digest])).map((b) => [b.sha256, b.size]));
  if (base !== undefined)
    for (const { sha256 } of await blobsOfDigests(store.read, [base.digest])) wanted.delete(sha256);
  const frames: Buffer[] = [];
  const record = JSON.parse(next.record) as Envelope;
  const signer = record.signatures[0]?.keyid ?? '';
  // Who signed what the machine has is pinned there.
  const known = base !== undefined && (JSON.parse(base.record) as Envelope).signatures[0]?.keyid === signer;
  const key = known ? undefined : (await publicKeysOf(store.read, [signer])).get(signer);
  const told =
    base === undefined
      ? null
      : framesOf(await updateBetween(store, base, next), { base: base.digest, digest, key }, wanted);
  if (told !== null) frames.push(...told);
  else {
    const head = { t: 'record', digest, ...(key === undefined ? {} : { key }), n: 0 } as const;
    frames.push(encodeFrame(head, Buffer.from(next.record)));
  }
  const rest = [...wanted.values()].reduce((sum, size) => sum + size, 0);
  if (rest > limit) return null;
  const blobs = await readBlobs(store.read, wanted.keys());
  if (blobs.length < wanted.size) return null;
  for (const { sha256, encoding, data } of blobs) {
    frames.push(encodeFrame({ t: 'blob', sha256, enc: encoding, n: 0 }, data));
  }
  return frames;
}

/** What the machine has, unless its bytes are nobody's any more. */
function readableBase(
  catalogue: Catalogue,
  stored: readonly (StoredVersion & { id: string })[],
  digest: string,
): StoredVersion | undefined {
  const base = stored.find((v) => v.digest === digest);
  const status = base === undefined ? undefined : catalogue.byId.get(base.id)?.status;
  return status === undefined || status === 'deleted' || status === 'revoked' ? undefined : base;
}
