import type { JsonObject } from '../../domain/json/read.ts';
import { findFrontMatter, parseFrontMatter } from '../../domain/version/front-matter.ts';
import type { LooseFile } from '../receipts/index.ts';
import { sha256Of } from '../store/blob-store.ts';
import { withCuts, withoutCuts } from './cuts.ts';

/** What stands in a plugin's file for its folder; outside a plugin the client replaces nothing, so it is written out. */
export const ROOT_VARIABLE = '$' + '{CLAUDE_PLUGIN_ROOT}';

/** A tree's path wherever it ends there: `…/1.0.0-abc` also starts the path of its rendering again, `…/1.0.0-abc-r2`. */
function rootPattern(root: string): RegExp {
  return new RegExp(`${root.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?![\\w.-])`, 'g');
}

/** @returns the text with the tree at `from` named as `to` */
export function replaceRoot(text: string, from: string, to: string): string {
  return text.includes(from) ? text.replace(rootPattern(from), () => to) : text;
}

/** Whether a text names the tree or something in it. */
function namesRoot(text: string, root: string): boolean {
  return text.includes(root) && rootPattern(root).test(text);
}

const MAX_TEXT = 1024 * 1024;

/** The bytes as text where they are UTF-8 of at most 1 MiB. */
export function textOf(bytes: Buffer): string | null {
  if (bytes.length > MAX_TEXT || bytes.includes(0)) return null;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** What a copy has otherwise than its tree's file, beside the folder. */
type Differences = Pick<LooseFile, 'renamed' | 'cuts'>;

/** A tree's file as it lies outside the tree: the plugin's folder written out, the name changed where it is suffixed, without its cuts. */
export function looseBytes(bytes: Buffer, root: string, { renamed, cuts = [] }: Differences): Buffer {
  const text = textOf(bytes);
  if (text === null) return bytes;
  const cut = withoutCuts(text, cuts);
  const named = renamed === undefined ? cut : cut.replace(renamed.was, () => renamed.ours);
  const out = named.replaceAll(ROOT_VARIABLE, () => root);
  return out === text ? bytes : Buffer.from(out);
}

/** The inverse: a person's edit of such a file as it would be in the tree. */
export function treeBytes(bytes: Buffer, root: string, { renamed, cuts = [] }: Differences): Buffer {
  const text = textOf(bytes);
  if (text === null) return bytes;
  const named = renamed === undefined ? text : text.replace(renamed.ours, () => renamed.was);
  const out = withCuts(replaceRoot(named, root, ROOT_VARIABLE), cuts);
  return out === text ? bytes : Buffer.from(out);
}

/** The fields of a text's front matter; none where the client cannot read it either. */
export function frontMatterOf(bytes: Buffer | null): JsonObject {
  try {
    return parseFrontMatter(bytes?.toString('utf8').replaceAll('\r\n', '\n') ?? '').data;
  } catch {
    return {};
  }
}

/** The change of the front matter's `name:` line that goes with another file name; undefined where there is none. */
export function renameIn(bytes: Buffer, name: string): LooseFile['renamed'] {
  const text = textOf(bytes);
  const block = text === null ? undefined : findFrontMatter(text);
  if (text === null || block === undefined) return undefined;
  const line = /^name:[^\r\n]*/m.exec(text.slice(block.start, block.end))?.[0];
  return line === undefined ? undefined : { was: line, ours: `name: ${name}` };
}

/** Whether any string of a JSON value names the tree or something in it. */
export function leadsInto(value: unknown, root: string): boolean {
  let found = false;
  mapStrings(value, (item) => {
    found ||= namesRoot(item, root);
    return item;
  });
  return found;
}

/** @returns sha256 of what `looseBytes` gives */
export function looseHash(bytes: Buffer, root: string, differences: Differences): string {
  return sha256Of(looseBytes(bytes, root, differences));
}

/** A JSON value with every string in it changed. */
export function mapStrings(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((item) => mapStrings(item, change));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapStrings(item, change)]));
}
