import * as fs from 'node:fs';
import { FILE_OPERATIONS, type FilePort } from '../../server/src/machine/files/file-port.ts';
import { noteCallSite } from './noted-calls.ts';

/** Stands for the death of the process: from here on no operation happens. */
export class Crash extends Error {}

export type Fault =
  | { kind: 'none' }
  /** `torn`: half of a write's bytes are on the disk (other operations: as `before`). */
  | { kind: 'crash'; at: number; when: 'before' | 'after' | 'torn' }
  /** `once`: this operation fails; otherwise it and all that follow. */
  | { kind: 'error'; at: number; errno: string; once: boolean; short?: boolean };

export interface FaultyPort {
  port: FilePort;
  /** Operations so far, by name in order. */
  calls: string[];
  crashed(): boolean;
}

export type OperationName = (typeof FILE_OPERATIONS)[number];
type Synchronous = { [K in OperationName]: (...args: Parameters<FilePort[K]>) => unknown };

/**
 * The operations without the detour through Node's threads: each is whole before the next starts, and thousands of runs
 * take seconds. Nothing is fsynced: the order of operations is what is tested.
 */
const SYNCHRONOUS: Synchronous = {
  mkdir: (path, options) => fs.mkdirSync(path, options),
  writeFile: (path, bytes, options) =>
    fs.writeFileSync(path, bytes, {
      flag: options?.append ? 'a' : options?.exclusive ? 'wx' : 'w',
      mode: options?.mode ?? 0o644,
    }),
  rename: (from, to) => fs.renameSync(from, to),
  unlink: (path) => fs.unlinkSync(path),
  rmdir: (path) => fs.rmdirSync(path),
  symlink: (target, path, type) => fs.symlinkSync(target, path, type),
  chmod: (path, mode) => fs.chmodSync(path, mode),
  link: (existing, path) => fs.linkSync(existing, path),
  fsync: () => undefined,
  syncAll: () => undefined,
};

type Arguments = Parameters<FilePort[OperationName]>;

/** A port of the real operations, each going through `around`, which decides whether it happens. */
export function portAround(around: (name: OperationName, args: Arguments, go: () => void) => void): FilePort {
  const run =
    (name: OperationName) =>
    async (...args: Arguments) => {
      around(name, args, () => void (SYNCHRONOUS[name] as (...args: unknown[]) => unknown)(...args));
    };
  return Object.fromEntries(FILE_OPERATIONS.map((name) => [name, run(name)])) as unknown as FilePort;
}

/** Half of what a write would have written. */
export function halfOf(bytes: unknown): Buffer {
  const all = Buffer.from(bytes as string);
  return all.subarray(0, Math.floor(all.length / 2));
}

function writeHalf(args: Arguments): void {
  const [path, bytes, options] = args as Parameters<FilePort['writeFile']>;
  try {
    SYNCHRONOUS.writeFile(path, halfOf(bytes), options);
  } catch {
    // An exclusive write to what is there leaves nothing behind.
  }
}

/** The operations, counted, with one fault. */
export function faultyPort(fault: Fault): FaultyPort {
  const calls: string[] = [];
  let dead = false;
  const port = portAround((name, args, go) => {
    if (dead) throw new Crash();
    calls.push(name);
    const n = calls.length;
    if (fault.kind === 'crash' && n === fault.at) {
      dead = true;
      if (fault.when === 'after') go();
      if (fault.when === 'torn' && name === 'writeFile') writeHalf(args);
      throw new Crash();
    }
    if (fault.kind === 'error' && (fault.once ? n === fault.at : n >= fault.at)) {
      if (fault.short && name === 'writeFile') writeHalf(args);
      throw Object.assign(new Error(`${fault.errno}: injected`), { code: fault.errno });
    }
    // What is done about an error has its own calls.
    if (fault.kind === 'error' && n > fault.at) noteCallSite();
    go();
  });
  return { port, calls, crashed: () => dead };
}
