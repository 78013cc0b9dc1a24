import { isJsonObject, type JsonObject, readAnyJson } from '../json/read.ts';
import { foldPath } from '../safe-path.ts';
import { classifier, HOOKS_PATH, MANIFEST_PATH, MCP_PATH, namedPaths } from '../version/file-types.ts';
import { parseFrontMatter } from '../version/front-matter.ts';
import { hostOf, inlineCommands, isCode, variablesIn } from './parts.ts';
import { hookModules, programParts, programPaths, workflowScripts } from './program-places.ts';

/**
 * What a plugin can do on a machine, computed from its files alone: what nobody has to be asked for once it is installed.
 * Every list is sorted and without duplicates.
 */
export interface Surface {
  /** Tools that its commands and skills may use without asking (`allowed-tools`). */
  tools: string[];
  /** Hook events with their matcher: `PreToolUse(Bash)`, `SessionStart`; `module(PATH)` for a script that says itself what it hooks. */
  hook_events: string[];
  /** Command lines of hooks, servers, monitors and texts as the author wrote them; programs of `bin/`, workflows, hook modules. */
  commands: string[];
  /** Hosts of remote servers and of hooks that post. A host made of variables stands as it is written. */
  hosts: string[];
  /** Names of MCP and language servers. */
  mcp_servers: string[];
  /** Variables of the user's environment that servers and hooks are given, or that they set. */
  environment: string[];
  /** What its programs may write where they are confined; only the declaration says so. */
  files: string[];
}

export const SURFACE_KEYS = [
  'tools',
  'hook_events',
  'commands',
  'hosts',
  'mcp_servers',
  'environment',
  'files',
] as const;
export type SurfaceKey = (typeof SURFACE_KEYS)[number];

/** A surface with nothing in it. */
export const NO_SURFACE: Surface = Object.freeze({
  tools: [],
  hook_events: [],
  commands: [],
  hosts: [],
  mcp_servers: [],
  environment: [],
  files: [],
});

interface SurfaceFile {
  path: string;
  bytes: Uint8Array;
  executable?: boolean;
}

type Sets = Record<SurfaceKey, Set<string>>;

/** Whether a file's bytes can say anything of a surface: the client reads components from no others. */
export function holdsSurface(path: string): boolean {
  return /\.(md|json)$/.test(foldPath(path));
}

const TEXT_KEYS = ['commands', 'agents', 'skills'];

/**
 * The surface of a plugin's files. Never throws: JSON and text that cannot be read grant nothing, because the client cannot read
 * them either. Paths count in any spelling that some file system takes for the same.
 */
export function computeSurface(files: readonly SurfaceFile[]): Surface {
  const byPath = new Map(files.map((file) => [foldPath(file.path), file.bytes]));
  const read = (path: string): unknown => (holdsSurface(path) ? readAnyJson(byPath.get(foldPath(path))) : undefined);
  const whole = read(MANIFEST_PATH);
  const manifest = isJsonObject(whole) ? whole : {};
  const sets = Object.fromEntries(SURFACE_KEYS.map((key) => [key, new Set<string>()])) as Sets;
  addHookParts(sets, manifest, read);
  addServerParts(sets, manifest, read);
  addBundles(sets, manifest.mcpServers);
  for (const part of programParts(manifest).values()) addPrograms(sets, part);
  for (const path of programPaths(manifest)) addPrograms(sets, read(path));
  for (const name of isJsonObject(manifest.lspServers) ? Object.keys(manifest.lspServers) : [])
    sets.mcp_servers.add(name);
  for (const name of isJsonObject(manifest.binaries) ? Object.keys(manifest.binaries) : [])
    sets.commands.add(`bin/${name}`);
  addTexts(sets, manifest, files);
  const isWorkflow = workflowScripts(manifest);
  for (const { path } of files) {
    if (foldPath(path).startsWith('bin/') || isWorkflow(path)) sets.commands.add(path);
  }
  for (const scope of declaredFiles(manifest)) sets.files.add(scope);
  return Object.fromEntries(SURFACE_KEYS.map((key) => [key, [...sets[key]].sort()])) as unknown as Surface;
}

function declaredFiles(manifest: JsonObject): string[] {
  const { permissions } = isJsonObject(manifest.haivemind) ? manifest.haivemind : {};
  const files = isJsonObject(permissions) ? permissions.files : undefined;
  return Array.isArray(files) ? files.filter((scope): scope is string => typeof scope === 'string') : [];
}

/** Files whose bytes run or may run, path by path: what changes in them changes what the same command line does. */
export function codeFiles<F extends { path: string; executable: boolean }>(files: readonly F[]): F[] {
  return files.filter((file) => isCode(file.path, file.executable));
}

/**
 * What tells one state of a plugin's code from another: the sha256 of each of its `codeFiles`, and what the manifest says of each binary that
 * the client fetches.
 */
export function codeOf(
  files: readonly { path: string; sha256: string; executable: boolean }[],
  { binaries }: JsonObject,
): Record<string, string> {
  const fetched = isJsonObject(binaries) ? Object.entries(binaries) : [];
  return Object.fromEntries([
    ...codeFiles(files).map((f) => [f.path, f.sha256]),
    ...fetched.map(([name, binary]) => [`${MANIFEST_PATH} binaries.${name}`, JSON.stringify(binary)]),
  ]);
}

type Read = (path: string) => unknown;

/** The files of a component: the default one, and those that the manifest names. */
function filesOf(declared: unknown, standard: string): Set<string> {
  return new Set([standard, ...(isJsonObject(declared) ? [] : namedPaths(declared))]);
}

/** What stands in the manifest itself: the whole, or each item of a list. */
const inlineParts = (declared: unknown): JsonObject[] => [declared].flat().filter(isJsonObject);

function addHookParts(sets: Sets, manifest: JsonObject, read: Read): void {
  for (const path of filesOf(manifest.hooks, HOOKS_PATH)) {
    const file = read(path);
    addHookPart(sets, file);
    for (const module of hookModules(path, file)) {
      sets.commands.add(module);
      sets.hook_events.add(`module(${module})`);
    }
  }
  for (const part of inlineParts(manifest.hooks)) addHookPart(sets, part);
}

/** Events right there or below their key: in the manifest the client goes by the first, in a file by the second. */
function addHookPart(sets: Sets, part: unknown): void {
  addHooks(sets, part);
  if (isJsonObject(part)) addHooks(sets, part.hooks);
}

function addServerParts(sets: Sets, manifest: JsonObject, read: Read): void {
  for (const path of filesOf(manifest.mcpServers, MCP_PATH)) {
    const file = read(path);
    const below = isJsonObject(file) ? file.mcpServers : undefined;
    // What is no map of servers there, the client passes over and takes the whole file for one.
    addServers(sets, typeof below === 'object' && below !== null ? below : file);
  }
  for (const part of inlineParts(manifest.mcpServers)) addServers(sets, part);
}

function addHooks(sets: Sets, events: unknown): void {
  if (!isJsonObject(events)) return;
  for (const [event, entries] of Object.entries(events)) {
    for (const entry of Array.isArray(entries) ? entries : []) {
      if (!isJsonObject(entry) || !Array.isArray(entry.hooks) || entry.hooks.length === 0) continue;
      const matcher = typeof entry.matcher === 'string' && entry.matcher !== '' ? entry.matcher : '*';
      sets.hook_events.add(matcher === '*' ? event : `${event}(${matcher})`);
      addPrograms(sets, entry.hooks);
    }
  }
}

/** A list counts as a map by number: so the client names the servers of one. */
function addServers(sets: Sets, servers: unknown): void {
  if (typeof servers !== 'object' || servers === null) return;
  for (const [name, server] of Object.entries(servers)) {
    if (!isJsonObject(server)) continue;
    sets.mcp_servers.add(name);
    addPrograms(sets, server);
  }
}

/** Servers packed into one file, here or at an address: what they run cannot be read, so the bundle itself is what is named. */
function addBundles(sets: Sets, declared: unknown): void {
  for (const path of isJsonObject(declared) ? [] : namedPaths(declared)) {
    const isRemote = /^[a-z][a-z0-9+.-]*:\/\//i.test(path);
    if (!isRemote && holdsSurface(path)) continue;
    sets.mcp_servers.add(path);
    if (isRemote) sets.hosts.add(hostOf(path));
    else sets.commands.add(path);
  }
}

/** Every command line, address and variable inside a JSON value, wherever it stands. */
function addPrograms(sets: Sets, value: unknown, depth = 0): void {
  if (depth > 32) return;
  if (Array.isArray(value)) for (const item of value) addPrograms(sets, item, depth + 1);
  if (!isJsonObject(value)) return;
  for (const key of ['command', 'headersHelper']) {
    const command = value[key];
    if (typeof command !== 'string' || command.trim() === '') continue;
    const args = Array.isArray(value.args) ? value.args.filter((a): a is string => typeof a === 'string') : [];
    addCommand(sets, key === 'command' ? [command, ...args].join(' ') : command);
  }
  for (const key of ['url', 'authServerMetadataUrl']) {
    const address = value[key];
    if (typeof address === 'string') sets.hosts.add(hostOf(address));
  }
  for (const key of ['env', 'headers', 'url', 'cwd', 'initializationOptions', 'settings', 'workspaceFolder'])
    for (const name of variablesIn(JSON.stringify(value[key] ?? ''))) sets.environment.add(name);
  if (isJsonObject(value.env)) for (const name of Object.keys(value.env)) sets.environment.add(name);
  for (const name of Array.isArray(value.allowedEnvVars) ? value.allowedEnvVars : [])
    if (typeof name === 'string') sets.environment.add(name);
  for (const [key, inner] of Object.entries(value))
    if (!['command', 'args', 'env', 'headers', 'url'].includes(key)) addPrograms(sets, inner, depth + 1);
}

function addCommand(sets: Sets, line: string): void {
  sets.commands.add(line.replace(/\s+/g, ' ').trim());
  for (const name of variablesIn(line)) sets.environment.add(name);
}

/** Commands, agents and skills: what their front matter grants, hooks it brings, and commands in their text. */
function addTexts(sets: Sets, manifest: JsonObject, files: readonly SurfaceFile[]): void {
  for (const command of isJsonObject(manifest.commands) ? Object.values(manifest.commands) : []) {
    if (!isJsonObject(command)) continue;
    for (const tool of toolsOf(command['allowed-tools'] ?? command.allowedTools)) sets.tools.add(tool);
    for (const line of typeof command.content === 'string' ? inlineCommands(command.content) : [])
      addCommand(sets, line);
  }
  const named = Object.fromEntries(TEXT_KEYS.map((key) => [key, namedPaths(manifest[key]).map(foldPath)]));
  const typeOf = classifier(named);
  for (const file of files) {
    const path = foldPath(file.path);
    if (!path.endsWith('.md')) continue;
    const byPlace = typeOf(path);
    const isSkill = path === 'skill.md' || (named.skills?.includes('') && path.endsWith('/skill.md'));
    // The plugin's own folder may be named: then its texts lie in no place of commands or skills.
    const type = isSkill || (byPlace === 'other' && named.commands?.includes('')) ? 'skill' : byPlace;
    if (type !== 'command' && type !== 'agent' && type !== 'skill') continue;
    const text = Buffer.from(file.bytes).toString('utf8').replaceAll('\r\n', '\n');
    let data: JsonObject = {};
    try {
      data = parseFrontMatter(text).data;
    } catch {
      // The client cannot read it either; its text still counts.
    }
    if (type !== 'agent') for (const tool of toolsOf(data['allowed-tools'] ?? data.allowedTools)) sets.tools.add(tool);
    addHooks(sets, data.hooks);
    const servers = [data.mcpServers].flat();
    for (const server of servers) if (isJsonObject(server)) addServers(sets, server);
    for (const line of inlineCommands(text)) addCommand(sets, line);
  }
}

/** `Bash(git:*), Read` or a list: a comma inside brackets does not part. */
function toolsOf(value: unknown): string[] {
  const items = Array.isArray(value) ? value.filter((v): v is string => typeof v === 'string') : [];
  const text = typeof value === 'string' ? [value] : items;
  return text.flatMap((t) => t.match(/[^\s,()]+(?:\([^)]*\))?/g) ?? []);
}
