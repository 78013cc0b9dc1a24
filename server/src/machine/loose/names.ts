import { dirname, join } from 'node:path';
import { HaiveError } from '../../domain/errors.ts';
import { listDir } from '../files/file-port.ts';
import { scanTree } from '../files/tree.ts';
import type { Machine } from '../machine.ts';
import type { LooseContext } from './installer.ts';

/**
 * Whether something lies at a path below `~/.claude`, also under a name that differs only in letter case.
 * @param leaving files that do not count
 */
export async function isOccupied(m: Machine, path: string, leaving: ReadonlySet<string>): Promise<boolean> {
  if (leaving.has(path)) return false;
  const parts = path.split('/');
  let dir = m.paths.claudeDir;
  for (const part of parts) {
    const found = (await listDir(dir)).find((entry) => entry.name.toLowerCase() === part.toLowerCase());
    if (found === undefined) return false;
    dir = join(dir, found.name);
  }
  const inside = [...(await scanTree(dir)).keys()];
  return inside.length === 0 || inside.some((below) => !leaving.has(`${path}/${below}`));
}

/** `commands/x.md` → `commands/x-PLUGIN.md`, `skills/x` → `skills/x-PLUGIN`. */
export function suffixed(path: string, plugin: string): string {
  const dir = dirname(path);
  const base = path.slice(dir.length + 1);
  const dot = base.lastIndexOf('.');
  return dot > 0 ? `${dir}/${base.slice(0, dot)}-${plugin}${base.slice(dot)}` : `${dir}/${base}-${plugin}`;
}

/**
 * A name that is taken: refused, or by policy the `other` one where that is free.
 * @param byPlugin whether one of our plugins has it, and not the person
 * @throws HaiveError NAME_CLASH
 */
export async function settleClash(
  context: LooseContext,
  what: string,
  wanted: string,
  other: string,
  isFree: (name: string) => Promise<boolean>,
  byPlugin: boolean,
): Promise<string> {
  const { plugin } = context.source;
  if (context.machine.nameClash === 'suffix' && (await isFree(other))) {
    context.warnings.push(`NAME_CLASH: ${wanted} is taken, so the ${what} of ${plugin} is ${other}`);
    return other;
  }
  const whose = byPlugin ? 'another plugin has here already' : "is somebody else's here";
  throw new HaiveError('NAME_CLASH', `${plugin} brings the ${what} ${wanted}, which ${whose}`, {
    details: { name: plugin, kind: what, taken: wanted },
    ...(byPlugin ? { hint: 'Run `hv config set name_clash suffix` and sync again, or remove one of the two.' } : {}),
  });
}
