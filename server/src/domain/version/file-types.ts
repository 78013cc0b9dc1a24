import type { FileType } from './record.ts';

export const MANIFEST_PATH = '.claude-plugin/plugin.json';
export const HOOKS_PATH = 'hooks/hooks.json';
export const MCP_PATH = '.mcp.json';

/** What a file is to Claude Code, from its path alone (the default places). */
export function classify(path: string): FileType {
  const lower = path.toLowerCase();
  if (path === MCP_PATH) return 'mcp';
  if (path.startsWith('commands/') && lower.endsWith('.md')) return 'command';
  if (path.startsWith('agents/') && lower.endsWith('.md')) return 'agent';
  if (path.startsWith('skills/') || path === 'SKILL.md') return 'skill';
  if (path.startsWith('hooks/')) return 'hook';
  return 'other';
}

/** Like `classify`, and honours the paths that a native manifest names: what may be a component, also where others put it aside. */
export function classifier(manifest: Record<string, unknown>): (path: string) => FileType {
  const named = new Map<string, FileType>();
  const add = (key: string, type: FileType) => {
    for (const path of namedPaths(manifest[key])) if (!named.has(path)) named.set(path, type);
  };
  add('commands', 'command');
  add('agents', 'agent');
  add('skills', 'skill');
  add('hooks', 'hook');
  add('mcpServers', 'mcp');
  return (path) => {
    const byPlace = classify(path);
    if (byPlace !== 'other') return byPlace;
    for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) {
      const type = named.get(path.slice(0, end));
      if (type === undefined) continue;
      const isMarkdown = path.toLowerCase().endsWith('.md');
      if (isMarkdown || (type !== 'command' && type !== 'agent')) return type;
    }
    return 'other';
  };
}

/** The paths that a component key names: a string, a list, or (commands) an object of `{source}`; without `./` and final `/`. */
export function namedPaths(value: unknown): string[] {
  if (typeof value === 'string') return [plainPath(value)];
  if (Array.isArray(value)) return value.filter((v): v is string => typeof v === 'string').map(plainPath);
  if (typeof value === 'object' && value !== null) {
    return Object.values(value)
      .map((v: unknown) => (typeof v === 'object' && v !== null && 'source' in v ? v.source : undefined))
      .filter((v): v is string => typeof v === 'string')
      .map(plainPath);
  }
  return [];
}

/** `./commands/` → `commands`, and `./a/./b//../c` → `a/c`, as the client goes by it; an address stays as it is. */
export function plainPath(path: string): string {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(path)) return path;
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return (path.startsWith('/') ? '/' : '') + parts.join('/');
}
