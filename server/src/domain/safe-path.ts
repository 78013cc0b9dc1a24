import { HaiveError } from './errors.ts';
import { isWindowsDevice } from './names.ts';

const MAX_PATH_BYTES = 1024;
const MAX_SEGMENT_BYTES = 255;
const MAX_DEPTH = 32;
const FORBIDDEN_ON_WINDOWS = /[<>:"|?*]/;
/** Control, format (bidi, zero width), surrogate, line separator, private and ignorable characters; U+FE0F only picks an emoji's look. */
const UNSEEN = /(?!\uFE0F)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Co}\p{Default_Ignorable_Code_Point}]/u;
/** Printable ASCII: most paths, most of the time. */
const PLAIN = /^[\x20-\x7e]*$/;
const UNSEEN_ALL = new RegExp(UNSEEN.source, 'gu');

function unsafe(path: string, why: string): HaiveError {
  const shown = JSON.stringify(path.slice(0, 200)).replace(UNSEEN_ALL, '?');
  return new HaiveError('PATH_UNSAFE', `The path ${shown} ${why}`, { details: { path: path.slice(0, 1024), why } });
}

/**
 * Checks a file's path inside a plugin: relative, POSIX separators, possible on Linux, macOS and Windows alike.
 * @returns the path in Unicode NFC
 * @throws HaiveError PATH_UNSAFE
 */
export function checkPath(path: string): string {
  if (typeof path !== 'string' || path === '') throw unsafe(String(path), 'is empty');
  if (path.length > MAX_PATH_BYTES || Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw unsafe(path, `is longer than ${MAX_PATH_BYTES} bytes`);
  }
  if (path.includes('\\')) throw unsafe(path, 'has a backslash');
  if (path.startsWith('/')) throw unsafe(path, 'is absolute');
  if (/^[A-Za-z]:/.test(path)) throw unsafe(path, 'names a drive');
  if (!PLAIN.test(path) && UNSEEN.test(path)) throw unsafe(path, 'has a control or invisible character');
  const segments = path.normalize('NFC').split('/');
  if (segments.length > MAX_DEPTH) throw unsafe(path, `is more than ${MAX_DEPTH} folders deep`);
  for (const segment of segments) checkSegment(path, segment);
  return segments.join('/');
}

function checkSegment(path: string, segment: string): void {
  if (segment === '') throw unsafe(path, 'has an empty segment');
  if (segment === '.' || segment === '..') throw unsafe(path, `has the segment ${segment}`);
  if (Buffer.byteLength(segment) > MAX_SEGMENT_BYTES) {
    throw unsafe(path, `has a segment longer than ${MAX_SEGMENT_BYTES} bytes`);
  }
  if (FORBIDDEN_ON_WINDOWS.test(segment)) throw unsafe(path, 'has a character that Windows forbids');
  if (/[. ]$/.test(segment)) throw unsafe(path, 'has a segment that ends in a dot or space');
  if (isWindowsDevice(segment)) throw unsafe(path, 'has the name of a Windows device');
  // A .git folder inside an installed plugin would let its configuration run programs for whoever uses git there.
  if (/^(\.git|git~1)$/i.test(segment)) throw unsafe(path, 'has a segment that git keeps for itself');
}

/** One key for all spellings that a file system ignoring case and normalization takes for the same name. */
export function foldPath(path: string): string {
  if (PLAIN.test(path)) return path.toLowerCase();
  return path.normalize('NFC').toUpperCase().toLowerCase().normalize('NFC');
}

/**
 * Checks that the paths can lie side by side on every file system: none equal to another but for case or
 * normalization, none a file where another needs a folder.
 * @throws HaiveError PATH_COLLISION
 */
export function checkPathSet(paths: readonly string[]): void {
  const files = new Map<string, string>();
  const folders = new Map<string, string>();
  for (const path of paths) {
    const key = foldPath(path);
    const same = files.get(key);
    if (same !== undefined) throw collision(same, path);
    files.set(key, path);
    let at = path.indexOf('/');
    while (at !== -1) {
      const folder = path.slice(0, at);
      const folderKey = foldPath(folder);
      const spelled = folders.get(folderKey);
      if (spelled === undefined) folders.set(folderKey, folder);
      else if (spelled !== folder) throw collision(spelled, folder);
      at = path.indexOf('/', at + 1);
    }
  }
  for (const [key, folder] of folders) {
    const file = files.get(key);
    if (file !== undefined) throw collision(file, `${folder}/`);
  }
}

function collision(a: string, b: string): HaiveError {
  return new HaiveError('PATH_COLLISION', `${JSON.stringify(a)} and ${JSON.stringify(b)} are one on some systems`, {
    details: { paths: [a, b] },
  });
}
