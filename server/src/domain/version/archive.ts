import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { type Entry, fromBufferPromise, getFileNameLowLevel, type ZipFile } from 'yauzl';
import { HaiveError } from '../errors.ts';
import { checkPath, checkPathSet } from '../safe-path.ts';
import { MANIFEST_PATH } from './file-types.ts';
import { isLeftOut } from './left-out.ts';
import type { SourceFile } from './package.ts';

export interface ArchiveLimits {
  /** Sum of all files when inflated, in bytes. */
  maxBytes: number;
  maxFiles: number;
}

interface Member {
  path: string;
  executable: boolean;
  /** Where its compressed bytes lie. */
  start: number;
  end: number;
  method: number;
  size: number;
  crc: number;
}

const inflateRaw = promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.inflateRaw);
const LOCAL_HEADER = 30;
const LOCAL_SIGNATURE = 0x04034b50;
const [FILE_TYPE, REGULAR, FOLDER] = [0o170000, 0o100000, 0o040000];

/**
 * Reads a zip held in memory. Sizes are checked as declared and again as inflated, entries may not share bytes, and
 * each must match its checksum. One folder at the top that holds the whole plugin is taken off.
 * @throws HaiveError ARCHIVE_INVALID, PLUGIN_TOO_LARGE, PATH_UNSAFE, PATH_COLLISION, FILE_KIND_UNSUPPORTED
 */
export async function readZip(bytes: Buffer, limits: ArchiveLimits): Promise<SourceFile[]> {
  const members = await listMembers(bytes, limits);
  checkPathSet(members.map((m) => m.path));
  checkOverlap(members);
  const files: SourceFile[] = [];
  let total = 0;
  for (const member of members) {
    const content = await inflate(bytes, member);
    total += content.length;
    if (total > limits.maxBytes) throw tooLarge(total, limits);
    files.push({ path: member.path, bytes: content, executable: member.executable });
  }
  return stripTopFolder(files);
}

async function listMembers(bytes: Buffer, limits: ArchiveLimits): Promise<Member[]> {
  const zip = await open(bytes);
  if (zip.entryCount > limits.maxFiles) throw tooMany(zip.entryCount, limits);
  const members: Member[] = [];
  let declared = 0;
  let seen = 0;
  try {
    for await (const entry of zip.eachEntry()) {
      seen += 1;
      if (seen > limits.maxFiles) throw tooMany(seen, limits);
      const member = readMember(bytes, entry);
      if (member === undefined) continue;
      declared += member.size;
      if (declared > limits.maxBytes) throw tooLarge(declared, limits);
      members.push(member);
    }
  } catch (error) {
    throw asArchiveError(error);
  }
  return members;
}

async function open(bytes: Buffer): Promise<ZipFile> {
  try {
    return await fromBufferPromise(bytes, { lazyEntries: true, decodeStrings: false, validateEntrySizes: true });
  } catch (error) {
    throw asArchiveError(error);
  }
}

/** One file of the central directory; undefined for folders and for what packing leaves out. */
function readMember(bytes: Buffer, entry: Entry): Member | undefined {
  const name = getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileNameRaw, entry.extraFields, true);
  const shown = JSON.stringify(name.slice(0, 120));
  const mode = entry.externalFileAttributes >>> 16;
  const kind = mode & FILE_TYPE;
  const isFolder = name.endsWith('/');
  if (isLeftOut(name.split('/'))) return undefined;
  const path = checkPath(isFolder ? name.slice(0, -1) : name.replace(/^(\.\/)+/, ''));
  if (isFolder) return undefined;
  if (kind === FOLDER && entry.uncompressedSize === 0) return undefined;
  if (kind !== 0 && kind !== REGULAR) {
    throw new HaiveError('FILE_KIND_UNSUPPORTED', `${shown} in the archive is not a regular file`, {
      details: { path },
    });
  }
  if ((entry.generalPurposeBitFlag & 0x2041) !== 0) {
    throw new HaiveError('ARCHIVE_INVALID', `${shown} in the archive is encrypted`);
  }
  if (entry.compressionMethod !== 0 && entry.compressionMethod !== 8) {
    throw new HaiveError('ARCHIVE_INVALID', `${shown} is compressed by the unknown method ${entry.compressionMethod}`);
  }
  const header = entry.relativeOffsetOfLocalHeader;
  if (header + LOCAL_HEADER > bytes.length || bytes.readUInt32LE(header) !== LOCAL_SIGNATURE) {
    throw new HaiveError('ARCHIVE_INVALID', `${shown} is not where the archive's directory says`);
  }
  const start = header + LOCAL_HEADER + bytes.readUInt16LE(header + 26) + bytes.readUInt16LE(header + 28);
  const end = start + entry.compressedSize;
  if (end > bytes.length) throw new HaiveError('ARCHIVE_INVALID', `${shown} goes on behind the archive's end`);
  const { compressionMethod: method, uncompressedSize: size, crc32: crc } = entry;
  return { path, executable: (mode & 0o100) !== 0, start, end, method, size, crc };
}

/** Entries that share bytes are how a small archive inflates without end. */
function checkOverlap(members: readonly Member[]): void {
  const sorted = [...members].sort((a, b) => a.start - b.start);
  let end = 0;
  for (const member of sorted) {
    if (member.start - LOCAL_HEADER < end) {
      throw new HaiveError('ARCHIVE_INVALID', `${JSON.stringify(member.path)} shares bytes with another entry`);
    }
    end = member.end;
  }
}

async function inflate(bytes: Buffer, member: Member): Promise<Buffer> {
  const raw = bytes.subarray(member.start, member.end);
  let content: Buffer;
  if (member.method === 0) content = Buffer.from(raw);
  else {
    try {
      content = await inflateRaw(raw, { maxOutputLength: Math.max(member.size, 1) });
    } catch (cause) {
      const bomb = (cause as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE';
      const path = JSON.stringify(member.path);
      if (bomb)
        throw new HaiveError('PLUGIN_TOO_LARGE', `${path} inflates to more than the ${member.size} bytes it declares`);
      throw new HaiveError('ARCHIVE_INVALID', `${path} cannot be inflated`, { cause });
    }
  }
  // zlib.crc32 is not in the first releases of Node 20
  const sum = typeof zlib.crc32 === 'function' ? zlib.crc32(content) : member.crc;
  if (content.length !== member.size || sum !== member.crc) {
    throw new HaiveError('ARCHIVE_INVALID', `${JSON.stringify(member.path)} does not match its size or checksum`);
  }
  return content;
}

function stripTopFolder(files: SourceFile[]): SourceFile[] {
  const top = files[0]?.path.split('/')[0] ?? '';
  const prefix = `${top}/`;
  const holdsAll = files.every((f) => f.path.startsWith(prefix));
  if (!holdsAll || !files.some((f) => f.path === `${prefix}${MANIFEST_PATH}`)) return files;
  return files.map((f) => ({ ...f, path: f.path.slice(prefix.length) }));
}

function tooLarge(size: number, limits: ArchiveLimits): HaiveError {
  return new HaiveError(
    'PLUGIN_TOO_LARGE',
    `The archive holds ${size} bytes or more, the limit is ${limits.maxBytes}`,
    {
      details: { size, limit: limits.maxBytes },
    },
  );
}

function tooMany(count: number, limits: ArchiveLimits): HaiveError {
  return new HaiveError(
    'PLUGIN_TOO_LARGE',
    `The archive holds ${count} entries or more, the limit is ${limits.maxFiles}`,
  );
}

function asArchiveError(error: unknown): HaiveError {
  if (error instanceof HaiveError) return error;
  const reason = error instanceof Error ? error.message.slice(0, 160) : 'unreadable';
  return new HaiveError('ARCHIVE_INVALID', `The archive cannot be read: ${reason}`, { cause: error });
}
