import { HaiveError } from '../../domain/errors.ts';
import { applyChange, recover } from '../../machine/change/transaction.ts';
import { foreignMarketplace } from '../../machine/claude/foreign-marketplace.ts';
import { enabledKey } from '../../machine/claude/marketplace.ts';
import { enabledNames } from '../../machine/drift.ts';
import type { Machine } from '../../machine/machine.ts';
import { withLock } from '../../machine/processes/lock.ts';
import {
  type Receipt,
  type Receipts,
  readReceipts,
  refuseDigest,
  updateReceipts,
} from '../../machine/receipts/index.ts';
import { getRecord } from '../../machine/store/blob-store.ts';
import { findClaude, runClaude } from '../claude-program.ts';
import type { ClientContext } from '../context.ts';

/** Whether Claude Code itself loads what was installed: asked behind a change, because the answer costs a quarter of a second. */

export interface LoadFailure {
  name: string;
  version: string;
  /** In Claude Code's own words. */
  errors: string[];
  /** The version that is back; null where the plugin was taken away or left as it is. */
  backTo: string | null;
  /** Left as it is: it loaded before, or what it needs is switched off. */
  left: boolean;
}

export interface LoadedResult {
  loaded: string[];
  failed: LoadFailure[];
}

const TIMEOUT_MS = 20_000;

/**
 * Errors by plugin, as `claude plugin list --json` tells them; null where there is no client, it does not answer, or the layout
 * is one that it does not list, or its marketplace of our name is another.
 */
export async function askClient(ctx: ClientContext): Promise<Map<string, string[]> | null> {
  const receipts = await readReceipts(ctx.machine);
  if (receipts.layout !== 'native' || Object.keys(receipts.plugins).length === 0) return null;
  const file = await findClaude(ctx.env);
  // Of a marketplace that is not ours the client says nothing about our plugins.
  if (file === null || (await foreignMarketplace(ctx.machine)) !== null) return null;
  try {
    const rows: unknown = JSON.parse(await runClaude(ctx.env, file, ['plugin', 'list', '--json'], TIMEOUT_MS));
    if (!Array.isArray(rows)) return null;
    const found = new Map<string, string[]>();
    for (const row of rows as { id?: unknown; enabled?: unknown; errors?: unknown }[]) {
      const name = typeof row?.id === 'string' && row.id.endsWith(enabledKey('')) ? row.id.split('@')[0] : undefined;
      if (name === undefined || row.enabled === false) continue;
      found.set(name, Array.isArray(row.errors) ? row.errors.map(String) : []);
    }
    return found;
  } catch {
    return null;
  }
}

/**
 * Asks, notes `loaded`, and undoes what just came and does not load: back to the version before, or away where there was none. Its
 * digest is refused from then on, until a person asks for it.
 * @returns null where nobody can be asked
 * @throws HaiveError LOCKED, SETTINGS_INVALID, and those of files
 */
export async function checkLoaded(ctx: ClientContext): Promise<LoadedResult | null> {
  const { machine } = ctx;
  const before = await readReceipts(machine);
  const answers = await askClient(ctx);
  if (answers === null) return null;
  return withLock(machine, 'loaded', async () => {
    await recover(machine);
    const result: LoadedResult = { loaded: [], failed: [] };
    for (const [name, errors] of answers) {
      const receipt = (await readReceipts(machine)).plugins[name];
      // Changed while the client was asked: the answer is about another version.
      if (receipt === undefined || receipt.dir !== before.plugins[name]?.dir) continue;
      if (errors.length === 0) result.loaded.push(name);
      else result.failed.push(await undo(machine, receipt, errors));
    }
    await note(machine, result);
    return result;
  });
}

async function undo(m: Machine, receipt: Receipt, errors: string[]): Promise<LoadFailure> {
  const { name, version, digest } = receipt;
  const failure: LoadFailure = { name, version, errors, backTo: null, left: false };
  const receipts = await readReceipts(m);
  const enabled = await enabledNames(m);
  const needs = receipt.dependencies.filter((d) => d.kind === 'required');
  if (receipt.state !== 'verified' || needs.some((d) => !enabled.has(d.name))) return { ...failure, left: true };
  const target = receipt.previous[0];
  const kept = target === undefined ? null : await getRecord(m, target.digest);
  if (target !== undefined && kept !== null) {
    const { id, dependencies, keyid } = target;
    const entry = { id, name, version: target.version, digest: target.digest, origin: receipt.origin, dependencies };
    const force = receipt.force === undefined ? {} : { force: receipt.force };
    const install = [{ entry: { ...entry, ...force }, record: kept.record, keyid }];
    await applyChange(m, { install, remove: [], reason: 'sync' });
    failure.backTo = target.version;
  } else if (target === undefined && !isNeeded(receipts, name)) {
    await applyChange(m, { install: [], remove: [name], reason: 'remove' });
  } else return { ...failure, left: true };
  await refuseDigest(m, digest, `${name}@${version} does not load in Claude Code: ${errors[0]}`);
  return failure;
}

const isNeeded = (receipts: Receipts, name: string): boolean =>
  Object.values(receipts.plugins).some((p) => p.dependencies.some((d) => d.name === name && d.kind === 'required'));

async function note(m: Machine, result: LoadedResult): Promise<void> {
  const receipts = await readReceipts(m);
  const left = result.failed.filter((failure) => failure.left);
  const news = (name: string, state: Receipt['state']): boolean => receipts.plugins[name]?.state !== state;
  if (!result.loaded.some((name) => news(name, 'loaded')) && !left.some(({ name }) => news(name, 'failed'))) return;
  await updateReceipts(m, (now) => {
    for (const name of result.loaded) {
      const receipt = now.plugins[name];
      if (receipt === undefined) continue;
      receipt.state = 'loaded';
      delete receipt.error;
    }
    for (const { name, errors } of left) {
      const receipt = now.plugins[name];
      if (receipt === undefined) continue;
      receipt.state = 'failed';
      receipt.error = { code: 'COMPONENT_INVALID', message: errors[0] ?? 'it does not load' };
    }
  });
}

/** The same where nothing of it may disturb what went before. */
export async function checkLoadedQuietly(ctx: ClientContext): Promise<LoadedResult | null> {
  try {
    return await checkLoaded(ctx);
  } catch (thrown) {
    if (thrown instanceof HaiveError) return null;
    throw thrown;
  }
}
