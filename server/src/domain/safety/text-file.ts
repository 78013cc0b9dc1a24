import { isAscii } from 'node:buffer';
import type { FindingCode } from '../findings/codes.ts';
import type { Severity } from '../findings/index.ts';
import type { SourceFile } from '../version/package.ts';

/** A text file under the safety scan: only its head, so that a scan ends soon whatever it is given. */
export interface TextFile {
  path: string;
  bytes: Buffer;
  isAscii: boolean;
  /** The bytes with one character for each, read faster than `text`: what looks for ASCII alone looks here. */
  raw: string;
  /** What people read; decoded when it is asked for. */
  readonly text: string;
}

/** What a check of the scan found, at an offset in the file's text. */
export interface Sighting {
  code: FindingCode;
  severity: Severity;
  offset: number;
  message: string;
  fix: string;
}

const HEAD = 256 * 1024;
const TOTAL = 8 * 1024 * 1024;

/** The heads of the plugin's text files, until a total that no honest plugin reaches. */
export function textFiles(files: readonly SourceFile[]): TextFile[] {
  const result: TextFile[] = [];
  let total = 0;
  for (const { path, bytes } of files) {
    const head = bytes.subarray(0, HEAD);
    if (head.subarray(0, 8192).includes(0)) continue;
    total += head.length;
    if (total > TOTAL) break;
    result.push(textFile(path, head));
  }
  return result;
}

function textFile(path: string, bytes: Buffer): TextFile {
  const raw = bytes.toString('latin1');
  let text = isAscii(bytes) ? raw : undefined;
  return {
    path,
    bytes,
    isAscii: text !== undefined,
    raw,
    get text() {
      text ??= bytes.toString('utf8');
      return text;
    },
  };
}

/** The offset in the text of a byte that begins a character. */
export function offsetInText({ bytes, isAscii }: TextFile, byte: number): number {
  return isAscii ? byte : bytes.toString('utf8', 0, byte).length;
}

/** 1-based place of an offset. */
export function placeOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset);
  let line = 1;
  for (let i = before.indexOf('\n'); i !== -1; i = before.indexOf('\n', i + 1)) line += 1;
  return { line, column: offset - before.lastIndexOf('\n') };
}

/** Whether the author says on this line, or the one before, that what is there may stay. */
export function isAllowed(text: string, offset: number): boolean {
  const end = text.indexOf('\n', offset);
  const lineStart = text.lastIndexOf('\n', offset - 1);
  const from = lineStart <= 0 ? 0 : text.lastIndexOf('\n', lineStart - 1) + 1;
  return /haivemind:allow|gitleaks:allow|secretlint-disable-(next-)?line/.test(
    text.slice(from, end === -1 ? text.length : end),
  );
}
