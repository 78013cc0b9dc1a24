import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { HaiveError } from '../domain/errors.ts';
import { layCopiesOver, lostBits, MANIFEST } from './change/render.ts';
import { missingCommands } from './claude/global-commands.ts';
import { enabledKey, MARKETPLACE } from './claude/marketplace.ts';
import { parseSettings } from './claude/settings-edit.ts';
import { releaseFiles } from './confine.ts';
import { readFileOrNull } from './files/file-port.ts';
import { readText } from './files/text-file.ts';
import { type DiskFile, type SeenFile, scanTree } from './files/tree.ts';
import { missingKeys } from './loose/index.ts';
import type { Machine } from './machine.ts';
import { overlaidPaths } from './overlay.ts';
import { type Receipt, readReceipts } from './receipts/index.ts';

/**
 * `missing`: the folder is gone · `damaged`: its manifest is, the pointer no longer leads to it, or what must be executable is not
 * any more · `disabled`: settings.json does not enable it · `edited`: files differ from what we wrote.
 */
export type DiskState = 'verified' | 'disabled' | 'edited' | 'missing' | 'damaged';

export interface PluginOnDisk {
  name: string;
  version: string;
  digest: string;
  state: DiskState;
  /** Paths changed or added since we wrote the tree, and edits that an update carried over. */
  edited: string[];
  /** Paths of the version that are gone, and what `missingOutside` names. */
  missing: string[];
  /** Paths of the version that were executable and are not any more. */
  unexecutable: string[];
  /** Paths where both sides changed the same lines: ours lies beside as `.hv-new`. */
  conflicts: string[];
  /** Paths that this machine's overlay put there. */
  overlaid: string[];
}

/**
 * Compares receipts with the disk and the settings; every file is hashed, unless the machine was told not to (then only what
 * is gone is found). Reads only, needs no lock.
 * @param options.only these plugins; all when absent
 * @param options.readBack plugins whose trees the change that was just made has read back, and holds nothing of the user's: not read
 *   once more
 * @throws HaiveError FORMAT_UNSUPPORTED, SETTINGS_INVALID, IO_ERROR
 */
export async function inspect(
  m: Machine,
  options: { only?: ReadonlySet<string> | undefined; readBack?: ReadonlySet<string> | undefined } = {},
): Promise<PluginOnDisk[]> {
  const { only, readBack } = options;
  const receipts = await readReceipts(m);
  const all = Object.values(receipts.plugins)
    .filter((receipt) => only === undefined || only.has(receipt.name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  if (all.length === 0) return [];
  const active = all.filter((receipt) => !receipt.off).map((receipt) => receipt.name);
  const enabled = receipts.layout === 'loose' ? new Set(active) : await enabledNames(m);
  const live = await pointedDirs(m);
  const found: PluginOnDisk[] = [];
  for (const receipt of all) {
    // Where the tree is not all that lies there, the rest is looked at too.
    const known = readBack?.has(receipt.name) === true && (receipt.loose ?? receipt.confined) === undefined;
    // What `hv dev` shows stands in its place: the pointer leads there on purpose.
    const pointed = live.has(`./${receipts.dev?.[receipt.name]?.dir ?? receipt.dir}`);
    found.push(await inspectOne(m, receipt, enabled, pointed, known));
  }
  return found;
}

async function inspectOne(
  m: Machine,
  receipt: Receipt,
  enabled: ReadonlySet<string>,
  pointed: boolean,
  known: boolean,
): Promise<PluginOnDisk> {
  const dir = join(m.paths.root, receipt.dir);
  const disk: Map<string, SeenFile> = known
    ? asWritten(receipt)
    : m.rehash === false
      ? await presentFiles(dir, receipt)
      : await scanTree(dir);
  const gone = disk.size === 0;
  if (m.rehash !== false && !known && !gone) {
    await layCopiesOver(m, receipt, disk as Map<string, DiskFile>);
    await releaseFiles(m, receipt, disk as Map<string, DiskFile>);
  }
  const edited: string[] = [];
  const missing: string[] = await missingOutside(m, receipt);
  for (const file of receipt.files) {
    const there = disk.get(file.path);
    if (there === undefined) {
      if (!file.deleted) missing.push(file.path);
      continue;
    }
    const untouched =
      there.sha256 === file.sha256 || (file.overlay && there.sha256 === (file.confined ?? file.rendered));
    if (!untouched) edited.push(file.path);
  }
  const published = new Set(receipt.files.map((file) => file.path));
  const ours = new Map(receipt.extras.map((extra) => [extra.path, extra.sha256]));
  for (const [path, { sha256 }] of disk) if (!published.has(path) && ours.get(path) !== sha256) edited.push(path);
  const { name, version, digest } = receipt;
  const conflicts = receipt.conflicts.map((c) => c.path).filter((path) => disk.has(`${path}.hv-new`));
  const unexecutable = lostBits({ receipt, disk });
  let state: DiskState = edited.length > 0 || missing.length > 0 ? 'edited' : 'verified';
  if (!enabled.has(name)) state = 'disabled';
  if (missing.includes(MANIFEST) || !pointed || unexecutable.length > 0) state = 'damaged';
  if (gone) state = 'missing';
  const overlaid = overlaidPaths(receipt);
  return { name, version, digest, state, edited: edited.sort(), missing, unexecutable, conflicts, overlaid };
}

/** What of a plugin a person took out of places that others write too. @throws HaiveError SETTINGS_INVALID */
export async function missingOutside(m: Machine, receipt: Receipt): Promise<string[]> {
  return [...(await missingKeys(m, receipt)), ...missingCommands(m, receipt)];
}

/** What a tree holds right after it was written and read back. */
function asWritten({ files, extras }: Receipt): Map<string, SeenFile> {
  const there = files.filter((file) => !file.deleted).map((f) => ({ path: f.path, sha256: f.rendered ?? f.sha256 }));
  return new Map([...there, ...extras].map(({ path, sha256 }) => [path, { kind: 'file', sha256, mode: 0o777 }]));
}

/** What of a version is there, taken to be as it was written. */
async function presentFiles(dir: string, receipt: Receipt): Promise<Map<string, SeenFile>> {
  const there = new Map<string, SeenFile>();
  for (const { path, sha256 } of receipt.files) {
    const stat = await lstat(join(dir, path)).catch(() => null);
    if (stat !== null) there.set(path, { kind: stat.isFile() ? 'file' : 'other', sha256, mode: stat.mode });
  }
  return there;
}

/** Plugins that the client loads from our marketplace. @throws HaiveError SETTINGS_INVALID */
export async function enabledNames(m: Machine): Promise<Set<string>> {
  const text = await readText(m.paths.settings);
  if (text === null) return new Set();
  const settings = parseSettings(text, m.paths.settings);
  const known = objectAt(settings, 'extraKnownMarketplaces');
  if (known[MARKETPLACE] === undefined) return new Set();
  const suffix = enabledKey('');
  const keys = Object.entries(objectAt(settings, 'enabledPlugins')).filter(
    ([k, v]) => v === true && k.endsWith(suffix),
  );
  return new Set(keys.map(([key]) => key.slice(0, -suffix.length)));
}

function objectAt(value: Record<string, unknown>, key: string): Record<string, unknown> {
  const there = value[key];
  return typeof there === 'object' && there !== null ? (there as Record<string, unknown>) : {};
}

/** Trees that the pointer leads to, as `./versions/…`. @throws HaiveError READ_ONLY, IO_ERROR */
export async function pointedDirs(m: Machine): Promise<Set<string>> {
  const bytes = await readFileOrNull(m.paths.marketplace);
  try {
    const { plugins } = JSON.parse(bytes?.toString('utf8') ?? '{}') as { plugins?: { source?: unknown }[] };
    return new Set((plugins ?? []).map((plugin) => String(plugin.source)));
  } catch (error) {
    if (error instanceof HaiveError) throw error;
    return new Set();
  }
}
