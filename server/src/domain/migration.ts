/** What becomes of a person's own commands, hooks and servers when they move into a plugin. Pure. */

import { toolNamePart } from './client-facts.ts';
import { isJsonObject, type JsonObject } from './json/read.ts';

const ROOT = '$' + '{CLAUDE_PLUGIN_ROOT}';

/** Where files that a command or hook names below `~/.claude` lie in the plugin. */
export const carriedPath = (below: string): string => `files/${below}`;

export interface Home {
  home: string;
  /** `~/.claude`, absolute. */
  claudeDir: string;
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const TAIL = '[^\\s"\'`;|&()<>]*';

/** Names of files below `~/.claude` that a text gives, each as it is written, and relative to that folder. */
function claudeFiles(text: string, { home, claudeDir }: Home): { written: string; below: string }[] {
  const roots = [`~/.claude`, '$HOME/.claude', '${HOME}/.claude', `${home}/.claude`, claudeDir].map(escaped);
  const found = text.matchAll(new RegExp(`(?:${[...new Set(roots)].join('|')})/(${TAIL})`, 'g'));
  return [...found].map((match) => ({ written: match[0], below: match[1] ?? '' }));
}

/** A path that only this machine has: below the home, and not below `~/.claude`. */
function homePath(text: string, { home }: Home): string | undefined {
  const roots = ['~', '$HOME', '${HOME}', home].map(escaped).join('|');
  return new RegExp(`(?<![\\w.$/-])(?:${roots})(?:/${TAIL}|(?=[\\s"']|$))`).exec(text)?.[0];
}

/**
 * A text whose files below `~/.claude` lie in the plugin afterwards.
 * @param has whether such a file is there and may be carried along
 * @param shell whether a shell reads it: the plugin's folder may have spaces in its name
 * @returns the text and the files it takes along, or why it cannot move
 */
export function carried(
  text: string,
  home: Home,
  has: (below: string) => boolean,
  shell = false,
): { text: string; files: string[] } | { why: string } {
  const files = new Set<string>();
  let now = text;
  // The longest first: one name may begin another.
  const named = claudeFiles(text, home).sort((a, b) => b.written.length - a.written.length);
  for (const { written, below } of named) {
    if (!has(below)) return { why: `it names ${written}, which is no file that can be taken along` };
    files.add(below);
    const there = `${ROOT}/${carriedPath(below)}`;
    now = now.replaceAll(written, (_match, at: number) =>
      shell && !/["']/.test(now[at - 1] ?? '') ? `"${there}"` : there,
    );
  }
  const alone = homePath(now, home);
  if (alone !== undefined) return { why: `it names ${alone}, which other machines do not have` };
  return { text: now, files: [...files] };
}

/** The same for every text in a JSON value. */
export function carriedJson(
  value: unknown,
  home: Home,
  has: (below: string) => boolean,
  shell = false,
): { value: unknown; files: string[] } | { why: string } {
  if (typeof value === 'string') {
    const done = carried(value, home, has, shell);
    return 'why' in done ? done : { value: done.text, files: done.files };
  }
  if (typeof value !== 'object' || value === null) return { value, files: [] };
  const files: string[] = [];
  const entries: [string, unknown][] = [];
  for (const [key, item] of Object.entries(value)) {
    // A hook's command without arguments of its own goes through a shell.
    const line = key === 'command' && 'type' in value && value.type === 'command' && !('args' in value);
    const done = carriedJson(item, home, has, line);
    if ('why' in done) return done;
    files.push(...done.files);
    entries.push([key, done.value]);
  }
  return { value: Array.isArray(value) ? entries.map(([, item]) => item) : Object.fromEntries(entries), files };
}

/**
 * Grants in a file's front matter also under the names that the tools of moved servers have in the plugin.
 * @param servers names of the servers that move
 */
export function grantsInPlugin(text: string, plugin: string, servers: readonly string[]): string {
  const head = /^---\r?\n[\s\S]*?\r?\n---/.exec(text)?.[0];
  if (head === undefined) return text;
  let now = head;
  for (const server of servers) {
    const from = `mcp__${toolNamePart(server)}`;
    const to = `mcp__plugin_${toolNamePart(plugin)}_${toolNamePart(server)}`;
    now = now.replace(
      new RegExp(`(^[ \\t]*- +)?(["']?)${escaped(from)}((?:__[\\w*-]*)?)\\2(?![\\w-])`, 'gm'),
      (all, item, quote, tool) => {
        const more = `${quote}${to}${tool}${quote}`;
        return item === undefined ? `${all}, ${more}` : `${all}\n${item}${more}`;
      },
    );
  }
  return now + text.slice(head.length);
}

/** A hook's matcher that also fires for the tools of moved servers under their names in the plugin. */
export function matcherInPlugin(matcher: string, plugin: string, servers: readonly string[]): string {
  return servers.reduce((now, server) => {
    const name = toolNamePart(server);
    return now.replaceAll(`mcp__${name}__`, `mcp__(plugin_${toolNamePart(plugin)}_)?${name}__`);
  }, matcher);
}

const SECRET_KEY = /token|secret|passw|credential|api[-_]?key|auth|private[-_]?key|^key$|_key$|cookie/i;

/** Keys of a server's `env` and `headers` whose values are secrets by their name. */
export function secretKeys(server: JsonObject): { place: 'env' | 'headers'; key: string }[] {
  return (['env', 'headers'] as const).flatMap((place) => {
    const block = server[place];
    if (!isJsonObject(block)) return [];
    // A reference to the environment is no secret itself.
    const literal = (value: unknown): boolean =>
      typeof value === 'string' && value !== '' && !/^\$\{\w+\}$/.test(value);
    return Object.entries(block)
      .filter(([key, value]) => SECRET_KEY.test(key) && literal(value))
      .map(([key]) => ({ place, key }));
  });
}

/** A server whose secrets are asked from each person by the client, and the options that ask. */
export function askedServer(
  name: string,
  server: JsonObject,
): { server: JsonObject; userConfig: Record<string, JsonObject> } {
  const copy = structuredClone(server);
  const userConfig: Record<string, JsonObject> = {};
  for (const { place, key } of secretKeys(server)) {
    const option = `${name}_${key}`.toLowerCase().replace(/[^a-z0-9]+/g, '_');
    (copy[place] as JsonObject)[key] = `\${user_config.${option}}`;
    const description = `${key} of the server ${name}`;
    userConfig[option] = { type: 'string', title: key, description, sensitive: true };
  }
  return { server: copy, userConfig };
}
