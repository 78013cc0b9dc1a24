import { dirname, relative } from 'node:path';
import { writeAtomic } from './atomic-file.ts';
import { type FilePort, makeDirs, readFileOrNull, realFilePort, withFileErrors } from './file-port.ts';
import type { MachinePaths } from './paths.ts';

/** This machine's side: where things lie, how files are changed, what time it is. Opening touches nothing. */
export interface Machine {
  readonly paths: MachinePaths;
  readonly port: FilePort;
  readonly clock: () => Date;
}

export function openMachine(options: { paths: MachinePaths; port?: FilePort; clock: () => Date }): Machine {
  return {
    paths: options.paths,
    port: withFileErrors(options.port ?? realFilePort()),
    clock: options.clock,
  };
}

/** Makes our folder where it is missing, and remembers which folders above it were made for that. */
export async function ensureRoot(machine: Machine): Promise<void> {
  const { paths, port } = machine;
  const made = (await makeDirs(port, paths.root)).filter((dir) => dir !== paths.root);
  if (made.length === 0) return;
  const before = await madeDirs(machine);
  const all = [...new Set([...before, ...made.map((dir) => relative(dirname(paths.claudeDir), dir))])];
  await writeAtomic(port, paths.made, `${JSON.stringify(all)}\n`, { fsync: false });
}

/** Folders above our root that we made, relative to the folder that holds `~/.claude`; outermost first. */
export async function madeDirs(machine: Machine): Promise<string[]> {
  const bytes = await readFileOrNull(machine.paths.made);
  if (bytes === null) return [];
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return Array.isArray(value) ? value.filter((v) => typeof v === 'string') : [];
  } catch {
    return [];
  }
}
