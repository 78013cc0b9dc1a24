import { HaiveError } from './errors.ts';
import { editJson } from './json/edit.ts';
import { isJsonObject, type JsonObject, readAnyJson, readWholeJson } from './json/read.ts';
import { foldPath } from './safe-path.ts';
import { declaredPermissions } from './surface/change.ts';
import type { Surface } from './surface/index.ts';
import { hookModules, programParts, programPaths, workflowScripts } from './surface/program-places.ts';
import { HOOKS_PATH, MANIFEST_PATH, MCP_PATH, namedPaths } from './version/file-types.ts';
import { parseFrontMatter } from './version/front-matter.ts';

/**
 * Starts a plugin's programs through a launcher that confines them: the command lines in its hooks and servers are rewritten where
 * the tree is laid out, and back again where a person's edits are looked for. What the author wrote stays what was published.
 */

/** What programs of a plugin may reach. Travels as JSON in the command line that starts them. */
export interface Confinement {
  /** What they may write, and read in places that are kept from them; `read:` in front only reads. */
  files: string[];
  hosts: string[];
  /** Names of variables that they are given, `*` as wildcard. */
  environment: string[];
  /** What becomes of them where they cannot be confined when they start. */
  fallback: 'refuse' | 'warn';
}

/** What a plugin's programs get: what its manifest declares, or else what its files show. */
export function confinementFor(manifest: JsonObject, surface: Surface, fallback: Confinement['fallback']): Confinement {
  const { files, hosts, environment } = declaredPermissions(manifest) ?? surface;
  return { files: files ?? [], hosts: hosts ?? [], environment: environment ?? [], fallback };
}

/** How a rewritten command line is told from others: by the launcher's own file name. */
export const LAUNCHER = 'sandbox.mjs';
const PROGRAM = 'node';
const ROOT = '$' + '{CLAUDE_PLUGIN_ROOT}';
/** Behind this stands a line for a shell, behind the other a program and its arguments. */
const LINE = '--shell';
const WORDS = '--';

/** Files whose command lines can be rewritten, by path: default places, and those that the manifest names. */
function programFiles(manifest: JsonObject): string[] {
  return [...new Set([MANIFEST_PATH, HOOKS_PATH, MCP_PATH, ...named(manifest)])];
}

const named = (manifest: JsonObject): string[] =>
  [manifest.hooks, manifest.mcpServers].flatMap((value) => (isJsonObject(value) ? [] : namedPaths(value)));

/**
 * The text with every program of hooks and servers started by `launcher`; the same text where there is none.
 * @throws HaiveError POLICY_REFUSED when a program stays that was not rewritten
 */
export function confineText(text: string, launcher: string, confinement: Confinement): string {
  const profile = JSON.stringify(confinement);
  let now = releaseText(text);
  const programs = programsIn(now);
  for (const { at, value } of programs) {
    const { command, args } = value as { command: string; args?: unknown };
    const words = Array.isArray(args) ? args.map(String) : [];
    const rest = args === undefined && isHook(at) ? [LINE, command] : [WORDS, command, ...words];
    now = editJson(now, [...at, 'command'], PROGRAM);
    now = editJson(now, [...at, 'args'], [launcher, ROOT, profile, ...rest]);
  }
  if (programs.length === 0 || programsIn(now).every(({ value }) => isConfined(value))) return now;
  // A key stands twice: the client reads the last, the editor changed the first. Written anew there is only one.
  const anew = JSON.stringify(readAnyJson(Buffer.from(text)), null, 2);
  if (anew === text) throw new HaiveError('POLICY_REFUSED', 'Its programs cannot be started through the launcher');
  return confineText(anew, launcher, confinement);
}

const isConfined = ({ command, args }: JsonObject): boolean =>
  command === PROGRAM && Array.isArray(args) && args.length > 4 && String(args[0]).endsWith(`/${LAUNCHER}`);

/** The text as its author or the person who edited it would have written it. */
export function releaseText(text: string): string {
  let now = text;
  for (const { at, value } of programsIn(text)) {
    if (!isConfined(value)) continue;
    const args = value.args as unknown[];
    const [command, ...words] = args.slice(4).map(String);
    now = editJson(now, [...at, 'command'], command);
    now = editJson(now, [...at, 'args'], args[3] === LINE || words.length === 0 ? undefined : words);
  }
  return now;
}

interface Program {
  at: (string | number)[];
  value: JsonObject;
}

const isHook = (at: Program['at']): boolean => at.at(-2) === 'hooks';

/** Every hook of kind `command` and every stdio server of a file, with its place. */
function programsIn(text: string): Program[] {
  const root = readAnyJson(Buffer.from(text));
  const found: Program[] = [];
  for (const [at, value] of blocks(root, 'hooks')) addHooks(found, at, value);
  for (const [at, value] of blocks(root, 'mcpServers')) addServers(found, at, value);
  return found;
}

/** Where a file may hold hooks or servers: as the whole, below their key, in each item of a list, and below the key once more. */
function* blocks(root: unknown, key: 'hooks' | 'mcpServers'): Generator<Block> {
  const below = isJsonObject(root) ? root[key] : undefined;
  const whole: Block = typeof below === 'object' && below !== null ? [[key], below] : [[], root];
  const [place, list] = whole;
  const items = Array.isArray(list) ? list.map((item, i): Block => [[...place, i], item]) : [];
  for (const [at, value] of [whole, ...items]) {
    yield [at, value];
    if (at.length > 0 && isJsonObject(value)) yield [[...at, key], value[key]];
  }
}

type Block = [at: Program['at'], value: unknown];

function addHooks(found: Program[], at: Program['at'], events: unknown): void {
  for (const [event, groups] of isJsonObject(events) ? Object.entries(events) : []) {
    for (const [i, group] of (Array.isArray(groups) ? groups : []).entries()) {
      const handlers = isJsonObject(group) && Array.isArray(group.hooks) ? group.hooks : [];
      for (const [j, handler] of handlers.entries()) {
        if (isJsonObject(handler) && isCommand(handler) && (handler.type ?? 'command') === 'command')
          found.push({ at: [...at, event, i, 'hooks', j], value: handler });
      }
    }
  }
}

function addServers(found: Program[], at: Program['at'], servers: unknown): void {
  const list = Array.isArray(servers) ? [...servers.entries()] : undefined;
  for (const [name, server] of list ?? (isJsonObject(servers) ? Object.entries(servers) : [])) {
    if (isJsonObject(server) && isCommand(server)) found.push({ at: [...at, name], value: server });
  }
}

const isCommand = (value: JsonObject): boolean => typeof value.command === 'string' && value.command.trim() !== '';

type Files = readonly { path: string; bytes: Uint8Array }[];

/** The files that the client reads programs from, in any spelling that some disk takes for the same. */
function configsOf(files: Files): { manifest: JsonObject; isConfig: (path: string) => boolean } {
  const manifest = readWholeJson(files.find((f) => f.path === MANIFEST_PATH)?.bytes) ?? {};
  const paths = new Set(programFiles(manifest).map(foldPath));
  return { manifest, isConfig: (path) => paths.has(foldPath(path)) };
}

/**
 * What of a plugin starts programs that the launcher does not reach, in words: hooks and servers of a text's front matter, language
 * servers, monitors, workflows, modules of hooks, a status line, helpers that make headers. Commands that the client's own tools run are none of these.
 */
export function beyondLauncher(files: Files): string[] {
  const { manifest, isConfig } = configsOf(files);
  const found = [...programParts(manifest).keys()].map((key) => `${key} of plugin.json`);
  for (const path of named(manifest)) {
    const file = files.find((f) => f.path === path);
    if (readAnyJson(file?.bytes) === undefined) found.push(`${path}, which is no JSON file of the plugin`);
  }
  const others = programPaths(manifest).map(foldPath);
  const isWorkflow = workflowScripts(manifest);
  for (const { path, bytes } of files) {
    const text = Buffer.from(bytes).toString('utf8');
    if (others.includes(foldPath(path)) || isWorkflow(path)) found.push(path);
    if (isConfig(path) && text.includes('"headersHelper"')) found.push(`a headersHelper in ${path}`);
    if (isConfig(path) && hookModules(path, readAnyJson(bytes)).length > 0) found.push(`the module of ${path}`);
    if (foldPath(path).endsWith('.md') && bringsPrograms(text)) found.push(`the front matter of ${path}`);
  }
  return found;
}

function bringsPrograms(text: string): boolean {
  try {
    const { hooks, mcpServers } = parseFrontMatter(text.replaceAll('\r\n', '\n')).data;
    return hooks !== undefined || [mcpServers].flat().some(isJsonObject);
  } catch {
    return false;
  }
}

/** Whether anything of a plugin is started by its hooks or as its servers. */
export function startsPrograms(files: Files): boolean {
  const { isConfig } = configsOf(files);
  return files.some(({ path, bytes }) => isConfig(path) && programsIn(Buffer.from(bytes).toString('utf8')).length > 0);
}

/** Whether the command lines of this file are rewritten. */
export function isProgramFile(manifest: JsonObject, path: string): boolean {
  const folded = foldPath(path);
  return programFiles(manifest).some((known) => foldPath(known) === folded);
}
