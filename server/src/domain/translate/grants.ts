import { toolNamePart } from '../client-facts.ts';
import { isJsonObject, type JsonObject } from '../json/read.ts';
import { MCP_PATH, namedPaths } from '../version/file-types.ts';
import { findFrontMatter } from '../version/front-matter.ts';
import type { Report } from './index.ts';

/**
 * Tool grants in front matter. A plugin's server answers as `mcp__plugin_PLUGIN_SERVER__TOOL`, so `mcp__SERVER__*`
 * grants nothing; the grant that does is put beside it (the short one still serves the loose layout).
 */

/** Server name as written in grants → the prefix under which its tools really are. */
export type GrantTargets = Map<string, string>;

const CORE: [string, string] = ['haivemind', 'mcp__plugin_haivemind-core_haivemind'];
const KEY = /^(allowed-tools|allowedTools|tools|disallowed-tools|disallowedTools)[ \t]*:/;
const MAX_BLOCK = 64 * 1024;

/** Names of the MCP servers that the plugin itself brings. */
export function ownServers(manifest: JsonObject, read: (path: string) => JsonObject | undefined): string[] {
  const names = new Set<string>();
  const add = (servers: unknown) => {
    if (!isJsonObject(servers)) return;
    const inner = isJsonObject(servers.mcpServers) ? servers.mcpServers : servers;
    for (const name of Object.keys(inner)) names.add(name);
  };
  add(read(MCP_PATH));
  const declared = manifest.mcpServers;
  if (isJsonObject(declared)) add(declared);
  else for (const path of namedPaths(declared)) add(read(path));
  if (Array.isArray(declared)) for (const entry of declared) add(entry);
  return [...names];
}

/** What grants must be widened to for this plugin: its own servers, and the core's `haivemind`. */
export function grantTargets(manifest: JsonObject, read: (path: string) => JsonObject | undefined): GrantTargets {
  const targets: GrantTargets = new Map([CORE]);
  if (typeof manifest.name !== 'string') return targets;
  const plugin = toolNamePart(manifest.name);
  for (const server of ownServers(manifest, read)) {
    const part = toolNamePart(server);
    if (part !== '') targets.set(part, `mcp__plugin_${plugin}_${part}`);
  }
  return targets;
}

/** Adds the working grant beside each short one, in the form the author's list has. */
export function translateGrants(text: string, targets: GrantTargets, report: Report): string {
  // latin1 text: a UTF-8 byte order mark is three characters here
  const bom = text.startsWith('\u00EF\u00BB\u00BF') ? 3 : 0;
  const block = findFrontMatter(text.slice(bom));
  if (block === undefined || block.end - block.start > MAX_BLOCK) return text;
  const [start, end] = [block.start + bom, block.end + bom];
  const lines = text.slice(start, end).split(/(?<=\n)/);
  let out = '';
  let region: string[] = [];
  const flush = () => {
    if (region.length > 0) out += widen(region, targets, report);
    region = [];
  };
  for (const line of lines) {
    if (KEY.test(line)) {
      flush();
      region = [line];
    } else if (region.length > 0 && /^([ \t]|- |-\r?\n|\]|\r?\n)/.test(line)) {
      region.push(line);
    } else {
      flush();
      out += line;
    }
  }
  flush();
  return text.slice(0, start) + out + text.slice(end);
}

function widen(region: readonly string[], targets: GrantTargets, report: Report): string {
  const whole = region.join('');
  const present = new Set(whole.match(/mcp__[\w*.-]+/g) ?? []);
  return region.map((line) => widenLine(line, targets, present, report)).join('');
}

function widenLine(line: string, targets: GrantTargets, present: Set<string>, report: Report): string {
  const item = /^([ \t]*-[ \t]+["']?)(mcp__[\w*-]+)(["']?[ \t]*)(#[^\r\n]*)?(\r?\n)?$/.exec(line);
  if (item !== null) {
    const [, lead = '', grant = '', tail = '', , eol] = item;
    const wide = widened(grant, targets);
    if (wide === undefined || present.has(wide)) return line;
    present.add(wide);
    tell(report, grant, wide);
    const added = `${lead}${wide}${tail.trimEnd()}`;
    return eol === undefined ? `${line}\n${added}` : `${line}${added}${eol}`;
  }
  return line.replace(/(["']?)(?<![\w-])(mcp__[\w*-]+)\1(?![\w(*-])/g, (all, quote: string, grant: string) => {
    const wide = widened(grant, targets);
    if (wide === undefined || present.has(wide)) return all;
    present.add(wide);
    tell(report, grant, wide);
    return `${all}, ${quote}${wide}${quote}`;
  });
}

function tell(report: Report, grant: string, wide: string): void {
  report(
    'tool-grant',
    grant,
    `${grant}, ${wide}`,
    "A plugin's tools are called mcp__plugin_PLUGIN_SERVER__TOOL in Claude Code; the short name alone grants nothing.",
  );
}

function widened(grant: string, targets: GrantTargets): string | undefined {
  if (grant.startsWith('mcp__plugin_')) return undefined;
  const rest = grant.slice('mcp__'.length);
  const cut = rest.indexOf('__');
  const server = cut === -1 ? rest : rest.slice(0, cut);
  const prefix = targets.get(server);
  return prefix === undefined ? undefined : cut === -1 ? prefix : prefix + rest.slice(cut);
}
