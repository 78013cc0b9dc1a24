import { dirname, join } from 'node:path';
import { HaiveError } from '../domain/errors.ts';
import { addElement, getElements, getKeyText, removeElement, removeKey, setKey } from './claude/settings-edit.ts';
import { temporaryOf, writeAtomic } from './files/atomic-file.ts';
import { hashOnDisk } from './files/content-file.ts';
import { listDir, makeDirs, readFileOrNull, removeEmptyDir, removeFile, removeTree } from './files/file-port.ts';
import { readText, type Text, writeText } from './files/text-file.ts';
import type { Machine } from './machine.ts';
import { noFileNotes, readReceipts } from './receipts/index.ts';
import { sha256Of } from './store/blob-store.ts';

/**
 * A person's own things that a plugin has replaced: put aside, then taken away, each only as it was seen. What is put aside lies with
 * the configuration, not in our folder, so that leaving a hub does not take it along. `state.json` is written when all is put aside
 * and says `removing` until all is taken away: whoever finds it so goes on.
 */

export interface MovedThings {
  /** Relative to `~/.claude`. */
  files: { path: string; bytes: Buffer; executable: boolean }[];
  hooks: { event: string; group: unknown }[];
  servers: { name: string; value: unknown }[];
}

export interface MovedState {
  format: 1;
  state: 'removing' | 'done';
  plugin: string;
  /** ISO-8601. */
  at: string;
  files: { path: string; sha256: string; executable: boolean }[];
  hooks: MovedThings['hooks'];
  servers: MovedThings['servers'];
}

const STATE = 'state.json';
const stateFile = (m: Machine, id: string): string => join(m.paths.moved, id, STATE);
const asideFile = (m: Machine, id: string, path: string): string =>
  join(m.paths.moved, id, 'files', ...path.split('/'));

/** Every set that was put aside whole, newest first. */
export async function movedSets(m: Machine): Promise<{ id: string; state: MovedState }[]> {
  const found: { id: string; state: MovedState }[] = [];
  for (const { name: id } of await listDir(m.paths.moved)) {
    const bytes = await readFileOrNull(stateFile(m, id));
    if (bytes === null) continue;
    try {
      found.push({ id, state: JSON.parse(bytes.toString('utf8')) as MovedState });
    } catch (cause) {
      throw new HaiveError('IO_ERROR', `${stateFile(m, id)} is damaged`, { cause });
    }
  }
  return found.sort((a, b) => (a.state.at < b.state.at ? 1 : -1));
}

/**
 * Puts things aside, and from then on they will be taken away. The lock must be held.
 * @returns the id of the set
 */
export async function putAside(m: Machine, plugin: string, things: MovedThings): Promise<string> {
  for (const { name } of await listDir(m.paths.moved)) {
    // A crash came before all was put aside: nothing was taken away for it.
    if ((await readFileOrNull(stateFile(m, name))) === null) await removeTree(m.port, join(m.paths.moved, name));
  }
  const at = m.clock().toISOString();
  const id = `${plugin}-${at.replace(/[-:]|\.\d+/g, '')}`;
  for (const { path, bytes, executable } of things.files) {
    const to = asideFile(m, id, path);
    await makeDirs(m.port, dirname(to));
    await writeAtomic(m.port, to, bytes, { mode: executable ? 0o700 : 0o600 });
  }
  await makeDirs(m.port, join(m.paths.moved, id));
  const files = things.files.map(({ path, bytes, executable }) => ({ path, sha256: sha256Of(bytes), executable }));
  const { hooks, servers } = things;
  await writeState(m, id, { format: 1, state: 'removing', plugin, at, files, hooks, servers });
  return id;
}

async function writeState(m: Machine, id: string, state: MovedState): Promise<void> {
  // Servers may hold credentials.
  await writeAtomic(m.port, stateFile(m, id), `${JSON.stringify(state, null, 1)}\n`, { mode: 0o600 });
}

/**
 * Takes away what was put aside, as far as it is still as it was. The lock must be held. Safe to be stopped and run again.
 * @returns what was changed meanwhile and stays
 * @throws HaiveError SETTINGS_INVALID, READ_ONLY, DISK_FULL, IO_ERROR
 */
export async function takeAway(m: Machine, state: MovedState): Promise<string[]> {
  const stay: string[] = [];
  const written = new Set((await bareCommands(m)).keys());
  for (const { path, sha256 } of state.files) {
    const at = join(m.paths.claudeDir, ...path.split('/'));
    const there = await hashOnDisk(at);
    // The plugin's own bare command may have come to the same place already.
    if (written.has(path)) continue;
    if (there !== null && there !== sha256) {
      stay.push(path);
      continue;
    }
    if (there !== null) await removeFile(m.port, at);
    // Folders of skills; `commands`, `agents` and `skills` themselves stay.
    for (let dir = dirname(path); dir.includes('/'); dir = dirname(dir)) {
      if (!(await removeEmptyDir(m.port, join(m.paths.claudeDir, dir)))) break;
    }
  }
  await change(m, m.paths.settings, (text, where) => {
    let now = text;
    for (const { event, group } of state.hooks) {
      const index = indexOf(getElements(now, ['hooks', event], where), group);
      if (index < 0) continue;
      now = removeElement(now, ['hooks', event], index, noFileNotes(), where);
      if (getElements(now, ['hooks', event], where).length === 0)
        now = removeKey(now, ['hooks', event], noFileNotes(), where);
    }
    return now;
  });
  await change(m, m.paths.claudeJson, (text, where) => {
    let now = text;
    for (const { name, value } of state.servers) {
      const there = getKeyText(now, ['mcpServers', name], where);
      if (there === undefined) continue;
      if (same(JSON.parse(there), value)) now = removeKey(now, ['mcpServers', name], noFileNotes(), where);
      else stay.push(`the server ${name}`);
    }
    return now;
  });
  return stay;
}

/** Says that nothing is left to be taken away. */
export async function endMove(m: Machine, id: string, state: MovedState): Promise<void> {
  await writeState(m, id, { ...state, state: 'done' });
}

/**
 * Brings a set back to where it was, beside what others wrote since. The lock must be held.
 * @returns what was written, and what stays because something else is there now
 */
export async function bringBack(
  m: Machine,
  id: string,
  state: MovedState,
): Promise<{ written: string[]; stay: string[] }> {
  const written: string[] = [];
  const stay: string[] = [];
  const bare = await bareCommands(m);
  for (const { path, sha256, executable } of state.files) {
    const at = join(m.paths.claudeDir, ...path.split('/'));
    const there = await hashOnDisk(at);
    const bytes = await readFileOrNull(asideFile(m, id, path));
    if (there === sha256 || bytes === null) continue;
    if (there !== null && there !== bare.get(path)) {
      stay.push(at);
      continue;
    }
    await makeDirs(m.port, dirname(at));
    await writeAtomic(m.port, at, bytes, { mode: executable ? 0o755 : 0o644 });
    written.push(at);
  }
  await change(m, m.paths.settings, (text, where) => {
    let now = text;
    for (const { event, group } of state.hooks) {
      if (indexOf(getElements(now, ['hooks', event], where), group) >= 0) continue;
      now = addElement(now, ['hooks', event], group, noFileNotes(), where);
      written.push(`${where} (hook ${event})`);
    }
    return now;
  });
  await change(m, m.paths.claudeJson, (text, where) => {
    let now = text;
    for (const { name, value } of state.servers) {
      const there = getKeyText(now, ['mcpServers', name], where);
      if (there !== undefined && !same(JSON.parse(there), value)) stay.push(`${where} (server ${name})`);
      if (there !== undefined) continue;
      now = setKey(now, ['mcpServers', name], value, noFileNotes(), where);
      written.push(`${where} (server ${name})`);
    }
    return now;
  });
  return { written, stay };
}

/** Bare commands that our plugins wrote, by path relative to `~/.claude`. */
async function bareCommands(m: Machine): Promise<Map<string, string>> {
  const { plugins } = await readReceipts(m);
  return new Map(Object.values(plugins).flatMap((p) => p.globalCommands.map((c) => [`commands/${c.path}`, c.sha256])));
}

async function change(m: Machine, path: string, edit: (text: string, where: string) => string): Promise<void> {
  await removeFile(m.port, temporaryOf(path));
  const before: Text = await readText(path);
  const after = edit(before ?? '{}\n', path);
  if (after !== (before ?? '{}\n')) await writeText(m, path, before, after);
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
const indexOf = (list: readonly unknown[], value: unknown): number => list.findIndex((one) => same(one, value));
