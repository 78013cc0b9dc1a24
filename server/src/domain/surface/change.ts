import { HaiveError } from '../errors.ts';
import { isJsonObject, type JsonObject } from '../json/read.ts';
import { nameMatches } from '../names.ts';
import { SURFACE_KEYS, type Surface, type SurfaceKey } from './index.ts';

/** How a surface differs from another, and whether a declaration covers it. */

export interface SurfaceChange {
  added: Partial<Surface>;
  removed: Partial<Surface>;
}

/** `haivemind.permissions`: patterns, `*` as wildcard. `files` says what it writes, for the sandbox; it cannot be computed. */
export type Permissions = Partial<Record<SurfaceKey, string[] | undefined>>;

const KEYS: readonly string[] = SURFACE_KEYS;

/** True when a pattern stands for an item: itself, with wildcards, or `Bash` for `Bash(git:*)`. */
export function covers(pattern: string, item: string): boolean {
  return pattern === item || nameMatches(pattern, item) || (item.startsWith(`${pattern}(`) && item.endsWith(')'));
}

/**
 * What the second surface has that the first does not cover, and the other way round. Keys without change are absent. Items are
 * compared as they are: a `*` that an author wrote into a command line must not cover the next version's commands.
 */
export function compareSurfaces(before: Surface, after: Surface): SurfaceChange {
  const same = (key: SurfaceKey, known: string, item: string): boolean =>
    known === item || (BARE.includes(key) && item.startsWith(`${known}(`) && item.endsWith(')'));
  return { added: without(after, before, same), removed: without(before, after, same) };
}

/** Keys where `Bash` means every `Bash(…)`. */
const BARE: readonly SurfaceKey[] = ['tools', 'hook_events'];

/** The items of a surface that no pattern of `limits` covers. */
export function beyond(surface: Surface, limits: Permissions): Partial<Surface> {
  return without(surface, limits, (_key, pattern, item) => covers(pattern, item));
}

function without(
  surface: Surface,
  limits: Permissions,
  covered: (key: SurfaceKey, limit: string, item: string) => boolean,
): Partial<Surface> {
  const over: Partial<Surface> = {};
  for (const key of SURFACE_KEYS) {
    // Surfaces that were stored before a kind was known lack it.
    const items = (surface[key] ?? []).filter(
      (item) => !(limits[key] ?? []).some((limit) => covered(key, limit, item)),
    );
    if (items.length > 0) over[key] = items;
  }
  return over;
}

/** True when something is in it. */
export function isWider(added: Partial<Surface>): boolean {
  return SURFACE_KEYS.some((key) => (added[key]?.length ?? 0) > 0);
}

/** One line for people, key by key: `hook events: SessionStart; commands: node x.js`. */
export function surfaceText(part: Partial<Surface>): string {
  return SURFACE_KEYS.flatMap((key) => {
    const items = part[key] ?? [];
    return items.length === 0 ? [] : [`${LABELS[key]}: ${items.join(', ')}`];
  }).join('; ');
}

/** What each key means in plain words. */
export const LABELS: Record<SurfaceKey, string> = {
  tools: 'tools it may use without asking',
  hook_events: 'hooks that run by themselves on',
  commands: 'commands it runs',
  hosts: 'hosts it talks to',
  mcp_servers: 'servers it starts',
  environment: 'environment variables it is given',
  files: 'files it may write when it is confined',
};

/**
 * The manifest's `haivemind.permissions`; undefined when the author declares nothing.
 * @throws HaiveError MANIFEST_INVALID
 */
export function declaredPermissions(manifest: JsonObject): Permissions | undefined {
  const block = isJsonObject(manifest.haivemind) ? manifest.haivemind.permissions : undefined;
  if (block === undefined) return undefined;
  if (!isJsonObject(block)) throw invalid('must be an object');
  const permissions: Permissions = {};
  for (const [key, value] of Object.entries(block)) {
    if (!KEYS.includes(key)) throw invalid(`has no key ${key.slice(0, 60)}; use ${KEYS.join(', ')}`);
    if (!Array.isArray(value) || !value.every((v): v is string => typeof v === 'string')) {
      throw invalid(`${key} must be a list of text`);
    }
    permissions[key as SurfaceKey] = value;
  }
  return permissions;
}

/** True when files do something of which the manifest says nothing. @throws HaiveError MANIFEST_INVALID */
export function isUndeclared(manifest: JsonObject, surface: Surface): boolean {
  return isWider(surface) && declaredPermissions(manifest) === undefined;
}

/** The refusal of a first surface that nobody has accepted, in plain words. */
export function unaccepted(version: { id: string; name: string; version: string }, surface: Surface): HaiveError {
  const { id, name } = version;
  return new HaiveError(
    'SURFACE_UNACCEPTED',
    `${name}@${version.version} declares nothing, and nobody has accepted what it does: ${surfaceText(surface)}`,
    { details: { id, name, version: version.version, surface } },
  );
}

/**
 * Refuses files that do more than their manifest declares. Without a declaration everything passes.
 * @throws HaiveError SURFACE_EXCEEDED (details.exceeds), MANIFEST_INVALID
 */
export function checkDeclared(manifest: JsonObject, surface: Surface): void {
  const declared = declaredPermissions(manifest);
  if (declared === undefined) return;
  const exceeds = beyond(surface, declared);
  if (!isWider(exceeds)) return;
  throw new HaiveError(
    'SURFACE_EXCEEDED',
    `The files do more than haivemind.permissions says: ${surfaceText(exceeds)}`,
    {
      details: { exceeds },
    },
  );
}

const invalid = (what: string): HaiveError =>
  new HaiveError('MANIFEST_INVALID', `plugin.json: haivemind.permissions ${what}`, {
    details: { field: 'haivemind.permissions' },
  });
