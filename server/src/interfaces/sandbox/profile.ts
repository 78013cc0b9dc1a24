import { dirname, isAbsolute, join, normalize, relative, sep } from 'node:path';
import type { Confinement } from '../../domain/confine.ts';
import { nameMatches } from '../../domain/names.ts';

/** From what a plugin may do, and where its program starts, to what the sandbox lets through. Pure. */

export interface Place {
  home: string;
  /** The project that the session is open in. */
  project: string;
  /** The plugin's tree. */
  root: string;
  /** CLAUDE_PLUGIN_DATA, where the client gives one. */
  data: string | undefined;
  /** A folder made for this program alone. */
  scratch: string;
  /** The system's folder for temporary files. */
  temporary: string;
  /** Folders of programs, as in PATH. */
  path: readonly string[];
  /** Node's own program. */
  node: string;
  /** Where hAIveMind keeps keys and tokens, and what it installed. */
  ours: readonly string[];
}

export interface Scopes {
  denyRead: string[];
  allowRead: string[];
  allowWrite: string[];
  denyWrite: string[];
}

/** Sockets of the system lie there (containers, key agents, the desktop's bus). */
const SOCKETS = ['/run', '/var/run'];

/**
 * Everything is readable but the home, temporary files and sockets of the system; in them only what a program cannot do without
 * (its plugin, the project, Node) and what was declared. Writable is only what was declared, and the plugin's own data.
 */
export function scopesOf(confinement: Pick<Confinement, 'files'>, place: Place): Scopes {
  const { home, project, root, data, scratch, temporary, ours } = place;
  const own = [scratch, ...(data === undefined ? [] : [data])];
  const read: string[] = [];
  const write: string[] = [];
  for (const scope of confinement.files) {
    const readOnly = scope.startsWith('read:');
    const path = resolveScope(readOnly ? scope.slice('read:'.length) : scope, place);
    // A home as a whole, or what holds it, would be no confinement at all.
    if (path === null || holds(path, home)) continue;
    (readOnly ? read : write).push(path);
  }
  const needed = [root, dirname(dirname(place.node)), ...place.path.filter((dir) => isAbsolute(dir))];
  if (!holds(project, home)) needed.push(project);
  return {
    denyRead: [...new Set([home, temporary, ...SOCKETS])],
    allowRead: [...new Set([...needed, ...own, ...read, ...write])].filter((path) => !holds(path, home)),
    allowWrite: [...new Set([...own, ...write])],
    denyWrite: [...ours],
  };
}

/** Whether `inner` is `outer` or lies in it. */
export const holds = (outer: string, inner: string): boolean => {
  const way = relative(outer, inner);
  return way === '' || !(way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way));
};

function resolveScope(scope: string, { home, project, root, data }: Place): string | null {
  const named = scope
    .replaceAll('$' + '{CLAUDE_PROJECT_DIR}', () => project)
    .replaceAll('$' + '{CLAUDE_PLUGIN_ROOT}', () => root)
    .replaceAll('$' + '{CLAUDE_PLUGIN_DATA}', () => data ?? '');
  if (named === '' || named.includes('\0') || named.includes('*')) return null;
  if (named === '~' || named.startsWith('~/')) return join(home, named.slice(1));
  return isAbsolute(named) ? normalize(named) : join(project, named);
}

/** Whether a declared host (`*` as wildcard, with or without port) stands for where a program wants to go. */
export function hostAllowed(hosts: readonly string[], host: string, port: number | undefined): boolean {
  const lower = host.toLowerCase();
  return hosts.some((declared) => {
    const pattern = declared.toLowerCase();
    return nameMatches(pattern, lower) || (port !== undefined && nameMatches(pattern, `${lower}:${port}`));
  });
}

/** Names that every program gets; all of them say where things are or how to speak, none of them is a secret. */
const PLAIN =
  /^(PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|TERM|COLORTERM|NO_COLOR|FORCE_COLOR|NODE_EXTRA_CA_CERTS)$/;
/** What the client says to a plugin; its file of variables for later commands is not among it. */
const OF_PLUGIN = /^CLAUDE_(PLUGIN_\w+|PROJECT_DIR|CODE_ENTRYPOINT|CODE_SIMPLE)$|^CLAUDECODE$/;

/** The environment a confined program gets: plain names, the plugin's own, and those that were declared. */
export function environmentFor(
  declared: readonly string[],
  all: Readonly<Record<string, string | undefined>>,
  scratch: string,
): Record<string, string> {
  const given: Record<string, string> = {};
  for (const [name, value] of Object.entries(all)) {
    const wanted = PLAIN.test(name) || OF_PLUGIN.test(name) || declared.some((pattern) => nameMatches(pattern, name));
    if (value !== undefined && wanted) given[name] = value;
  }
  return { ...given, TMPDIR: scratch, TEMP: scratch, TMP: scratch };
}
