import { FILE_OPERATIONS, type FilePort, realFilePort } from '../../server/src/machine/file-port.ts';

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

type Operation = (...args: unknown[]) => Promise<void>;

function errnoError(errno: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${errno}: injected`), { code: errno });
}

/** The real operations, counted, with one fault. Nothing is fsynced: the order of operations is what is tested. */
export function faultyPort(fault: Fault): FaultyPort {
  const real = realFilePort() as unknown as Record<string, Operation>;
  const calls: string[] = [];
  let dead = false;
  const half = async (path: unknown, bytes: unknown, options: unknown): Promise<void> => {
    const all = Buffer.from(bytes as string);
    await real.writeFile?.(path, all.subarray(0, Math.floor(all.length / 2)), options);
  };
  const run =
    (name: string): Operation =>
    async (...given) => {
      if (dead) throw new Crash();
      calls.push(name);
      const n = calls.length;
      const args = name === 'writeFile' ? [given[0], given[1], { ...(given[2] as object), fsync: false }] : given;
      const go = async (): Promise<void> => (name === 'fsyncDir' ? undefined : await real[name]?.(...args));
      if (fault.kind === 'crash' && n === fault.at) {
        dead = true;
        if (fault.when === 'after') await go();
        if (fault.when === 'torn' && name === 'writeFile') await half(args[0], args[1], args[2]);
        throw new Crash();
      }
      if (fault.kind === 'error' && (fault.once ? n === fault.at : n >= fault.at)) {
        if (fault.short && name === 'writeFile') await half(args[0], args[1], args[2]).catch(() => {});
        throw errnoError(fault.errno);
      }
      await go();
    };
  const port = Object.fromEntries(FILE_OPERATIONS.map((name) => [name, run(name)])) as unknown as FilePort;
  return { port, calls, crashed: () => dead };
}
