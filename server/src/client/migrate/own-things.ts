import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toHaiveError } from '../../domain/errors.ts';
import { isJsonObject, type JsonObject } from '../../domain/json/read.ts';
import type { SourceFile } from '../../domain/version/package.ts';
import { parseSettings } from '../../machine/claude/settings-edit.ts';
import { listDir } from '../../machine/files/file-port.ts';
import { readText } from '../../machine/files/text-file.ts';
import type { Machine } from '../../machine/machine.ts';
import { readPlugin } from '../../machine/read-plugin.ts';
import { type Receipts, readReceipts } from '../../machine/receipts/index.ts';

export type Kind = 'command' | 'agent' | 'skill' | 'hook' | 'server';

/** Something that a person has among the own things of the client, with its files or its value. */
export interface OwnThing {
  kind: Kind;
  name: string;
  /** Relative to `~/.claude`; empty for hooks and servers. */
  files: SourceFile[];
  event?: string;
  value?: JsonObject;
}

/** Something that stays where it is. */
export interface Left {
  kind: Kind;
  name: string;
  why: string;
}

const MAX_BYTES = 8 * 1024 * 1024;

/**
 * What of `~/.claude` and `~/.claude.json` is a person's own: not what hAIveMind or another plugin put there.
 * @throws HaiveError SETTINGS_INVALID, IO_ERROR
 */
export async function ownThings(m: Machine): Promise<{ things: OwnThing[]; left: Left[] }> {
  const receipts = await readReceipts(m);
  const found: { things: OwnThing[]; left: Left[] } = { things: [], left: [] };
  const ours = oursAmong(receipts);
  for (const kind of ['command', 'agent'] as const) await readMarkdown(m, kind, ours, found);
  await readSkills(m, ours, found);
  await readHooks(m, receipts, found);
  await readServers(m, receipts, found);
  return found;
}

/** Paths relative to `~/.claude` that an installation of ours wrote. */
function oursAmong(receipts: Receipts): Set<string> {
  return new Set(
    Object.values(receipts.plugins).flatMap((p) => [
      ...p.globalCommands.map((c) => `commands/${c.path}`),
      ...(p.loose?.files ?? []).map((f) => f.path),
    ]),
  );
}

type FoundThings = { things: OwnThing[]; left: Left[] };

async function readMarkdown(
  m: Machine,
  kind: 'command' | 'agent',
  ours: ReadonlySet<string>,
  found: FoundThings,
): Promise<void> {
  const folder = `${kind}s`;
  for (const entry of await listDir(join(m.paths.claudeDir, folder))) {
    const path = `${folder}/${entry.name}`;
    if (ours.has(path) || entry.name.startsWith('.')) continue;
    const name = entry.name.replace(/\.md$/, '');
    if (entry.isSymbolicLink())
      found.left.push({ kind, name, why: 'it is a link: what it leads to is kept elsewhere' });
    else if (entry.isDirectory()) {
      const why = 'it is a folder: what lies in it would get another name';
      if ((await listDir(join(m.paths.claudeDir, path))).length > 0) found.left.push({ kind, name, why });
    } else if (entry.name.endsWith('.md')) {
      found.things.push({ kind, name, files: [await fileAt(m.paths.claudeDir, path)] });
    }
  }
}

async function readSkills(m: Machine, ours: ReadonlySet<string>, found: FoundThings): Promise<void> {
  const kind = 'skill';
  for (const { name, ...entry } of (await listDir(join(m.paths.claudeDir, 'skills'))).map(entryOf)) {
    if (name.startsWith('.') || [...ours].some((path) => path.startsWith(`skills/${name}/`))) continue;
    if (entry.link) found.left.push({ kind, name, why: 'it is a link: what it leads to is kept elsewhere' });
    if (!entry.folder) continue;
    const at = join(m.paths.claudeDir, 'skills', name);
    if (await isThere(join(at, '.claude-plugin', 'plugin.json'))) {
      found.left.push({ kind, name, why: 'it is a plugin itself: publish its folder' });
      continue;
    }
    if (!(await isThere(join(at, 'SKILL.md')))) {
      found.left.push({ kind, name, why: 'it has no SKILL.md' });
      continue;
    }
    try {
      const files = await readPlugin(at, { maxBytes: MAX_BYTES });
      found.things.push({ kind, name, files: files.map((f) => ({ ...f, path: `skills/${name}/${f.path}` })) });
    } catch (thrown) {
      found.left.push({ kind, name, why: toHaiveError(thrown).message });
    }
  }
}

const entryOf = (entry: import('node:fs').Dirent) => ({
  name: entry.name,
  link: entry.isSymbolicLink(),
  folder: entry.isDirectory(),
});

async function readHooks(m: Machine, receipts: Receipts, found: FoundThings): Promise<void> {
  const { hooks } = await readObject(m.paths.settings);
  if (!isJsonObject(hooks)) return;
  const ours = new Set(
    Object.values(receipts.plugins).flatMap((p) => (p.loose?.hooks ?? []).map((h) => keyOf(h.event, h.group))),
  );
  for (const [event, groups] of Object.entries(hooks)) {
    for (const group of Array.isArray(groups) ? groups.filter(isJsonObject) : []) {
      if (ours.has(keyOf(event, group)) || JSON.stringify(group).includes(JSON.stringify(m.paths.root).slice(1, -1)))
        continue;
      const matcher = typeof group.matcher === 'string' && group.matcher !== '' ? ` ${group.matcher}` : '';
      found.things.push({ kind: 'hook', name: `${event}${matcher}`, files: [], event, value: group });
    }
  }
}

async function readServers(m: Machine, receipts: Receipts, found: FoundThings): Promise<void> {
  const { mcpServers } = await readObject(m.paths.claudeJson);
  if (!isJsonObject(mcpServers)) return;
  const ours = new Set(Object.values(receipts.plugins).flatMap((p) => (p.loose?.servers ?? []).map((s) => s.name)));
  for (const [name, value] of Object.entries(mcpServers)) {
    if (ours.has(name) || !isJsonObject(value)) continue;
    found.things.push({ kind: 'server', name, files: [], value });
  }
}

const keyOf = (event: string, group: unknown): string => `${event} ${JSON.stringify(group)}`;

async function readObject(path: string): Promise<Record<string, unknown>> {
  const text = await readText(path);
  return text === null ? {} : parseSettings(text, path);
}

/** A regular file below `~/.claude`. */
export async function fileAt(claudeDir: string, path: string): Promise<SourceFile> {
  const at = join(claudeDir, ...path.split('/'));
  return { path, bytes: await readFile(at), executable: ((await lstat(at)).mode & 0o100) !== 0 };
}

const isThere = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );
