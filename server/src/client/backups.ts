import { lstat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { HaiveError } from '../domain/errors.ts';
import { recover } from '../machine/change/transaction.ts';
import { parseSettings } from '../machine/claude/settings-edit.ts';
import { writeAtomic } from '../machine/files/atomic-file.ts';
import { listDir, makeDirs, readFileOrNull } from '../machine/files/file-port.ts';
import { readText, writeText } from '../machine/files/text-file.ts';
import { scanTree } from '../machine/files/tree.ts';
import type { Machine } from '../machine/machine.ts';
import { bringBack, movedSets } from '../machine/moved-away.ts';
import { withLock } from '../machine/processes/lock.ts';
import type { ClientContext } from './context.ts';

export interface BackupRow {
  /** What `restore` takes: `settings.json`, `edits/NAME/VERSION-DIGEST`, or `migrate/NAME-TIME`. */
  id: string;
  kind: 'settings' | 'edits' | 'migrate';
  /** ISO-8601: when it was made. */
  at: string;
  /** Paths in it; a settings backup is one file. */
  files: string[];
}

/** The files of other people that a backup may stand for. */
const foreignFiles = (m: Machine): Map<string, string> =>
  new Map([m.paths.settings, m.paths.installedPlugins, m.paths.claudeJson].map((path) => [basename(path), path]));

/**
 * What was kept before changes: other people's files as they were before our last edit, and edits that were replaced.
 * @throws HaiveError IO_ERROR
 */
export async function listBackups(ctx: ClientContext): Promise<BackupRow[]> {
  const { machine: m } = ctx;
  const { backups } = m.paths;
  const rows: BackupRow[] = [];
  for (const id of foreignFiles(m).keys()) {
    const stat = await lstat(join(backups, id)).catch(() => null);
    if (stat !== null) rows.push({ id, kind: 'settings', at: stat.mtime.toISOString(), files: [id] });
  }
  for (const plugin of await listDir(join(backups, 'edits'))) {
    for (const tree of await listDir(join(backups, 'edits', plugin.name))) {
      const dir = join(backups, 'edits', plugin.name, tree.name);
      const files = [...(await scanTree(dir)).keys()];
      if (files.length === 0) continue;
      const at = (await lstat(dir)).mtime.toISOString();
      rows.push({ id: `edits/${plugin.name}/${tree.name}`, kind: 'edits', at, files });
    }
  }
  for (const { id, state } of await movedSets(m)) {
    const own = [...state.hooks.map((h) => `hook ${h.event}`), ...state.servers.map((s) => `server ${s.name}`)];
    rows.push({
      id: `migrate/${id}`,
      kind: 'migrate',
      at: state.at,
      files: [...state.files.map((f) => f.path), ...own],
    });
  }
  return rows.sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : a.id < b.id ? -1 : 1));
}

export interface RestoreResult {
  id: string;
  /** What was written, absolute. */
  written: string[];
  /** What stays because something else is there now. */
  stay?: string[];
}

/**
 * Brings a backup back. A settings file is replaced whole, and what it held until now becomes the backup; edits become the
 * plugin's overlay, which the next `hv repair NAME` or update lays on top; what a migration put aside comes back to its place.
 * @throws HaiveError NOT_FOUND, SETTINGS_INVALID, READ_ONLY, LOCKED
 */
export async function restoreBackup(ctx: ClientContext, id: string): Promise<RestoreResult> {
  const { machine: m } = ctx;
  const row = (await listBackups(ctx)).find((one) => one.id === id);
  if (row === undefined)
    throw new HaiveError('NOT_FOUND', `There is no backup ${id}`, { hint: 'Run `hv backups list`.' });
  return withLock(m, 'restore', async () => {
    await recover(m);
    const moved = (await movedSets(m)).find((set) => `migrate/${set.id}` === id);
    if (moved !== undefined) return { id, ...(await bringBack(m, moved.id, moved.state)) };
    const target = foreignFiles(m).get(id);
    if (target !== undefined) {
      const kept = await readText(join(m.paths.backups, id));
      if (kept === null) throw new HaiveError('NOT_FOUND', `There is no backup ${id}`);
      parseSettings(kept, join(m.paths.backups, id));
      await writeText(m, target, await readText(target), kept);
      return { id, written: [target] };
    }
    const name = id.split('/')[1] ?? '';
    const written: string[] = [];
    for (const path of row.files) {
      const bytes = await readFileOrNull(join(m.paths.backups, id, path));
      if (bytes === null) continue;
      const to = join(m.paths.overlays, name, path);
      await makeDirs(m.port, join(to, '..'));
      await writeAtomic(m.port, to, bytes);
      written.push(to);
    }
    return { id, written };
  });
}
