import { HaiveError } from '../../domain/errors.ts';
import type { Plan, PlanEntry } from '../../domain/plan/index.ts';
import type { Picked } from '../../domain/plan/pick-changes.ts';
import { statOf } from '../../machine/files/file-port.ts';
import type { Machine } from '../../machine/machine.ts';
import { type Layout, type Receipts, refuseDigest } from '../../machine/receipts/index.ts';
import { type Refused, refusedWith } from '../local-audit.ts';
import { layoutRefusal, noteOfRefusal, type Switch } from './layout-wish.ts';
import type { SyncResult } from './result.ts';

/** What the rounds before found out. */
export interface Found {
  /** By digest: what does not come, and why. */
  failed: Map<string, HaiveError>;
  /** Those of them that only the layout keeps away. */
  misfits: Set<string>;
  /** The layout that is tried. */
  layout: Layout;
  /** Why the switch to the layout of the configuration was given up. */
  noSwitch: HaiveError | null;
  /** Whether damaged blobs were fetched again. */
  refetched: boolean;
}

/** What a round sets out to do. */
export interface Round {
  receipts: Receipts;
  picked: Picked;
  switching: boolean;
}

/** Puts what the rounds before found out into the result. @returns the same for the audit log */
export function tellFound(result: SyncResult, { failed, noSwitch }: Found, plan: Plan, way: Switch): Refused[] {
  for (const [digest, error] of failed) {
    const entry = plan.plugins.find((p) => p.digest === digest);
    const about = entry === undefined ? { name: digest } : { name: entry.name, version: entry.version };
    result.problems.push({ ...about, code: error.code, message: error.message, hint: error.hint, where: 'machine' });
  }
  const refusals = refusalsOf(plan, failed);
  if (noSwitch === null) return refusals;
  result.layoutRefused = layoutRefusal(way, noSwitch);
  return [...refusals, noteOfRefusal(way, noSwitch)];
}

/** Everything else is done in the layout that is here, also what did not fit the other. @throws `thrown`, where it is no HaiveError */
export function giveUpSwitch(found: Found, { layout }: Receipts, thrown: unknown): void {
  if (!(thrown instanceof HaiveError)) throw thrown;
  found.noSwitch = thrown;
  found.layout = layout;
  for (const digest of found.misfits) found.failed.delete(digest);
}

/** Finds what the next round can do without, or differently, after a change was not made. @throws `thrown`, where that is nothing */
export async function doWithout(
  machine: Machine,
  found: Found,
  { picked, receipts, switching }: Round,
  thrown: unknown,
): Promise<void> {
  const about = (codes: readonly string[]): PlanEntry | undefined =>
    picked.install.find((entry) => isAbout(thrown, codes, entry.name) && !found.failed.has(entry.digest));
  // One plugin that does not fit this machine's layout keeps no other from being installed.
  const unfit = about(UNFIT);
  if (unfit !== undefined) {
    found.failed.set(unfit.digest, thrown as HaiveError);
    found.misfits.add(unfit.digest);
    return;
  }
  // One that does not read back as written keeps no other from being installed, and is not tried again by itself.
  const spoilt = about(['VERIFY_FAILED']);
  if (spoilt !== undefined) {
    found.failed.set(spoilt.digest, thrown as HaiveError);
    await refuseDigest(machine, spoilt.digest, `VERIFY_FAILED: ${(thrown as HaiveError).message}`);
    return;
  }
  // A blob was damaged on this disk: it is gone now, and is fetched again once.
  const damaged = thrown instanceof HaiveError && ['HASH_MISMATCH', 'BLOB_MISSING'].includes(thrown.code);
  if (damaged && !found.refetched) {
    found.refetched = true;
    return;
  }
  // What is revoked must go all the same; a change that was begun is finished as it is.
  if (!switching || statOf(machine.paths.journal) !== null) throw thrown;
  giveUpSwitch(found, receipts, thrown);
}

/** What this machine's policy or checks kept out, as its audit log says it. */
function refusalsOf(plan: Plan, failed: ReadonlyMap<string, HaiveError>): Refused[] {
  return plan.plugins.flatMap(({ name: target, version, digest, origin: from }) => {
    const error = failed.get(digest);
    if (error === undefined) return [];
    return [refusedWith(error, { target, from, before: null, after: { version, digest } })];
  });
}

/** What one plugin asks for and this machine's layout cannot give. */
const UNFIT = ['NAME_CLASH', 'LAYOUT_UNSUPPORTED'];

const isAbout = (thrown: unknown, codes: readonly string[], name: string): boolean =>
  thrown instanceof HaiveError && codes.includes(thrown.code) && thrown.details?.name === name;
