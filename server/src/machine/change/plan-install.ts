import { join } from 'node:path';
import { HaiveError } from '../../domain/errors.ts';
import { checkPluginName, checkVersion } from '../../domain/names.ts';
import { checkPath, checkPathSet } from '../../domain/safe-path.ts';
import { checkRecord, type VersionRecord } from '../../domain/version/record.ts';
import { askedAgain, globalCommandFiles, renderGlobalCommand } from '../claude/global-commands.ts';
import { type Confining, confineTree, isMisplaced } from '../confine.ts';
import { hashOnDisk } from '../files/content-file.ts';
import { readFileOrNull } from '../files/file-port.ts';
import { type DiskFile, hasLostBit, scanTree } from '../files/tree.ts';
import { whoseLink } from '../links.ts';
import { isLaidEarlier } from '../loose/index.ts';
import { contentsOf, giveLoose, type TreeContents } from '../loose/plan.ts';
import type { Machine } from '../machine.ts';
import type { Receipt, Receipts, TreeReceipt } from '../receipts/index.ts';
import { missingBlobs, readBlob, sha256Of } from '../store/blob-store.ts';
import { backupOfLive, planKeeps } from './keeps.ts';
import type { ChangePlan } from './plan-change.ts';
import { hasEdits, type Live, lostBits, MANIFEST, readLive, renderTree, type Source, type Take } from './render.ts';
import { freeTreeDir } from './stage.ts';
import type { Change, ChangeResult, Install } from './transaction.ts';

/** Trees of a live plugin that stay for rollback. */
const KEEP_PREVIOUS = 2;

/** @throws HaiveError NAME_INVALID, NAME_RESERVED, PATH_UNSAFE, PATH_COLLISION, DIGEST_MISMATCH */
function checkInstall({ entry, record }: Install): void {
  checkPluginName(record.name);
  checkVersion(record.version);
  checkRecord(record);
  if (record.name !== entry.name || record.version !== entry.version || record.digest !== entry.digest) {
    throw new HaiveError(
      'DIGEST_MISMATCH',
      `The record of ${record.name}@${record.version} is not what the plan names`,
    );
  }
  for (const { path } of record.files) {
    if (checkPath(path) !== path) throw new HaiveError('PATH_UNSAFE', `${record.name}: ${path} is not normalised`);
  }
  checkPathSet(record.files.map((file) => file.path));
}

/**
 * Decides one version of a change: its tree, new or kept, its receipt, and what it has outside. Puts all into `plan`.
 * @param switched the same version again, because the layout changes
 * @throws HaiveError of checkInstall, BLOB_MISSING, LAYOUT_UNSUPPORTED, NAME_CLASH, SETTINGS_INVALID
 */
export async function planInstall(
  m: Machine,
  prev: Receipts,
  plan: ChangePlan,
  change: Change,
  install: Install,
  switched = false,
): Promise<void> {
  checkInstall(install);
  const { entry, record } = install;
  const { next, result } = plan;
  const old = next.plugins[entry.name];
  const forced = entry.force !== undefined && entry.force !== old?.force;
  const overwrite = change.overwriteEdits === true || forced;
  const live = await readLive(m, old);
  const take = change.take?.[entry.name];
  const confining = (await m.confining?.()) ?? null;
  const misplaced = old !== undefined && isMisplaced(entry.name, old, confining);
  const again = switched || take !== undefined || misplaced || next.layout !== prev.layout || isLaidEarlier(old);
  const lost = live !== null && !live.disk.has(MANIFEST) && record.files.some((f) => f.path === MANIFEST);
  const damaged = lost || (live !== null && lostBits(live).length > 0);
  if (old !== undefined && live !== null && !damaged && old.digest === entry.digest && !overwrite && !again) {
    Object.assign(old, { origin: entry.origin, dependencies: entry.dependencies, id: entry.id });
    return;
  }
  const { tree, contents } = await treeFor(m, plan, install, old, { carry: overwrite ? null : live, take, confining });
  if (live !== null && (overwrite ? hasEdits(live) : take !== undefined)) {
    const to = await backupOfLive(m, live);
    plan.keeps.push(...planKeeps(live, to, (path) => overwrite || take?.[path] === 'published'));
    if (overwrite) result.warnings.push(`${entry.name}: local edits were replaced; they are kept in ${to}`);
  }
  const manifest = await readManifest(record.name, await contents.read(MANIFEST));
  const receipt = receiptOf(install, tree, manifest.description, old, m.clock().toISOString());
  if (old?.off && !overwrite) receipt.off = true;
  keepPrevious(m, next, receipt, old);
  next.plugins[entry.name] = receipt;
  await planLink(m, prev, receipt, result);
  if (next.layout === 'loose') {
    await giveLoose(m, prev, next, receipt, contents, live !== null || overwrite, result.warnings);
  } else if (manifest.globalCommands) await planGlobalCommands(m, prev, receipt, contents.read, result);
  if (overwrite) receipt.globalCommands = askedAgain(m, receipt.globalCommands);
  if (!switched) result.installed.push({ name: entry.name, version: entry.version, from: old?.version ?? null });
}

/**
 * The tree that a version lies in: a kept one where it holds just that, else a new one, which is put into `plan`.
 * @param ways.carry what is live now, whose edits go along
 */
async function treeFor(
  m: Machine,
  plan: ChangePlan,
  { entry, record, keyid }: Install,
  old: Receipt | undefined,
  ways: { carry: Live | null; take: Take | undefined; confining: Confining | null },
): Promise<{ tree: TreeReceipt; contents: TreeContents }> {
  const { carry, take, confining } = ways;
  const kept = take === undefined ? await reusableTree(m, old, entry.digest, carry) : undefined;
  if (kept !== undefined && !isMisplaced(entry.name, kept.tree, confining)) {
    return { tree: kept.tree, contents: contentsOf(kept.disk) };
  }
  await checkBlobs(m, record);
  const rendered = await renderTree(m, record, carry, take);
  const confined = await confineTree(m, record, rendered, confining);
  const dir = await freeTreeDir(m, record, plan.taken);
  plan.taken.add(dir);
  plan.trees.push({ name: entry.name, dir, rendered });
  plan.bytes += record.files.reduce((sum, file) => sum + file.size, 0);
  plan.result.edits.push(...rendered.edits);
  const { receiptFiles: files, extras, conflicts } = rendered;
  const { id, version, digest, dependencies } = entry;
  const tree: TreeReceipt = {
    version,
    digest,
    dir,
    files,
    extras,
    conflicts,
    keyid,
    id,
    description: '',
    dependencies,
  };
  if (confined !== undefined) tree.confined = confined;
  const read = (path: string) => sourceBytes(m, rendered.files.find((f) => f.path === path)?.source);
  return { tree, contents: { files: rendered.files, read } };
}

/** What is known of the plugin once it lies in this tree; nothing outside it yet. */
function receiptOf(
  { entry, keyid }: Install,
  tree: TreeReceipt,
  description: string,
  old: Receipt | undefined,
  at: string,
): Receipt {
  const receipt: Receipt = {
    ...tree,
    name: entry.name,
    id: entry.id,
    keyid,
    dependencies: entry.dependencies,
    description,
    origin: entry.origin,
    installedAt: old?.installedAt ?? at,
    updatedAt: at,
    state: 'verified',
    links: [],
    globalCommands: [],
    previous: [],
  };
  if (entry.force !== undefined) receipt.force = entry.force;
  if (old?.enabled !== undefined) receipt.enabled = old.enabled;
  return receipt;
}

/** The trees before this one stay for rollback; what is too old, or is the same version again, is retired. */
function keepPrevious(m: Machine, next: Receipts, receipt: Receipt, old: Receipt | undefined): void {
  if (old === undefined) return;
  const candidates = [treeOf(old), ...old.previous].filter((tree) => tree.dir !== receipt.dir);
  const stay = candidates.filter((tree) => tree.digest !== receipt.digest).slice(0, KEEP_PREVIOUS);
  receipt.previous = stay;
  retire(
    m,
    next,
    receipt.name,
    candidates.filter((tree) => !stay.includes(tree)),
  );
}

/** A kept tree of this digest that holds exactly what was published, when the live one holds nothing of the user's. */
async function reusableTree(
  m: Machine,
  old: Receipt | undefined,
  digest: string,
  live: Awaited<ReturnType<typeof readLive>>,
): Promise<{ tree: TreeReceipt; disk: Map<string, DiskFile> } | undefined> {
  const kept = old?.previous.find((tree) => tree.digest === digest);
  if (kept === undefined || live === null || hasEdits(live)) return undefined;
  if ((await scanTree(join(m.paths.overlays, live.receipt.name))).size > 0) return undefined;
  const disk = await scanTree(join(m.paths.root, kept.dir));
  const same = kept.files.every((file) => {
    const there = disk.get(file.path);
    return there?.kind === 'file' && there.sha256 === file.sha256 && !hasLostBit(file, there);
  });
  return same && disk.size === kept.files.length ? { tree: kept, disk } : undefined;
}

async function checkBlobs(m: Machine, record: VersionRecord): Promise<void> {
  const [missing] = await missingBlobs(m, [record]);
  if (missing === undefined) return;
  const { sha256 } = missing;
  const path = record.files.find((file) => file.sha256 === sha256)?.path;
  throw new HaiveError('BLOB_MISSING', `${record.name}@${record.version}: the bytes of ${path} are not here`, {
    details: { sha256, path },
    hint: 'Run `hv sync`; it fetches what is missing.',
  });
}

async function sourceBytes(m: Machine, source: Source | undefined): Promise<Buffer | null> {
  if (source === undefined || 'link' in source) return null;
  if ('bytes' in source) return source.bytes;
  return 'copy' in source ? readFileOrNull(source.copy) : readBlob(m, source.blob);
}

export async function readManifest(
  name: string,
  bytes: Buffer | null,
): Promise<{ description: string; globalCommands: boolean }> {
  let value: { description?: unknown; haivemind?: { global_commands?: unknown } };
  try {
    value = JSON.parse((bytes ?? Buffer.from('{}')).toString('utf8').replace(/^\uFEFF/, ''));
  } catch {
    // The user's own edit of plugin.json may be torn; the client will say so itself.
    value = {};
  }
  const description = typeof value?.description === 'string' ? value.description : name;
  return { description, globalCommands: value?.haivemind?.global_commands === true };
}

async function planLink(m: Machine, prev: Receipts, receipt: Receipt, result: ChangeResult): Promise<void> {
  const path = join(m.paths.pluginsDir, receipt.name);
  if ((await whoseLink(m, path)) !== 'theirs') {
    receipt.links = [receipt.name];
    return;
  }
  const before = prev.plugins[receipt.name]?.links.length ?? 0;
  if (before > 0 || prev.plugins[receipt.name] === undefined) {
    result.warnings.push(
      `PATH_OCCUPIED: ${path} is not ours, so no link was made there; the plugin loads all the same`,
    );
  }
}

export async function planGlobalCommands(
  m: Machine,
  prev: Receipts,
  receipt: Receipt,
  contents: (path: string) => Promise<Buffer | null>,
  result: ChangeResult,
): Promise<void> {
  const ours = new Map(
    Object.values(prev.plugins).flatMap((p) => p.globalCommands.map((c) => [c.path, { name: p.name, ...c }] as const)),
  );
  const fresh = Object.keys(prev.plugins).length === 0;
  for (const { from, to } of globalCommandFiles(receipt.files)) {
    const bytes = await contents(from);
    if (bytes === null) continue;
    const path = join(m.paths.commandsDir, to);
    const disk = await hashOnDisk(path);
    const copy = prev.plugins[receipt.name]?.loose?.files.find((f) => f.path === `commands/${to}`);
    const before = ours.get(to) ?? (copy === undefined ? undefined : { name: receipt.name, sha256: copy.sha256 });
    const sha256 = sha256Of(renderGlobalCommand(m, receipt.dir, bytes));
    // Exactly what we write: the receipts were lost, and it is taken up again.
    const regained = fresh && disk === sha256;
    if (before === undefined ? disk !== null && !regained : before.name !== receipt.name) {
      result.warnings.push(`PATH_OCCUPIED: ${path} is not ours; use /${receipt.name}:${to.slice(0, -3)}`);
      continue;
    }
    if (before !== undefined && disk !== null && disk !== before.sha256) {
      result.warnings.push(`PATH_OCCUPIED: ${path} was edited here and stays as it is`);
    }
    const { again } = prev.plugins[receipt.name]?.globalCommands.find((c) => c.path === to) ?? {};
    receipt.globalCommands.push({ path: to, sha256, ...(again === undefined ? {} : { again }) });
  }
}

function treeOf(receipt: TreeReceipt): TreeReceipt {
  const { version, digest, dir, files, extras, conflicts, keyid, id, description, dependencies, confined } = receipt;
  const tree = { version, digest, dir, files, extras, conflicts, keyid, id, description, dependencies };
  return confined === undefined ? tree : { ...tree, confined };
}

/** Trees that nothing points to any more wait to be collected. */
export function retire(m: Machine, receipts: Receipts, name: string, trees: readonly TreeReceipt[]): void {
  const at = m.clock().toISOString();
  receipts.retired.push(...trees.map((tree) => ({ ...treeOf(tree), name, at })));
}
