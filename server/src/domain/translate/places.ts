import { isJsonObject } from '../json/read.ts';
import { HOOKS_PATH, MCP_PATH, plainPath } from '../version/file-types.ts';

export type ComponentKey = 'commands' | 'agents' | 'skills' | 'hooks' | 'mcpServers';

/** Where a component that `components` names must be said natively. */
export type Placed =
  /** The client finds it by itself. */
  | { kind: 'default' }
  /** The native key's value. */
  | { kind: 'native'; value: unknown }
  /** Cannot be said: a missing or unsafe path, or a form nobody knows. */
  | { kind: 'leave' };

/** A list beyond reason is left to validation. */
const MAX_PLACES = 200;

const DEFAULTS: Record<ComponentKey, readonly string[]> = {
  commands: ['commands'],
  agents: ['agents'],
  skills: ['skills'],
  hooks: [HOOKS_PATH, 'hooks'],
  mcpServers: [MCP_PATH],
};

/** The native form of one component's paths, given the plugin's files. */
export function placeComponent(key: ComponentKey, value: unknown, files: ReadonlySet<string>): Placed {
  if (isJsonObject(value)) return key === 'agents' || key === 'skills' ? { kind: 'leave' } : { kind: 'native', value };
  const list = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(list) || list.length > MAX_PLACES) return { kind: 'leave' };
  if (!list.every((p): p is string => typeof p === 'string')) return { kind: 'leave' };
  const plain = list.map(plainPath);
  const defaults = DEFAULTS[key];
  if (plain.every((p) => defaults.includes(p))) return { kind: 'default' };
  const places: string[] = [];
  for (const path of plain) {
    const found = nativePlaces(key, path, files);
    if (found === undefined) {
      // A default place that does not exist may be named beside others, and is then just left out.
      if (defaults.includes(path)) continue;
      return { kind: 'leave' };
    }
    places.push(...found);
  }
  const unique = [...new Set(places)];
  return {
    kind: 'native',
    value: typeof value === 'string' && unique.length === 1 && key !== 'agents' ? unique[0] : unique,
  };
}

function nativePlaces(key: ComponentKey, path: string, files: ReadonlySet<string>): string[] | undefined {
  if (path === '' || path.split('/').some((s) => s === '..' || s === '.' || s === '')) return undefined;
  const isFile = files.has(path);
  const inside = isFile ? [] : [...files].filter((f) => f.startsWith(`${path}/`));
  if (!isFile && inside.length === 0) return undefined;
  if (key === 'agents') {
    const agents = isFile ? [path] : inside.filter((f) => f.endsWith('.md')).sort();
    return agents.length === 0 || !agents.every((f) => f.endsWith('.md')) ? undefined : agents.map((f) => `./${f}`);
  }
  if (key === 'skills' && isFile)
    return path.endsWith('/SKILL.md') ? [`./${path.slice(0, -'SKILL.md'.length)}`] : undefined;
  if (key === 'hooks' || key === 'mcpServers') {
    if (path === 'hooks' && files.has(HOOKS_PATH)) return [`./${HOOKS_PATH}`];
    return isFile ? [`./${path}`] : undefined;
  }
  return [isFile ? `./${path}` : `./${path}/`];
}
