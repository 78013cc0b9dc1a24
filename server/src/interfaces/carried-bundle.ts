import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';
import { isOthersPlace } from '../machine/owner.ts';

/**
 * Runs the CommonJS bundles that build.mjs puts behind a head, in line comments. vm.Script takes a V8 code cache, which
 * `import` does not. The cache lies in a folder of the user's own and is keyed by node version, architecture and the
 * text's hash; V8 crashes on damaged caches that it accepts, so length and checksum are compared before it sees them.
 */
export interface CarriedText {
  /** What the code says, not yet compiled. */
  text: string;
  /** Hash of the text, made by the build. */
  id: string;
}

/** Finds the bundle `name` in the text of a built file. Throws when the file was not built with it. */
function carriedText(file: string, name: string): CarriedText {
  const marker = `\n//@carried ${name} `;
  const at = file.lastIndexOf(marker);
  if (at < 0) throw new Error(`This file carries no bundle ${name}`);
  const line = file.indexOf('\n', at + marker.length);
  const next = file.indexOf('\n//@carried ', line);
  const body = file.slice(line, next < 0 ? undefined : next);
  return { text: body.replaceAll('\n//', '\n'), id: file.slice(at + marker.length, line).trim() };
}

const MAGIC = 0x48564331; // HVC1
const HEADER_BYTES = 12;

/** FNV-1a over 32-bit words: finds damage, and costs far less at start than loading node:crypto. */
export function checksum(bytes: Uint8Array): number {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
  let hash = 0x811c9dc5;
  for (let i = 0; i < words.length; i++) hash = Math.imul(hash ^ (words[i] ?? 0), 0x01000193);
  for (let i = words.length << 2; i < bytes.byteLength; i++) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193);
  return hash >>> 0;
}

/** Where the code cache of a bundle lies in `folder`; another Node, architecture or bundle has another name. */
function codeCachePath(folder: string, name: string, id: string): string {
  return `${folder}/${name}-${process.version}-${process.arch}-${id}.v8`;
}

/** The cached data, or undefined when there is none or it is not exactly what was written. */
function readCodeCache(path: string): Buffer | undefined {
  try {
    // A copy at offset 0: a small file read by Node may lie unaligned in a shared pool.
    const file = new Uint8Array(readFileSync(path));
    const header = new DataView(file.buffer, 0, HEADER_BYTES);
    const data = Buffer.from(file.buffer, HEADER_BYTES);
    if (header.getUint32(0) !== MAGIC || header.getUint32(4) !== data.byteLength) return undefined;
    return header.getUint32(8) === checksum(data) ? data : undefined;
  } catch {
    return undefined;
  }
}

/** Writes the cache atomically; a folder that cannot be written only means that the next start is not faster. */
export function writeCodeCache(path: string, data: Buffer): void {
  const temporary = `${path}.${process.pid}`;
  try {
    // What root left there its owner could neither use nor replace.
    if (isOthersPlace(path)) return;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const header = new DataView(new ArrayBuffer(HEADER_BYTES));
    header.setUint32(0, MAGIC);
    header.setUint32(4, data.byteLength);
    header.setUint32(8, checksum(new Uint8Array(data)));
    writeFileSync(temporary, Buffer.concat([Buffer.from(header.buffer), data]), { mode: 0o600 });
    renameSync(temporary, path);
  } catch {
    try {
      rmSync(temporary, { force: true });
    } catch {
      // Not even a folder: nothing was written.
    }
  }
}

export interface Carried<T> {
  exports: T;
  /** Writes the code cache; undefined when a usable one was found or none is wanted. */
  saveCodeCache: (() => void) | undefined;
}

/**
 * Runs a carried bundle.
 * @param moduleUrl `import.meta.url` of the file that carries it
 * @param cacheFolder where the code cache lies; none is used when undefined
 */
export function runCarried<T>(name: string, moduleUrl: string, cacheFolder: string | undefined): Carried<T> {
  const filename = fileURLToPath(moduleUrl);
  // Built files are ASCII, and latin1 is the cheapest way to read that.
  const carried = carriedText(readFileSync(filename, 'latin1'), name);
  const path = cacheFolder === undefined ? undefined : codeCachePath(cacheFolder, name, carried.id);
  const cachedData = path === undefined ? undefined : readCodeCache(path);
  const script = new Script(`(function(exports,require,module,__moduleUrl){${carried.text}\n})`, {
    filename,
    ...(cachedData === undefined ? {} : { cachedData }),
  });
  const module = { exports: {} as T };
  const run = script.runInThisContext() as (e: T, r: NodeJS.Require, m: { exports: T }, url: string) => void;
  run(module.exports, createRequire(moduleUrl), module, moduleUrl);
  const usable = cachedData !== undefined && script.cachedDataRejected !== true;
  return {
    exports: module.exports,
    saveCodeCache: usable || path === undefined ? undefined : () => writeCodeCache(path, script.createCachedData()),
  };
}
