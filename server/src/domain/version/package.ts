import { createHash } from 'node:crypto';
import { HaiveError } from '../errors.ts';
import { type Finding, hasErrors } from '../findings/index.ts';
import { readJson } from '../json/read.ts';
import { checkPath, checkPathSet } from '../safe-path.ts';
import { checkDeclared } from '../surface/change.ts';
import { computeSurface, type Surface } from '../surface/index.ts';
import { type Change, translate } from '../translate/index.ts';
import { validatePlugin } from '../validate/index.ts';
import { loadedTypes } from './components.ts';
import { MANIFEST_PATH } from './file-types.ts';
import { type PluginManifest, parseManifest } from './manifest.ts';
import {
  type FileEntry,
  type FileType,
  RECORD_FORMAT,
  sortFiles,
  type VersionRecord,
  versionDigest,
} from './record.ts';

/** One file of a plugin as its author has it. */
export interface SourceFile {
  /** POSIX path inside the plugin. */
  path: string;
  bytes: Buffer;
  executable: boolean;
}

export interface PackOptions {
  /** Limit for the sum of all files, in bytes. */
  maxBytes: number;
  /** True where the hub packs for somebody else. */
  imported?: boolean;
  now: Date;
  /** False packs the bytes as they are (default true); `changes` says what translation would have changed. */
  translate?: boolean;
}

/** A plugin ready to be signed and sent. */
export interface Packed {
  manifest: PluginManifest;
  /** The author's plugin.json, where translation changed it. */
  originalManifest: Record<string, unknown> | null;
  record: VersionRecord;
  /** sha256 (lower-case hex) → bytes. */
  blobs: Map<string, Buffer>;
  types: Map<string, FileType>;
  /** What it can do once it is installed. */
  surface: Surface;
  changes: Change[];
  /** Warnings and notes about the plugin as given. */
  findings: Finding[];
}

/**
 * Checks, translates and hashes a plugin. The same files give the same result but for `record.packedAt`.
 * @throws HaiveError MANIFEST_MISSING, MANIFEST_INVALID, NAME_INVALID, NAME_RESERVED, VERSION_INVALID, PATH_UNSAFE,
 * PATH_COLLISION, PLUGIN_TOO_LARGE, COMPONENT_INVALID (details.findings holds all findings), SURFACE_EXCEEDED
 */
export function packPlugin(given: readonly SourceFile[], options: PackOptions): Packed {
  const files = safeFiles(given, options.maxBytes);
  const original = files.find((f) => f.path === MANIFEST_PATH);
  if (original === undefined) throw new HaiveError('MANIFEST_MISSING', `There is no ${MANIFEST_PATH}`);
  const translated = translate(files);
  const shipped = options.translate === false ? files : translated.files;
  const manifestFile = shipped.find((f) => f.path === MANIFEST_PATH) ?? original;
  const manifest = parseManifest(manifestFile.bytes);
  const findings = validatePlugin(files, translated);
  if (hasErrors(findings)) throw invalidPlugin(findings);
  const large = findings.find((f) => f.code === 'FRONT_MATTER_LARGE');
  // what this program does not read through, nobody can be told of: it could ask for anything
  if (large !== undefined) throw invalidPlugin([{ ...large, severity: 'error' }]);

  const surface = computeSurface(shipped);
  checkDeclared(manifest.raw, surface);
  const typeOf = loadedTypes(
    manifest.raw,
    shipped.map(({ path }) => path),
  );
  const blobs = new Map<string, Buffer>();
  const types = new Map<string, FileType>();
  const entries: FileEntry[] = shipped.map((file) => {
    const sha256 = createHash('sha256').update(file.bytes).digest('hex');
    blobs.set(sha256, file.bytes);
    types.set(file.path, typeOf(file.path));
    return { path: file.path, sha256, size: file.bytes.length, executable: file.executable };
  });
  const { name, version } = manifest;
  return {
    manifest,
    originalManifest: manifestFile === original ? null : (readJson(original.bytes) ?? null),
    record: {
      format: RECORD_FORMAT,
      name,
      version,
      digest: versionDigest(name, version, entries),
      files: sortFiles(entries),
      imported: options.imported === true,
      packedAt: options.now.toISOString(),
    },
    blobs,
    types,
    surface,
    changes: translated.changes,
    findings,
  };
}

/** Paths checked and in NFC, total size within the limit, sorted by path. */
function safeFiles(given: readonly SourceFile[], maxBytes: number): SourceFile[] {
  let total = 0;
  const files = given.map((file) => {
    total += file.bytes.length;
    const path = checkPath(file.path);
    return path === file.path ? file : { ...file, path };
  });
  if (total > maxBytes) {
    throw new HaiveError('PLUGIN_TOO_LARGE', `The plugin's files are ${total} bytes, the limit is ${maxBytes}`, {
      details: { size: total, limit: maxBytes },
    });
  }
  checkPathSet(files.map((f) => f.path));
  return files.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

/** COMPONENT_INVALID with the first error in its message. */
export function invalidPlugin(findings: readonly Finding[]): HaiveError {
  const errors = findings.filter((f) => f.severity === 'error');
  const first = errors[0];
  const place =
    first === undefined ? '' : `${first.file}${first.line === null ? '' : `:${first.line}`}: ${first.message}`;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  return new HaiveError('COMPONENT_INVALID', `${place}${more}`, {
    ...(first === undefined ? {} : { hint: first.fix }),
    details: { findings },
  });
}
