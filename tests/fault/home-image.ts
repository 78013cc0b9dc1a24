import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';

/** A HOME held in memory: per path `dir`, `-> target`, or the mode and the bytes (latin1). Times are not part of it. */
export type Image = Map<string, string>;

function look(root: string, path: string): string | undefined {
  const absolute = join(root, path);
  const stat = fs.lstatSync(absolute, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (stat.isDirectory()) return 'dir';
  if (stat.isSymbolicLink()) return `-> ${fs.readlinkSync(absolute)}`;
  return `${(stat.mode & 0o777).toString(8)} ${fs.readFileSync(absolute, 'latin1')}`;
}

/** Reads everything below a folder, but for paths that `skip` names. */
export function readImage(root: string, skip?: RegExp): Image {
  const image: Image = new Map();
  const walk = (prefix: string): void => {
    for (const name of fs.readdirSync(join(root, prefix))) {
      const path = prefix === '' ? name : `${prefix}/${name}`;
      if (skip?.test(path)) continue;
      const found = look(root, path);
      if (found !== undefined) image.set(path, found);
      if (found === 'dir') walk(path);
    }
  };
  walk('');
  return image;
}

/** Brings an image up to date at one path, with what a folder there brought or took away, and the folders above it. */
export function refresh(image: Image, root: string, path: string): void {
  if (path === '' || path === '.') return;
  const [was, is] = [image.get(path), look(root, path)];
  if (was === 'dir' && is !== 'dir') for (const key of image.keys()) if (key.startsWith(`${path}/`)) image.delete(key);
  if (was !== 'dir' && is === 'dir')
    for (const [below, entry] of readImage(join(root, path))) image.set(`${path}/${below}`, entry);
  for (let at = path; at !== '' && at !== '.'; at = dirname(at)) {
    const found = look(root, at);
    if (found === undefined) image.delete(at);
    else image.set(at, found);
  }
}

/** Makes a folder equal to `wanted`, touching only what differs from `now`. */
export function restore(root: string, now: Image, wanted: Image): void {
  const gone = [...now.keys()].filter((path) => now.get(path) !== wanted.get(path));
  for (const path of gone.sort((a, b) => b.length - a.length)) {
    if (now.get(path) === 'dir') fs.rmdirSync(join(root, path));
    else fs.unlinkSync(join(root, path));
  }
  const made = [...wanted].filter(([path, entry]) => now.get(path) !== entry);
  for (const [path, entry] of made.sort(([a], [b]) => a.length - b.length)) {
    const absolute = join(root, path);
    if (entry === 'dir') fs.mkdirSync(absolute);
    else if (entry.startsWith('-> ')) fs.symlinkSync(entry.slice(3), absolute);
    else {
      const space = entry.indexOf(' ');
      fs.writeFileSync(absolute, Buffer.from(entry.slice(space + 1), 'latin1'));
      fs.chmodSync(absolute, Number.parseInt(entry.slice(0, space), 8));
    }
  }
}

/** Equal for equal images. */
export function imageHash(image: Image): string {
  const hash = createHash('sha1');
  for (const path of [...image.keys()].sort()) hash.update(`${path}\0${image.get(path)}\0`);
  return hash.digest('base64');
}

const CACHES = /\.haivemind\/(blobs|records|lock|leases)(\/|$)/;

/** What a person would call the state of a HOME: all but the blob cache and the lock. */
export function visible(image: Image): Image {
  return new Map([...image].filter(([path]) => !CACHES.test(path)));
}

/** Paths at which two images differ. */
export function differing(one: Image, other: Image): string[] {
  return [...new Set([...one.keys(), ...other.keys()])].filter((path) => one.get(path) !== other.get(path));
}
