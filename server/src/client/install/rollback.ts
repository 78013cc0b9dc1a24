import semverValid from 'semver/functions/valid.js';
import { meets } from '../../domain/desired/resolve.ts';
import { HaiveError, toHaiveError } from '../../domain/errors.ts';
import { parsePluginRef } from '../../domain/names.ts';
import { applyChange, type Change, recover } from '../../machine/change/transaction.ts';
import { planRollback } from '../../machine/change/versions-on-disk.ts';
import { withLock } from '../../machine/processes/lock.ts';
import { type Receipt, type Receipts, readReceipts, type TreeReceipt } from '../../machine/receipts/index.ts';
import { getRecord } from '../../machine/store/blob-store.ts';
import type { ClientContext } from '../context.ts';
import type { HubClient } from '../hub/hub-client.ts';
import { ask } from '../hub/registry.ts';
import { notingFailure } from '../local-audit.ts';
import { sendReport } from '../report/index.ts';
import { spool, unspool } from '../report/spool.ts';
import { PATIENCE } from '../sync/options.ts';
import { installedHere } from './not-installed.ts';
import { PATIENCE_MS, rollbackFromHub } from './rollback-from-hub.ts';

export interface RollbackResult {
  name: string;
  from: string;
  to: string;
  /** True when it came from the hub, as an installation of exactly this version: a hold ends with `hv update`, this with `hv install`. */
  pinned: boolean;
  /** False when the hub was away; it is told with the next sync. */
  hubTold: boolean;
  warnings: string[];
}

/**
 * Goes back to a version that is still on this disk, without the network, and holds it: no sync moves it until `hv update NAME`.
 * A version that was named and is not here any more, or not whole, is installed from the hub instead; where that fails, what was said of the plugin
 * before (a hold, an installation) holds again.
 * @param ref NAME, NAME@VERSION or an id
 * @param version the exact version to go to; the reference's own when absent, the one before where that names none either
 * @throws HaiveError NOT_INSTALLED, VERSION_INVALID, ID_MISMATCH, ROLLBACK_UNAVAILABLE, DEPENDENCY_CONFLICT, LOCKED, those of
 * installPlugin where the version comes from the hub, and those of files
 */
export async function rollbackPlugin(ctx: ClientContext, ref: string, version?: string): Promise<RollbackResult> {
  const { machine } = ctx;
  const { name, to } = target(ref, version);
  const here = installedHere(await readReceipts(machine), name);
  if (to !== undefined && to !== here.version && !here.previous.some((p) => p.version === to)) {
    return rollbackFromHub(ctx, name, here.version, to);
  }
  const back = async () => {
    await recover(machine);
    return flip(ctx, name, to, here.version);
  };
  let done: Awaited<ReturnType<typeof flip>>;
  try {
    done = await withLock(machine, 'rollback', back, { waitMs: PATIENCE.explicit.lock });
  } catch (thrown) {
    if (to === undefined || !isIncomplete(thrown)) throw thrown;
    return rollbackFromHub(ctx, name, here.version, to);
  }
  const { note, ...moved } = done;
  const told = await tellHub(ctx, name, moved.to, note);
  return { name, ...moved, pinned: false, ...told };
}

function target(ref: string, version: string | undefined): { name: string; to: string | undefined } {
  const { name, range } = parsePluginRef(ref);
  const inRef = range ?? (ref.includes('@') ? 'latest' : undefined);
  if (inRef !== undefined && version !== undefined && inRef !== version) {
    throw new HaiveError('ID_MISMATCH', `${ref} and version ${version} disagree`);
  }
  const to = version ?? inRef;
  if (to !== undefined && semverValid(to) !== to) {
    throw new HaiveError('VERSION_INVALID', `A rollback goes to one exact version, not to ${to.slice(0, 80)}`, {
      hint: `Leave it out for the one before; \`hv status ${name}\` lists those that are here.`,
    });
  }
  return { name, to };
}

async function flip(
  ctx: ClientContext,
  name: string,
  to: string | undefined,
  seen: string,
): Promise<{ from: string; to: string; note: string }> {
  const { machine } = ctx;
  const tree = await planRollback(machine, name, to, seen);
  const receipts = await readReceipts(machine);
  const here = receipts.plugins[name];
  const kept = await getRecord(machine, tree.digest);
  if (here === undefined || kept === null) throw incomplete(name, tree.version);
  checkRanges(receipts, here, tree);
  const { id, version, digest, keyid, dependencies } = tree;
  const entry = { id, name, version, digest, origin: here.origin, dependencies, force: here.force };
  const change: Change = {
    install: [{ entry, record: kept.record, keyid }],
    remove: [],
    reason: 'rollback',
    holds: { set: { [name]: { version, digest } } },
  };
  const note = await notingFailure(ctx, async (trying) => {
    trying([{ what: 'rollback', name, version }]);
    // First, so that the hub hears of it also where this process dies right behind the change.
    const kept = await spool(machine, { call: 'hold', name, version });
    await applyChange(machine, change).catch((thrown) => {
      const lost = thrown instanceof HaiveError && ['BLOB_MISSING', 'HASH_MISMATCH'].includes(thrown.code);
      throw lost ? incomplete(name, version, thrown) : thrown;
    });
    return kept;
  });
  return { from: here.version, to: version, note };
}

const incomplete = (name: string, version: string, cause?: unknown): HaiveError =>
  new HaiveError('ROLLBACK_UNAVAILABLE', `What is kept of ${name} ${version} is not complete any more`, {
    hint: `\`hv rollback ${name} --to ${version}\` brings it from the hub.`,
    details: { incomplete: true },
    cause,
  });

const isIncomplete = (thrown: unknown): boolean => thrown instanceof HaiveError && thrown.details?.incomplete === true;

/** Nothing that stays may lose what it needs, and the old version must find what it needs. */
function checkRanges(receipts: Receipts, { name }: Receipt, { version, dependencies }: TreeReceipt): void {
  for (const other of Object.values(receipts.plugins)) {
    const need = other.dependencies.find((d) => d.name === name && d.kind === 'required');
    if (need !== undefined && !meets(version, need.range)) {
      throw new HaiveError('DEPENDENCY_CONFLICT', `${other.name} ${other.version} needs ${name} ${need.range}`, {
        hint: `Roll back ${other.name} first.`,
      });
    }
  }
  for (const need of dependencies) {
    const there = receipts.plugins[need.name]?.version;
    if (need.kind === 'required' && (there === undefined || !meets(there, need.range))) {
      const have = there === undefined ? 'which is not installed' : `and ${there} is installed`;
      throw new HaiveError('DEPENDENCY_CONFLICT', `${name} ${version} needs ${need.name} ${need.range}, ${have}`);
    }
  }
}

/** What was done here is done, whatever becomes of the telling: what fails is told by the next sync, from the note. */
async function tellHub(
  ctx: ClientContext,
  name: string,
  version: string,
  note: string,
): Promise<{ hubTold: boolean; warnings: string[] }> {
  try {
    const tell = async (hub: HubClient): Promise<void> => {
      await hub.call('setOverride', { params: { machine: 'me', name }, body: { kind: 'hold', range: version } });
      await sendReport(ctx, hub);
    };
    await ask(ctx, 'machine', tell, PATIENCE_MS);
    await unspool(ctx.machine, note);
    return { hubTold: true, warnings: [] };
  } catch (thrown) {
    const { code } = toHaiveError(thrown);
    return { hubTold: false, warnings: [`The hub was not told (${code}). It will be with the next sync`] };
  }
}
