import { dirname, join } from 'node:path';
import { HaiveError } from '../domain/errors.ts';
import type { SourceFile } from '../domain/version/package.ts';
import { recover } from './change/transaction.ts';
import { refuseForeignMarketplace } from './claude/foreign-marketplace.ts';
import { enabledKey, KNOWN, leadsElsewhere, marketplaceSetting, marketplaceText } from './claude/marketplace.ts';
import { getKeyText, isEmptyObject, pointer, removeKey, setKey } from './claude/settings-edit.ts';
import { writeAtomic } from './files/atomic-file.ts';
import { makeDirs, removeEmptyDir, removeFile, removeTree } from './files/file-port.ts';
import { readText, type Text, writeText } from './files/text-file.ts';
import { scanTree } from './files/tree.ts';
import { ensureRoot, type Machine } from './machine.ts';
import { type FileNotes, noFileNotes, type Receipts, readReceipts, writeReceipts } from './receipts/index.ts';
import { sha256Of } from './store/blob-store.ts';

/**
 * A plugin as it is being written, in the place of the installed one: only the pointer says otherwise than the receipts of
 * installed plugins, and keeps doing so through syncs until the override ends.
 */

export interface DevTree {
  /** Folder that is being edited. */
  from: string;
  /** Relative to the root, POSIX. */
  dir: string;
  version: string;
  description: string;
  /** What an earlier program wrote into settings.json for it alone. */
  settings?: FileNotes;
}

export interface DevPlugin {
  name: string;
  version: string;
  description: string;
  files: readonly SourceFile[];
}

export interface DevChange {
  written: string[];
  removed: string[];
}

const enabled = (name: string): string[] => ['enabledPlugins', enabledKey(name)];

/** What is shown here, each as `NAME from FOLDER`, for people. */
export const shownTrees = ({ dev = {} }: Receipts): string[] =>
  Object.entries(dev).map(([name, { from }]) => `${name} from ${from}`);

/**
 * Shows a plugin's files to the client's next sessions. The lock must be held.
 * @throws HaiveError LAYOUT_UNSUPPORTED in the loose layout, NAME_CLASH where another marketplace is called as ours, SETTINGS_INVALID, READ_ONLY, DISK_FULL, IO_ERROR
 */
export async function showDev(m: Machine, plugin: DevPlugin, from: string): Promise<DevChange> {
  await recover(m);
  await ensureRoot(m);
  const receipts = await receiptsNow(m);
  if (receipts.layout !== 'native') {
    throw new HaiveError('LAYOUT_UNSUPPORTED', 'A plugin can be shown as it is written only in the native layout');
  }
  await refuseForeignMarketplace(m);
  const { name, version, description } = plugin;
  const dir = `dev/${name}`;
  const change = await renderDev(m, join(m.paths.root, 'dev', name), plugin.files);
  const text = await readText(m.paths.settings);
  const next = enable(m, text, name, receipts.notes.settings);
  // The receipts go first: whatever is written after can be taken back from them.
  receipts.dev = { ...receipts.dev, [name]: { from, dir, version, description } };
  await writeReceipts(m, receipts);
  await writeText(m, m.paths.settings, text, next);
  await writePointer(m, receipts);
  return change;
}

/**
 * Ends overrides: the installed version is what the client sees again, or nothing. The lock must be held.
 * @param which chooses by name and folder; all when absent
 * @returns the names
 */
export async function stopDev(
  m: Machine,
  which: (name: string, from: string) => boolean = () => true,
): Promise<string[]> {
  const shown = Object.entries((await readReceipts(m)).dev ?? {});
  const stopped = shown.filter(([name, { from }]) => which(name, from)).map(([name]) => name);
  for (const name of stopped) {
    const receipts = await receiptsNow(m);
    delete receipts.dev?.[name];
    if (isEmpty(receipts.dev)) delete receipts.dev;
    await writePointer(m, receipts);
    const text = await readText(m.paths.settings);
    await writeText(m, m.paths.settings, text, disable(m, text, name, receipts));
    await removeTree(m.port, join(m.paths.root, 'dev', name));
    await writeReceipts(m, receipts);
  }
  await removeEmptyDir(m.port, join(m.paths.root, 'dev'));
  return stopped;
}

/** The receipts, to be changed; what an earlier program noted of one tree stands with the rest. */
async function receiptsNow(m: Machine): Promise<Receipts> {
  const receipts = structuredClone(await readReceipts(m));
  const { settings: notes } = receipts.notes;
  for (const tree of Object.values(receipts.dev ?? {})) {
    const { created, parents, replaced, foreign } = tree.settings ?? noFileNotes();
    notes.created ||= created;
    notes.parents = [...new Set([...notes.parents, ...parents])];
    notes.foreign = [...new Set([...notes.foreign, ...foreign])];
    Object.assign(notes.replaced, replaced);
    delete tree.settings;
  }
  return receipts;
}

async function writePointer(m: Machine, receipts: Receipts): Promise<void> {
  await makeDirs(m.port, dirname(m.paths.marketplace));
  await writeAtomic(m.port, m.paths.marketplace, marketplaceText(receipts));
}

function enable(m: Machine, text: Text, name: string, notes: FileNotes): string {
  const where = m.paths.settings;
  if (text === null) Object.assign(notes, { ...noFileNotes(), created: true });
  let now = text ?? '{}\n';
  if (getKeyText(now, KNOWN, where) === undefined) now = setKey(now, KNOWN, marketplaceSetting(m), notes, where);
  return getKeyText(now, enabled(name), where) === 'true' ? now : setKey(now, enabled(name), true, notes, where);
}

/** What an installed plugin needs stays, whoever wrote it first; where it was switched off it is so again. */
function disable(m: Machine, text: Text, name: string, { plugins, dev, notes }: Receipts): Text {
  const where = m.paths.settings;
  if (text === null) return null;
  const key = enabled(name);
  const was = notes.settings.replaced[pointer(key)];
  let now = text;
  if (plugins[name] === undefined || was !== undefined) now = removeKey(now, key, notes.settings, where);
  const ours = leadsElsewhere(getKeyText(now, KNOWN, where)) === null;
  if (isEmpty(plugins) && isEmpty(dev) && ours) now = removeKey(now, KNOWN, notes.settings, where);
  if (!notes.settings.created || !isEmptyObject(now, where)) return now;
  notes.settings = noFileNotes();
  return null;
}

const isEmpty = (named: object = {}): boolean => Object.keys(named).length === 0;

/** Makes the tree what the files are, touching only what differs. */
async function renderDev(m: Machine, root: string, files: readonly SourceFile[]): Promise<DevChange> {
  const there = await scanTree(root);
  const change: DevChange = { written: [], removed: [] };
  const wanted = new Set(files.map(({ path }) => path));
  // First what is gone: a file may be in the way of a folder of its name, or a folder in that of a file.
  for (const [path, { absolute }] of there) {
    if (wanted.has(path)) continue;
    await removeFile(m.port, absolute);
    for (let dir = dirname(absolute); dir !== root && dir.startsWith(root); dir = dirname(dir))
      await removeEmptyDir(m.port, dir);
    change.removed.push(path);
  }
  for (const { path, bytes, executable } of files) {
    const old = there.get(path);
    const mode = executable ? 0o755 : 0o644;
    if (old?.kind === 'file' && old.sha256 === sha256Of(bytes) && (old.mode & 0o100) === (mode & 0o100)) continue;
    const target = join(root, ...path.split('/'));
    await makeDirs(m.port, dirname(target));
    if (old !== undefined) await removeFile(m.port, target);
    await writeAtomic(m.port, target, bytes, { mode, fsync: false });
    change.written.push(path);
  }
  return change;
}
