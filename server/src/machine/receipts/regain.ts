import { basename, join } from 'node:path';
import { releaseText } from '../../domain/confine.ts';
import type { PlanEntry } from '../../domain/plan/index.ts';
import { pluginId } from '../../domain/version/record.ts';
import { journalIsDamaged } from '../change/journal.ts';
import { readManifest } from '../change/plan-install.ts';
import { MANIFEST } from '../change/render.ts';
import { globalCommandFiles, renderGlobalCommand } from '../claude/global-commands.ts';
import { pointedDirs } from '../drift.ts';
import { hashOnDisk, sha256Of } from '../files/content-file.ts';
import { listDir, makeDirs, readFileOrNull } from '../files/file-port.ts';
import { scanTree } from '../files/tree.ts';
import { whoseLink } from '../links.ts';
import { textOf } from '../loose/layout-text.ts';
import type { Machine } from '../machine.ts';
import { getRecord, type StoredRecord } from '../store/blob-store.ts';
import {
  type Layout,
  noReceipts,
  type Receipt,
  type ReceiptFile,
  readReceipts,
  stateOfReceipts,
  type TreeReceipt,
  writeReceipts,
} from './index.ts';
import { giveOutside, layoutHere, notesOf } from './regain-outside.ts';

/** Receipts that were deleted or damaged, made again from the pointer, the trees and the signed records that lie beside them. */

export interface Regained {
  /** Where the damaged file lies now; null where it was gone. */
  aside: string | null;
  /** Plugins that are known again, with whatever a person edited in them. */
  plugins: string[];
  /** Folders of which nobody knows what was published: they stay until they are collected, and what differs is kept then. */
  unknown: string[];
}

/** Whether receipts.json is gone though things are installed. Reads only. @throws HaiveError READ_ONLY, IO_ERROR */
export async function areReceiptsLost(m: Machine): Promise<boolean> {
  if ((await stateOfReceipts(m)) !== 'missing' || (await readFileOrNull(m.paths.journal)) !== null) return false;
  return hasTrees(m);
}

async function hasTrees(m: Machine): Promise<boolean> {
  for (const { name } of await listDir(m.paths.versions)) {
    if ((await listDir(join(m.paths.versions, name))).some((entry) => entry.isDirectory())) return true;
  }
  return false;
}

/**
 * Finds out again what is installed. Every other tree waits to be collected, which keeps what was edited in it. In the loose layout
 * also what of it lies outside. The lock must be held.
 * @param known.plan the last plan: which plugins came along with others, and were forced, lies nowhere else
 * @param known.halfway a change was stopped nobody knows where: receipts that the pointer does not bear out are those of before it
 * @returns null where the receipts are whole or of another program, where nothing is installed, and where an interrupted change says more
 * @throws HaiveError SETTINGS_INVALID, READ_ONLY, DISK_FULL, IO_ERROR
 */
export async function regainReceipts(
  m: Machine,
  known: { layout: Layout; plan: readonly PlanEntry[]; halfway?: boolean },
): Promise<Regained | null> {
  const state = await stateOfReceipts(m);
  if (state === 'whole' && !(known.halfway === true && (await belie(m)))) return null;
  if (state === 'missing' && !(known.halfway === true ? await hasTrees(m) : await areReceiptsLost(m))) return null;
  const trees = await treesHere(m);
  const live = await pointedDirs(m);
  const layout = await layoutHere(m, known.layout);
  const next = { ...noReceipts(), layout };
  const at = m.clock().toISOString();
  const unknown: string[] = [];
  for (const { tree, name, record } of trees) {
    if (record === null) unknown.push(tree.dir);
    if (record === null || !live.has(`./${tree.dir}`)) next.retired.push({ ...tree, name, at });
    else next.plugins[name] = await asLive(m, tree, name, at, known.plan);
  }
  if (layout === 'loose') await giveOutside(m, next);
  next.notes = notesOf(next);
  const aside = state === 'missing' ? null : await putAside(m, m.paths.receipts, at);
  await writeReceipts(m, next);
  return { aside, plugins: Object.keys(next.plugins), unknown };
}

/** Whether pointer and receipts speak of different trees. */
async function belie(m: Machine): Promise<boolean> {
  const pointed = await pointedDirs(m);
  const dirs = Object.values((await readReceipts(m)).plugins).map(({ dir }) => `./${dir}`);
  return pointed.size !== dirs.length || dirs.some((dir) => !pointed.has(dir));
}

/**
 * Puts a journal aside of which nothing can be made: what it was about is found out from what lies here. The lock must be held.
 * @returns where it lies now; null where there is none, or one that can be understood
 * @throws HaiveError READ_ONLY, DISK_FULL, IO_ERROR
 */
export async function putJournalAside(m: Machine): Promise<string | null> {
  return (await journalIsDamaged(m)) ? putAside(m, m.paths.journal, m.clock().toISOString()) : null;
}

async function putAside(m: Machine, path: string, at: string): Promise<string> {
  await makeDirs(m.port, m.paths.backups);
  const aside = join(m.paths.backups, `${basename(path, '.json')}-${at.replace(/[:.]/g, '-')}.json`);
  await m.port.rename(path, aside);
  return aside;
}

interface TreeHere {
  name: string;
  tree: TreeReceipt;
  record: StoredRecord['record'] | null;
}

async function treesHere(m: Machine): Promise<TreeHere[]> {
  const records = (await listDir(m.paths.records)).map((entry) => entry.name.replace(/\.json$/, ''));
  const trees: TreeHere[] = [];
  for (const { name } of await listDir(m.paths.versions)) {
    for (const entry of await listDir(join(m.paths.versions, name))) {
      if (entry.isDirectory()) trees.push(await treeHere(m, name, entry.name, records));
    }
  }
  return trees;
}

/** One folder, by its name: `1.2.0-0123456789ab`, or with `-r2` behind it. */
async function treeHere(m: Machine, name: string, folder: string, records: readonly string[]): Promise<TreeHere> {
  const [, version = folder, short = ''] = /^(.+)-([0-9a-f]{12})(?:-r[0-9]+)?$/.exec(folder) ?? [];
  let stored: StoredRecord | null = null;
  for (const hash of records.filter((hash) => short !== '' && hash.startsWith(short))) {
    const found = /^[0-9a-f]{64}$/.test(hash) ? await getRecord(m, `sha256:${hash}`) : null;
    if (found?.record.name === name && found.record.version === version) stored = found;
  }
  const dir = `versions/${name}/${folder}`;
  const tree: TreeReceipt = {
    version,
    // Without a record only its beginning is known.
    digest: stored?.record.digest ?? `sha256:${short.padEnd(64, '0')}`,
    dir,
    files: stored === null ? [] : await filesOf(m, dir, stored.record),
    extras: [],
    conflicts: [],
    keyid: stored?.envelope.signatures[0]?.keyid ?? '',
    id: pluginId(name, version),
    description: name,
    dependencies: [],
  };
  // Not how it was confined: where a policy asks for that now, it is laid out again.
  if (tree.files.some((file) => file.confined !== undefined)) tree.confined = 'unknown';
  return { name, tree, record: stored?.record ?? null };
}

/** A version's files; where command lines were rewritten for the launcher, that is no edit. */
async function filesOf(m: Machine, dir: string, record: StoredRecord['record']): Promise<ReceiptFile[]> {
  const disk = await scanTree(join(m.paths.root, dir));
  const files: ReceiptFile[] = [];
  for (const { path, sha256, size, executable } of record.files) {
    const file: ReceiptFile = { path, sha256, size, executable };
    files.push(file);
    const there = disk.get(path);
    if (there?.kind !== 'file' || there.sha256 === sha256) continue;
    const text = textOf((await readFileOrNull(there.absolute)) ?? Buffer.alloc(0));
    const released = text === null ? text : releaseText(text);
    if (released === null || released === text) continue;
    file.confined = sha256;
    if (sha256Of(released) === sha256) file.rendered = there.sha256;
  }
  return files;
}

async function asLive(
  m: Machine,
  tree: TreeReceipt,
  name: string,
  at: string,
  plan: readonly PlanEntry[],
): Promise<Receipt> {
  const inTree = (path: string): Promise<Buffer | null> => readFileOrNull(join(m.paths.root, tree.dir, path));
  const manifest = await readManifest(name, await inTree(MANIFEST));
  const entry = plan.find((wanted) => wanted.name === name && wanted.digest === tree.digest);
  const receipt: Receipt = {
    ...tree,
    name,
    description: manifest.description,
    dependencies: entry?.dependencies ?? [],
    origin: entry?.origin ?? 'explicit',
    installedAt: at,
    updatedAt: at,
    state: 'verified',
    links: (await whoseLink(m, join(m.paths.pluginsDir, name))) === 'ours' ? [name] : [],
    globalCommands: [],
    previous: [],
  };
  if (entry?.force !== undefined) receipt.force = entry.force;
  for (const { from, to } of manifest.globalCommands ? globalCommandFiles(tree.files) : []) {
    const bytes = await inTree(from);
    const sha256 = bytes === null ? null : sha256Of(renderGlobalCommand(m, tree.dir, bytes));
    const disk = await hashOnDisk(join(m.paths.commandsDir, to));
    // Where nothing lies, a person deleted it.
    if (sha256 !== null && (disk === null || disk === sha256)) receipt.globalCommands.push({ path: to, sha256 });
  }
  return receipt;
}
