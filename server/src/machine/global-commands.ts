import { join } from 'node:path';
import { temporaryOf, writeAtomic } from './atomic-file.ts';
import { sha256Of } from './blob-store.ts';
import { makeDirs, readFileOrNull, removeFile } from './file-port.ts';
import type { Machine } from './machine.ts';
import type { Receipt, Receipts } from './receipts.ts';

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

export async function hashOnDisk(path: string): Promise<string | null> {
  const bytes = await readFileOrNull(path);
  return bytes === null ? null : sha256Of(bytes);
}

/**
 * Makes `~/.claude/commands` say what `next` says. A file that holds neither what we wrote nor what we are about to
 * write was edited, and stays.
 */
export async function applyGlobalCommands(m: Machine, prev: Receipts, next: Receipts): Promise<void> {
  const before = byPath(prev);
  const after = byPath(next);
  for (const [path, { sha256 }] of before) {
    const absolute = join(m.paths.commandsDir, path);
    if (!after.has(path) && (await hashOnDisk(absolute)) === sha256) await removeFile(m.port, absolute);
  }
  for (const [path, { sha256, receipt }] of after) {
    const absolute = join(m.paths.commandsDir, path);
    const disk = await hashOnDisk(absolute);
    if (disk === sha256 || (disk !== null && disk !== before.get(path)?.sha256)) continue;
    // Gone though we had written it: the user deleted it, and an update that changes nothing respects that.
    if (disk === null && before.get(path)?.sha256 === sha256) continue;
    const from = await readFileOrNull(join(m.paths.root, receipt.dir, 'commands', path));
    if (from === null) continue;
    await makeDirs(m.port, m.paths.commandsDir);
    await writeAtomic(m.port, absolute, renderGlobalCommand(m, receipt.dir, from));
  }
}

function byPath(receipts: Receipts): Map<string, { sha256: string; receipt: Receipt }> {
  const all = Object.values(receipts.plugins).sort((a, b) => (a.name < b.name ? -1 : 1));
  return new Map(all.flatMap((receipt) => receipt.globalCommands.map((c) => [c.path, { sha256: c.sha256, receipt }])));
}

/** Half-written files that a crash may have left here. */
export function temporaryCommands(m: Machine, ...all: Receipts[]): string[] {
  return all.flatMap((r) => [...byPath(r).keys()].map((path) => temporaryOf(join(m.paths.commandsDir, path))));
}
