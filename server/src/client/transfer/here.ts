import { HaiveError } from '../../domain/errors.ts';
import type { Machine } from '../../machine/machine.ts';
import { getRecord, hasBlob, missingBlobs } from '../../machine/store/blob-store.ts';
import type { TransferOptions, TransferResult, Wanted } from './asking.ts';

/** What of versions is on this machine already. */

/** Moves complete versions into `fetched`; returns those that lack something and have not failed. */
export async function stillLacking(
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

/**
 * The versions that are replaced, as far as every blob of theirs is still here: the hub leaves those blobs out. Looking through all that is
 * installed takes longer than an installation.
 */
export async function wholeVersions(
  m: Machine,
  wanted: readonly Wanted[],
  options: TransferOptions,
): Promise<string[]> {
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
export async function partial(m: Machine, wanted: readonly Wanted[]): Promise<string[]> {
  const here = new Set<string>();
  for (const want of wanted) {
    const kept = await getRecord(m, want.digest);
    for (const file of kept?.record.files ?? []) if (await hasBlob(m, file.sha256)) here.add(file.sha256);
  }
  return [...here];
}

export const otherRecord = ({ name, version }: Wanted): HaiveError =>
  new HaiveError('DIGEST_MISMATCH', `The record is not that of ${name}@${version}`);
