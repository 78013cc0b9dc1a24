import { join } from 'node:path';
import { type OutsideCopy, writeCopy } from '../change/outside-copies.ts';
import { hashOnDisk } from '../files/content-file.ts';
import { readFileOrNull, removeFile, statOf } from '../files/file-port.ts';
import type { Machine } from '../machine.ts';
import type { BareCommand, Receipt, Receipts } from '../receipts/index.ts';

/**
 * Bare commands: the client knows a plugin's command only as `/PLUGIN:COMMAND`, so a plugin that asks for
 * `haivemind.global_commands` has its commands also at `~/.claude/commands`.
 */

const COMMAND = /^commands\/([^/]+\.md)$/;

/** Names of the files below `~/.claude/commands` that a version's files ask for. */
export function globalCommandFiles(files: readonly { path: string; sha256: string }[]): { from: string; to: string }[] {
  return files.flatMap(({ path }) => {
    const to = COMMAND.exec(path)?.[1];
    return to === undefined ? [] : [{ from: path, to }];
  });
}

/** Outside a plugin the client replaces no `${CLAUDE_PLUGIN_ROOT}`, so it is written out. */
export function renderGlobalCommand(m: Machine, dir: string, bytes: Buffer): Buffer {
  const variable = '$' + '{CLAUDE_PLUGIN_ROOT}';
  const text = bytes.toString('utf8');
  return text.includes(variable) ? Buffer.from(text.replaceAll(variable, () => join(m.paths.root, dir))) : bytes;
}

const isGone = (m: Machine, { path }: BareCommand): boolean => statOf(join(m.paths.commandsDir, path)) === null;

/** Bare commands of a plugin that a person deleted, as `command /NAME`. */
export function missingCommands(m: Machine, { globalCommands }: Receipt): string[] {
  return globalCommands.filter((one) => isGone(m, one)).map(({ path }) => `command /${path.slice(0, -3)}`);
}

/** The same commands; of those that were deleted it is noted that they shall come back. */
export function askedAgain(m: Machine, commands: readonly BareCommand[]): BareCommand[] {
  return commands.map((one) => (isGone(m, one) ? { ...one, again: (one.again ?? 0) + 1 } : one));
}

/** Makes `~/.claude/commands` say what `next` says. */
export async function applyGlobalCommands(m: Machine, prev: Receipts, next: Receipts): Promise<void> {
  const after = byPath(next);
  for (const [path, { sha256 }] of byPath(prev)) {
    const absolute = join(m.paths.commandsDir, path);
    if (!after.has(path) && (await hashOnDisk(absolute)) === sha256) await removeFile(m.port, absolute);
  }
  for (const command of await commandsToWrite(m, prev, next)) await writeCopy(m, command);
}

/**
 * Commands of `next` that do not lie there yet. A file that holds neither what we wrote nor what we are about to write was edited,
 * and stays.
 * @param leaving hash by absolute path: what the change takes away before it writes
 */
export async function commandsToWrite(
  m: Machine,
  prev: Receipts,
  next: Receipts,
  leaving: ReadonlyMap<string, string> = new Map(),
): Promise<OutsideCopy[]> {
  const before = byPath(prev);
  const commands: OutsideCopy[] = [];
  for (const [path, { sha256, again, receipt }] of byPath(next)) {
    const absolute = join(m.paths.commandsDir, path);
    const found = await hashOnDisk(absolute);
    const disk = found === leaving.get(absolute) ? null : found;
    const was = before.get(path);
    if (disk === sha256 || (disk !== null && disk !== was?.sha256)) continue;
    // Gone though we had written it: the user deleted it, and an update that changes nothing respects that.
    if (disk === null && was?.sha256 === sha256 && was.again === again) continue;
    const bytes = async (): Promise<Buffer | null> => {
      const from = await readFileOrNull(join(m.paths.root, receipt.dir, 'commands', path));
      return from === null ? null : renderGlobalCommand(m, receipt.dir, from);
    };
    commands.push({ plugin: receipt.name, path: absolute, sha256, mode: 0o644, bytes });
  }
  return commands;
}

function byPath(receipts: Receipts): Map<string, BareCommand & { receipt: Receipt }> {
  const all = Object.values(receipts.plugins).sort((a, b) => (a.name < b.name ? -1 : 1));
  return new Map(all.flatMap((receipt) => receipt.globalCommands.map((c) => [c.path, { ...c, receipt }])));
}

/** Absolute paths of a layout's commands, with what we wrote there. */
export function commandPlaces(m: Machine, receipts: Receipts): [path: string, sha256: string][] {
  return [...byPath(receipts)].map(([path, { sha256 }]) => [join(m.paths.commandsDir, path), sha256]);
}
