import {
  beyondLauncher,
  type Confinement,
  confinementFor,
  confineText,
  isProgramFile,
  releaseText,
  startsPrograms,
} from '../domain/confine.ts';
import { type JsonObject, readWholeJson } from '../domain/json/read.ts';
import { CORE } from '../domain/names.ts';
import { computeSurface, holdsSurface } from '../domain/surface/index.ts';
import type { VersionRecord } from '../domain/version/record.ts';
import type { RenderedTree, Source } from './change/render.ts';
import { readFileOrNull } from './files/file-port.ts';
import type { DiskFile } from './files/tree.ts';
import { textOf } from './loose/layout-text.ts';
import type { Machine } from './machine.ts';
import type { Receipt, TreeReceipt } from './receipts/index.ts';
import { readBlob, sha256Of } from './store/blob-store.ts';

/** How the programs of plugins are confined on this machine. */
export interface Confining {
  /** Absolute path of the launcher. */
  launcher: string;
  fallback: Confinement['fallback'];
  /** Why nothing can be confined on this machine; null when it can. */
  unable: string | null;
}

const MANIFEST = '.claude-plugin/plugin.json';
/** Raised when command lines are found or rewritten in another way: every tree is then judged and laid out again. */
const FORM = 3;

/** What a receipt says of a tree laid out like this; undefined where its programs are not confined. */
function markOf(name: string, confining: Confining | null): string | undefined {
  if (confining === null || confining.unable !== null || name === CORE) return undefined;
  return `${FORM} ${confining.fallback} ${confining.launcher}`;
}

/** Whether the programs of a tree with this mark were all found when it was laid out. */
export const isJudged = (mark: string | undefined): boolean => mark?.startsWith(`${FORM} `) === true;

/** Whether a tree lies there otherwise than it should by now. Where nothing can be confined any more, what is confined stays so. */
export function isMisplaced(name: string, tree: Pick<TreeReceipt, 'confined'>, confining: Confining | null): boolean {
  if (confining !== null && confining.unable !== null) return false;
  return tree.confined !== markOf(name, confining);
}

async function publishedFiles(m: Machine, record: VersionRecord) {
  const files = [];
  for (const { path, sha256, executable } of record.files) {
    const bytes = holdsSurface(path) ? await readBlob(m, sha256).catch(() => Buffer.alloc(0)) : Buffer.alloc(0);
    files.push({ path, bytes, executable });
  }
  return files;
}

/** Why programs of a version would run unconfined here; null when it starts none, or the launcher reaches them all. */
export async function whyUnconfined(
  m: Machine,
  record: VersionRecord,
  confining: Confining | null,
): Promise<string | null> {
  if (record.name === CORE) return null;
  const files = await publishedFiles(m, record);
  const beyond = beyondLauncher(files);
  if (beyond.length === 0 && !startsPrograms(files)) return null;
  if (confining === null) return 'no policy asks for it';
  return confining.unable ?? (beyond.length === 0 ? null : beyond.join(', '));
}

/**
 * Rewrites the command lines in a rendered tree; its receipt keeps what was published, and what lies on the disk.
 * @returns what the tree's receipt says of it
 * @throws HaiveError POLICY_REFUSED, BLOB_MISSING, HASH_MISMATCH
 */
export async function confineTree(
  m: Machine,
  record: VersionRecord,
  tree: RenderedTree,
  confining: Confining | null,
): Promise<string | undefined> {
  const mark = markOf(record.name, confining);
  if (confining === null || mark === undefined) return undefined;
  const files = await publishedFiles(m, record);
  const manifest: JsonObject = readWholeJson(files.find((f) => f.path === MANIFEST)?.bytes) ?? {};
  const confinement = confinementFor(manifest, computeSurface(files), confining.fallback);
  for (const known of tree.receiptFiles) {
    const file = tree.files.find((f) => f.path === known.path);
    if (file === undefined || !isProgramFile(manifest, known.path)) continue;
    const bytes = await bytesOf(m, file.source);
    const text = bytes === null ? null : textOf(bytes);
    if (bytes === null || text === null) continue;
    const confined = confineText(text, confining.launcher, confinement);
    if (confined === text) continue;
    file.source = { bytes: Buffer.from(confined) };
    known.confined = sha256Of(bytes);
    known.rendered = sha256Of(confined);
  }
  return mark;
}

async function bytesOf(m: Machine, source: Source): Promise<Buffer | null> {
  if ('link' in source) return null;
  if ('bytes' in source) return source.bytes;
  return 'copy' in source ? readFileOrNull(source.copy) : readBlob(m, source.blob);
}

/** Lets the files of a tree on the disk look as if nothing had been rewritten: only what a person changed differs. */
export async function releaseFiles(
  m: Machine,
  receipt: Pick<Receipt, 'files'>,
  disk: Map<string, DiskFile>,
): Promise<void> {
  for (const file of receipt.files) {
    const there = disk.get(file.path);
    if (file.confined === undefined || there?.kind !== 'file') continue;
    const bytes = await releasedBytes(m, file, there);
    if (bytes !== null)
      disk.set(file.path, { ...there, bytes, size: bytes.length, sha256: sha256Of(bytes), onDisk: there.sha256 });
  }
}

async function releasedBytes(m: Machine, file: Receipt['files'][number], there: DiskFile): Promise<Buffer | null> {
  if (there.sha256 === file.rendered && file.confined === file.sha256) {
    const published = await readBlob(m, file.sha256).catch(() => null);
    if (published !== null) return published;
  }
  const bytes = await readFileOrNull(there.absolute);
  const text = bytes === null ? null : textOf(bytes);
  return text === null ? bytes : Buffer.from(releaseText(text));
}
