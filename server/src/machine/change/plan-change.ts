import { join } from 'node:path';
import { HaiveError } from '../../domain/errors.ts';
import { askedAgain } from '../claude/global-commands.ts';
import { marketplaceText } from '../claude/marketplace.ts';
import { enabledNames } from '../drift.ts';
import { readFileOrNull, statOf } from '../files/file-port.ts';
import { looseFiles } from '../loose/index.ts';
import { contentsOnDisk, giveLoose, hasCopyEdits, looseDirs } from '../loose/plan.ts';
import type { Machine } from '../machine.ts';
import { receiptsBytes } from '../receipts/bytes.ts';
import { entryOf, type Receipts } from '../receipts/index.ts';
import { getRecord } from '../store/blob-store.ts';
import { type PlannedEdits, planEffects, relativeToClaude, type TextToWrite } from './effects.ts';
import { backupOfLive, type Keep, planDrops, planKeeps, planPurge, settleKeeps } from './keeps.ts';
import { planGlobalCommands, planInstall, readManifest, retire } from './plan-install.ts';
import { editedPaths, MANIFEST, readLive } from './render.ts';
import type { StagedTree } from './stage.ts';
import type { Change, ChangeResult } from './transaction.ts';

/** Decides a whole change before anything is written: the receipts after it, the trees to write, what to warn of. */

export interface ChangePlan {
  changed: boolean;
  next: Receipts;
  marketplace: string;
  trees: StagedTree[];
  /** Folders that are named already, relative to the root. */
  taken: Set<string>;
  /** What the trees will take, roughly. */
  bytes: number;
  result: ChangeResult;
  /** Edits that are put aside when the change is made. */
  keeps: Keep[];
  /** Folders below `~/.claude` that the change will make, outermost first. */
  missing: string[];
  /** What the pointer and files of others will say. */
  texts: TextToWrite[];
  edits: PlannedEdits | undefined;
}

export async function planChange(m: Machine, prev: Receipts, change: Change): Promise<ChangePlan> {
  const next = receiptsToChange(prev, change);
  const plan: ChangePlan = {
    changed: false,
    keeps: [],
    missing: [],
    next,
    marketplace: '',
    texts: [],
    edits: undefined,
    trees: [],
    taken: namedDirs(prev),
    bytes: 0,
    result: { installed: [], removed: [], edits: [], warnings: [] },
  };
  for (const name of change.remove) await removePlugin(m, plan, change, name);
  if (next.layout !== prev.layout) await noteDisabled(m, prev, next);
  for (const install of change.install) await planInstall(m, prev, plan, change, install);
  if (next.layout !== prev.layout) await switchLayout(m, prev, plan, change);
  const stay = new Set(looseFiles(next).map((file) => file.path));
  for (const [name, before] of Object.entries(prev.plugins)) {
    const after = next.plugins[name];
    if (after === before) continue;
    if (after === undefined || JSON.stringify(after.loose) !== JSON.stringify(before.loose)) {
      plan.keeps.push(...(await planDrops(m, before, stay)));
    }
  }
  plan.keeps = await settleKeeps(m, plan.keeps);
  setHolds(m, next, change);
  for (const name of change.enable ?? []) {
    const receipt = next.plugins[name];
    if (receipt === undefined) continue;
    receipt.enabled = (receipt.enabled ?? 0) + 1;
    receipt.globalCommands = askedAgain(m, receipt.globalCommands);
  }
  plan.missing = missingDirs(m, next);
  planMadeDirs(next, prev, plan.missing);
  const effects = await planEffects(m, prev, next);
  next.notes = { ...effects.notes, madeDirs: next.notes.madeDirs };
  plan.result.warnings.push(...effects.warnings);
  plan.edits = effects.edits;
  plan.marketplace = marketplaceText(next);
  const pointer = await readFileOrNull(m.paths.marketplace);
  const pointerMoves = pointer?.toString('utf8') !== plan.marketplace;
  const pointerLost = pointerMoves && Object.keys(next.plugins).length > 0;
  plan.texts = [...effects.texts, ...(pointerMoves ? [{ path: m.paths.marketplace, text: plan.marketplace }] : [])];
  plan.changed = pointerLost || plan.trees.length > 0 || !receiptsBytes(next).equals(receiptsBytes(prev));
  return plan;
}

/**
 * A folder once named by receipts is never written to again: a new tree always changes the pointer's text, and recovery
 * tells by that text whether the tree was complete.
 */
function namedDirs({ plugins, retired }: Receipts): Set<string> {
  const live = Object.values(plugins).flatMap((p) => [p, ...p.previous]);
  return new Set([...live, ...retired].map((tree) => tree.dir));
}

/** The receipts as they may be changed; those of plugins that the change is not about stay the very same objects. */
function receiptsToChange(prev: Receipts, change: Change): Receipts {
  const layout = change.layout ?? prev.layout;
  const { plugins, retired } = prev;
  const about =
    layout === prev.layout
      ? [...change.install.map(({ entry }) => entry.name), ...change.remove, ...(change.enable ?? [])]
      : Object.keys(plugins);
  const own = about.flatMap((name) => (plugins[name] === undefined ? [] : [[name, plugins[name]] as const]));
  // In the order that `prev` has its keys in: the texts are compared.
  return {
    ...structuredClone({ ...prev, plugins: {}, retired: [] }),
    layout,
    plugins: { ...plugins, ...structuredClone(Object.fromEntries(own)) },
    retired: [...retired],
  };
}

/** A plugin that the user disabled stays so when the layout, and with it the client's own switch, goes. */
async function noteDisabled(m: Machine, prev: Receipts, next: Receipts): Promise<void> {
  if (prev.layout !== 'native') return;
  const enabled = await enabledNames(m);
  for (const receipt of Object.values(next.plugins)) {
    if (enabled.has(receipt.name)) delete receipt.off;
    else receipt.off = true;
  }
}

/** Everything that this change does not install anyway. */
async function switchLayout(m: Machine, prev: Receipts, plan: ChangePlan, change: Change): Promise<void> {
  const { next, result } = plan;
  const installed = new Set(change.install.map(({ entry }) => entry.name));
  for (const receipt of Object.values(next.plugins)) {
    if (installed.has(receipt.name)) continue;
    const { name } = receipt;
    if (next.layout === 'native' && (await hasCopyEdits(m, receipt))) {
      const kept = await getRecord(m, receipt.digest);
      if (kept === null)
        throw new HaiveError('BLOB_MISSING', `The record of ${name} is not here; run \`hv sync --force\``);
      const entry = entryOf(receipt);
      await planInstall(m, prev, plan, change, { entry, record: kept.record, keyid: receipt.keyid }, true);
      continue;
    }
    const tree = await contentsOnDisk(m, receipt.dir);
    if (next.layout === 'loose') await giveLoose(m, prev, next, receipt, tree, true, result.warnings);
    else {
      delete receipt.loose;
      const manifest = await readManifest(name, await tree.read(MANIFEST));
      if (manifest.globalCommands) await planGlobalCommands(m, prev, receipt, tree.read, result);
    }
  }
}

async function removePlugin(m: Machine, plan: ChangePlan, change: Change, name: string): Promise<void> {
  const receipt = plan.next.plugins[name];
  if (receipt === undefined) throw new HaiveError('NOT_INSTALLED', `${name} is not installed on this machine`);
  const purge = change.purge?.includes(name) === true;
  if (purge) plan.keeps.push(...(await planPurge(m, name)));
  const live = purge ? null : await readLive(m, receipt);
  if (live !== null) {
    const to = change.reason === 'leave' ? await backupOfLive(m, live) : `overlays/${name}`;
    const keeps = planKeeps(live, to);
    plan.keeps.push(...keeps);
    if (keeps.length > 0 && change.reason !== 'leave') {
      plan.result.warnings.push(`${name}: ${keeps.length} changed file(s) are kept in ${join(m.paths.root, to)}`);
    }
    const links = editedPaths(live).filter((path) => live.disk.get(path)?.kind === 'link');
    if (links.length > 0) plan.result.warnings.push(`${name}: links are not kept: ${links.join(', ')}`);
  }
  retire(m, plan.next, name, [receipt, ...receipt.previous]);
  delete plan.next.plugins[name];
  delete plan.next.holds[name];
  plan.result.removed.push(name);
}

function setHolds(m: Machine, next: Receipts, change: Change): void {
  const at = m.clock().toISOString();
  for (const name of change.holds?.clear ?? []) delete next.holds[name];
  const set = { ...change.holds?.set };
  if (change.reason === 'rollback') for (const { entry } of change.install) set[entry.name] = entry;
  for (const [name, { version, digest }] of Object.entries(set)) next.holds[name] = { version, digest, at };
}

/** Folders outside ours that the change will make. */
function missingDirs(m: Machine, next: Receipts): string[] {
  const receipts = Object.values(next.plugins);
  const dirs = [m.paths.claudeDir];
  if (receipts.some((r) => r.globalCommands.length > 0)) dirs.push(m.paths.commandsDir);
  if (receipts.length > 0) dirs.push(join(m.paths.claudeDir, 'plugins'));
  dirs.push(...looseDirs(next).map((dir) => join(m.paths.claudeDir, dir)));
  const missing: string[] = [];
  for (const dir of dirs) {
    // Also where a file of ours lies that goes with this change.
    if (statOf(dir)?.isDirectory() !== true) missing.push(relativeToClaude(m, dir));
  }
  return missing;
}

function planMadeDirs(next: Receipts, prev: Receipts, missing: readonly string[]): void {
  const receipts = Object.values(next.plugins);
  const copies = new Set(looseDirs(next));
  const needed = (dir: string): boolean => {
    if (copies.has(dir)) return true;
    if (dir === 'commands') return receipts.some((r) => r.globalCommands.length > 0);
    return dir === 'plugins' && receipts.length > 0;
  };
  next.notes.madeDirs = [...new Set([...prev.notes.madeDirs, ...missing])].filter(needed);
}
