import { join } from 'node:path';
import { readDependencies } from '../../domain/desired/dependencies.ts';
import { MANIFEST } from '../change/render.ts';
import { readFileOrNull } from '../files/file-port.ts';
import type { Machine } from '../machine.ts';
import { readReceipts } from '../receipts/index.ts';

/** Which MCP servers Claude Code has on this machine, against those that installed plugins say they need. */

const SERVERS = '.mcp.json';

type Json = Record<string, unknown>;
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The object in a file; empty where there is none, or it holds something else: that is said elsewhere. */
async function readObject(path: string): Promise<Json> {
  const bytes = await readFileOrNull(path).catch(() => null);
  try {
    const value: unknown = JSON.parse(bytes?.toString('utf8') ?? '{}');
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

function namesIn(block: Json): string[] {
  return Object.keys(isObject(block.mcpServers) ? block.mcpServers : block);
}

/** Servers that the plugin in a folder brings: of `.mcp.json`, and of what its manifest names. */
async function broughtBy(dir: string): Promise<string[]> {
  const { mcpServers } = await readObject(join(dir, MANIFEST));
  const names = namesIn(await readObject(join(dir, SERVERS)));
  for (const entry of [mcpServers].flat()) {
    if (isObject(entry)) names.push(...namesIn(entry));
    else if (typeof entry === 'string') names.push(...namesIn(await readObject(join(dir, entry))));
  }
  return names;
}

/** Folders of the plugins that the client has installed and that are not switched off, ours and others'. */
async function pluginFolders(m: Machine): Promise<string[]> {
  const { paths } = m;
  const [{ plugins }, { enabledPlugins }] = await Promise.all([
    readObject(paths.installedPlugins),
    readObject(paths.settings),
  ]);
  const off = (key: string): boolean => isObject(enabledPlugins) && enabledPlugins[key] === false;
  const rows = Object.entries(isObject(plugins) ? plugins : {}).filter(([key]) => !off(key));
  const folders = rows.flatMap(([, row]) => [row].flat()).flatMap((row) => (isObject(row) ? [row.installPath] : []));
  const { plugins: ours } = await readReceipts(m);
  const mine = Object.values(ours).flatMap((receipt) =>
    off(`${receipt.name}@collective`) || receipt.off ? [] : [join(paths.root, receipt.dir)],
  );
  return [...new Set([...folders.filter((path): path is string => typeof path === 'string'), ...mine])];
}

/** Names of the servers that the client starts in any project here: the user's own and those of plugins. */
async function configuredServers(m: Machine): Promise<Set<string>> {
  const { mcpServers } = await readObject(m.paths.claudeJson);
  const names = new Set(isObject(mcpServers) ? Object.keys(mcpServers) : []);
  for (const folder of await pluginFolders(m)) for (const name of await broughtBy(folder)) names.add(name);
  return names;
}

/**
 * Servers that installed plugins need (`dependencies.mcp_servers`) and that this machine's client does not have.
 * @returns by plugin; plugins that lack nothing are not in it
 */
export async function missingServers(m: Machine): Promise<Map<string, string[]>> {
  const missing = new Map<string, string[]>();
  let here: Set<string> | undefined;
  for (const { name, dir } of Object.values((await readReceipts(m)).plugins)) {
    const needs = neededBy(await readObject(join(m.paths.root, dir, MANIFEST)));
    if (needs.length === 0) continue;
    here ??= await configuredServers(m);
    const lacks = needs.filter((server) => !here?.has(server));
    if (lacks.length > 0) missing.set(name, lacks);
  }
  return missing;
}

function neededBy(manifest: Json): string[] {
  try {
    return readDependencies(manifest).mcpServers;
  } catch {
    return [];
  }
}

/** What a person is told of it. */
export function missingServerText(name: string, servers: readonly string[]): string {
  const which = servers.length === 1 ? `the MCP server ${servers[0]}` : `the MCP servers ${servers.join(', ')}`;
  return `${name} needs ${which}, which Claude Code does not have here; add it with \`claude mcp add\`, or install the plugin that brings it`;
}
