import { createHash } from 'node:crypto';
import { HaiveError } from '../errors.ts';

/** What a file is to Claude Code (seed schema, plugin_files.file_type). */
export type FileType = 'command' | 'agent' | 'skill' | 'hook' | 'mcp' | 'other';

/** One file of a version: its bytes are the blob `sha256`. */
export interface FileEntry {
  /** POSIX path inside the plugin, NFC, safe on every system (domain/safe-path). */
  path: string;
  /** Lower-case hex sha256 of the bytes. */
  sha256: string;
  /** Bytes. */
  size: number;
  executable: boolean;
}

export const RECORD_FORMAT = 1;
export const RECORD_PAYLOAD_TYPE = 'application/vnd.haivemind.version+json';

/** The signed statement that name@version is exactly these files. It travels in a DSSE envelope (domain/signing/dsse). */
export interface VersionRecord {
  format: number;
  name: string;
  version: string;
  /** `sha256:` and 64 hex digits, over name, version and files. */
  digest: string;
  /** Sorted by path (code unit order). */
  files: FileEntry[];
  /** True when the hub packed it itself (zip, URL or import) and signed it with the hub's key. */
  imported: boolean;
  /** ISO-8601. */
  packedAt: string;
}

/** Sorted by path in code unit order, the only order a record may have. */
export function sortFiles(files: readonly FileEntry[]): FileEntry[] {
  return [...files].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

/** The digest of a whole version: `sha256:` + hex over a canonical JSON of name, version and files. */
export function versionDigest(name: string, version: string, files: readonly FileEntry[]): string {
  const rows = sortFiles(files).map((f) => [f.path, f.sha256, f.size, f.executable ? 1 : 0]);
  const text = JSON.stringify([RECORD_FORMAT, name, version, rows]);
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

/** The twelve hex digits that name a version's folder on a machine. */
export function shortDigest(digest: string): string {
  return digest.slice('sha256:'.length, 'sha256:'.length + 12);
}

/** The id the seed uses: `plugin_devops-essentials_1.2.0`. */
export function pluginId(name: string, version: string): string {
  return `plugin_${name}_${version}`;
}

/**
 * Checks that a record's digest is that of its own content and its files are in order, without duplicates.
 * @throws HaiveError FORMAT_UNSUPPORTED, DIGEST_MISMATCH
 */
export function checkRecord(record: VersionRecord): void {
  if (record.format !== RECORD_FORMAT) {
    throw new HaiveError(
      'FORMAT_UNSUPPORTED',
      `The version record has format ${record.format}, this program knows ${RECORD_FORMAT}`,
    );
  }
  for (let i = 1; i < record.files.length; i++) {
    const [before, here] = [record.files[i - 1], record.files[i]];
    if (before === undefined || here === undefined || before.path >= here.path) {
      throw new HaiveError('DIGEST_MISMATCH', `The files of ${record.name}@${record.version} are not in order`);
    }
  }
  const digest = versionDigest(record.name, record.version, record.files);
  if (digest !== record.digest) {
    throw new HaiveError(
      'DIGEST_MISMATCH',
      `${record.name}@${record.version} says ${record.digest} but hashes to ${digest}`,
    );
  }
}
