import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { HaiveError } from '../../domain/errors.ts';
import type { Finding } from '../../domain/findings/index.ts';
import type { JsonObject } from '../../domain/json/read.ts';
import {
  askedServer,
  carried,
  carriedJson,
  carriedPath,
  grantsInPlugin,
  type Home,
  matcherInPlugin,
  secretKeys,
} from '../../domain/migration.ts';
import { checkPluginName } from '../../domain/names.ts';
import { scanPlugin } from '../../domain/safety/index.ts';
import { withDeclaration } from '../../domain/surface/declare.ts';
import { HOOKS_PATH, MANIFEST_PATH, MCP_PATH } from '../../domain/version/file-types.ts';
import { isPrivate } from '../../domain/version/left-out.ts';
import { type Packed, packPlugin, type SourceFile } from '../../domain/version/package.ts';
import type { ClientContext } from '../context.ts';
import { fileAt, type Left, type OwnThing, ownThings } from './own-things.ts';

/** What moves, and how it is called afterwards. */
export interface Moved {
  kind: OwnThing['kind'];
  name: string;
  becomes: string;
}

export interface Migration {
  name: string;
  things: OwnThing[];
  moved: Moved[];
  left: Left[];
  /** The plugin. */
  files: SourceFile[];
  packed: Packed | null;
  /** Options that the client asks each person for. */
  asks: string[];
}

export interface MigrationOptions {
  name?: string | undefined;
  /** Only these kinds, or things by name. */
  only?: readonly string[] | undefined;
  /** Servers whose secrets the client then asks each person for; without it they stay. */
  userConfig?: boolean | undefined;
}

interface Move {
  thing: OwnThing;
  files: SourceFile[];
  hook?: { event: string; group: JsonObject };
  server?: { name: string; value: JsonObject };
  userConfig: Record<string, JsonObject>;
}

/**
 * What of this machine's own commands, agents, skills, hooks and servers would move into a plugin, and what would stay and why. Only reads.
 * @throws HaiveError USAGE in the loose layout, NAME_INVALID, NAME_RESERVED, SETTINGS_INVALID, IO_ERROR
 */
export async function planMigration(ctx: ClientContext, options: MigrationOptions): Promise<Migration> {
  if (ctx.config.plugins.layout === 'loose') {
    throw new HaiveError('USAGE', 'This machine uses the loose layout, where plugins lie among your own things', {
      hint: 'Run `hv config set layout native` and `hv sync` first.',
    });
  }
  const name = options.name ?? defaultName(ctx);
  checkPluginName(name);
  const { things, left } = await ownThings(ctx.machine);
  const wanted = things.filter(
    ({ kind, name: own }) =>
      options.only === undefined || options.only.some((o) => o === own || o === kind || o === `${kind}s`),
  );
  const { claudeDir, home } = ctx.machine.paths;
  const has = (below: string): boolean => isFile(join(claudeDir, ...below.split('/')));
  const servers = wanted.filter((t) => t.kind === 'server');
  const moves: Move[] = [];
  for (const thing of servers) await take(thing, []);
  const names = moves.map((move) => move.thing.name);
  for (const thing of wanted.filter((t) => t.kind !== 'server')) await take(thing, names);

  async function take(thing: OwnThing, moving: readonly string[]): Promise<void> {
    const made = await moveOf(thing, {
      name,
      servers: moving,
      home: { home, claudeDir },
      has,
      asks: options.userConfig === true,
    });
    if ('why' in made) left.push({ kind: thing.kind, name: thing.name, why: made.why });
    else moves.push(made);
  }

  return whole(ctx, name, moves, left);
}

/** Packs what moves; what the packing refuses stays, and the rest is packed again. */
async function whole(ctx: ClientContext, name: string, moves: Move[], left: Left[]): Promise<Migration> {
  const files = pluginFiles(ctx, name, moves);
  const result = (packed: Packed | null): Migration => ({
    name,
    things: moves.map((move) => move.thing),
    moved: moves.map(({ thing }) => ({ kind: thing.kind, name: thing.name, becomes: becomes(name, thing) })),
    left: left.sort((a, b) => (a.kind + a.name < b.kind + b.name ? -1 : 1)),
    files: packed === null ? [] : files,
    packed,
    asks: moves.flatMap((move) => Object.keys(move.userConfig)),
  });
  if (moves.length === 0) return result(null);
  try {
    const maxBytes = ctx.config.plugins.max_plugin_size_mb * 1024 * 1024;
    return result(packPlugin(files, { maxBytes, now: ctx.clock() }));
  } catch (thrown) {
    const why = refusalIn(thrown);
    const stay = moves.filter((move) => why(move) !== undefined);
    if (stay.length === 0) throw thrown;
    const refused = stay.map((m): Left => ({ kind: m.thing.kind, name: m.thing.name, why: why(m) ?? '' }));
    return whole(
      ctx,
      name,
      moves.filter((move) => !stay.includes(move)),
      [...left, ...refused],
    );
  }
}

/** Why packing refused a move; undefined for one that it did not speak of. @throws what is about no single one */
function refusalIn(thrown: unknown): (move: Move) => string | undefined {
  if (!(thrown instanceof HaiveError)) throw thrown;
  const { code, message, details = {} } = thrown;
  if (code === 'PATH_UNSAFE' || code === 'PATH_COLLISION') {
    // Of two that are one on some systems the second stays.
    const place = String(code === 'PATH_UNSAFE' ? details.path : (details.paths as string[])[1]).replace(/\/$/, '');
    const isThere = (path: string): boolean => path === place || path.startsWith(`${place}/`);
    return ({ files }) =>
      files.some((f) => isThere(f.path) || isThere(f.path.normalize('NFC'))) ? message : undefined;
  }
  if (code !== 'COMPONENT_INVALID') throw thrown;
  const errors = ((details.findings ?? []) as Finding[]).filter((f) => f.severity === 'error');
  return (move) =>
    errors.find(
      (e) =>
        move.files.some((f) => f.path === e.file) ||
        (move.hook && e.file === HOOKS_PATH) ||
        (move.server && e.file === MCP_PATH),
    )?.message;
}

interface Frame {
  name: string;
  servers: readonly string[];
  home: Home;
  has: (below: string) => boolean;
  asks: boolean;
}

async function moveOf(thing: OwnThing, frame: Frame): Promise<Move | { why: string }> {
  const { name, servers, home, has } = frame;
  if (thing.kind === 'hook') {
    const done = carriedJson(thing.value, home, has);
    if ('why' in done) return done;
    const group = done.value as JsonObject;
    if (typeof group.matcher === 'string') group.matcher = matcherInPlugin(group.matcher, name, servers);
    return await safe({
      thing,
      files: await carriedFiles(done.files, home),
      hook: { event: thing.event ?? '', group },
      userConfig: {},
    });
  }
  if (thing.kind === 'server') {
    const secrets = secretKeys(thing.value ?? {});
    if (secrets.length > 0 && !frame.asks) {
      return {
        why: `${secrets.map((s) => s.key).join(', ')} holds a secret (--user-config lets the client ask each person for it)`,
      };
    }
    const asked = askedServer(thing.name, thing.value ?? {});
    const done = carriedJson(asked.server, home, has);
    if ('why' in done) return done;
    const server = { name: thing.name, value: done.value as JsonObject };
    return await safe({ thing, files: await carriedFiles(done.files, home), server, userConfig: asked.userConfig });
  }
  const files: SourceFile[] = [];
  const carry: string[] = [];
  for (const file of thing.files) {
    if (!file.path.endsWith('.md')) {
      files.push(file);
      continue;
    }
    const text = file.bytes.toString('utf8');
    // Only in a command does the client put the plugin's folder in.
    const done = carried(text, home, thing.kind === 'command' ? has : () => false);
    if ('why' in done) return done;
    carry.push(...done.files);
    files.push({ ...file, bytes: Buffer.from(grantsInPlugin(done.text, name, servers)) });
  }
  return await safe({ thing, files: [...files, ...(await carriedFiles(carry, home))], userConfig: {} });
}

async function carriedFiles(below: readonly string[], { claudeDir }: Home): Promise<SourceFile[]> {
  const files = await Promise.all([...new Set(below)].map((path) => fileAt(claudeDir, path)));
  return files.map((file) => ({ ...file, path: carriedPath(file.path) }));
}

/** A secret leaves this machine in no file; what packing would leave out is not missed afterwards. */
async function safe(move: Move): Promise<Move | { why: string }> {
  const own = move.files.find(isPrivate);
  if (own !== undefined) return { why: `${own.path} is a private file, which no plugin ships` };
  const value = move.hook?.group ?? move.server?.value;
  const all =
    value === undefined
      ? move.files
      : [...move.files, { path: 'value.json', bytes: Buffer.from(JSON.stringify(value, null, 1)), executable: false }];
  const secret = (await scanPlugin(all)).find((finding) => finding.code === 'SECRET_FOUND');
  if (secret === undefined) return move;
  const where = secret.file === 'value.json' ? 'it' : `${secret.file}${secret.line === null ? '' : `:${secret.line}`}`;
  return { why: `${where} holds what looks like a secret` };
}

function pluginFiles(ctx: ClientContext, name: string, moves: readonly Move[]): SourceFile[] {
  const files = new Map<string, SourceFile>();
  const put = (path: string, value: unknown): void => {
    files.set(path, { path, bytes: Buffer.from(`${JSON.stringify(value, null, 2)}\n`), executable: false });
  };
  const kinds = [...new Set(moves.map((move) => `${move.thing.kind}s`))];
  const from = ctx.config.machine?.name ?? 'this machine';
  const userConfig = Object.assign({}, ...moves.map((move) => move.userConfig)) as Record<string, JsonObject>;
  put(MANIFEST_PATH, {
    name,
    version: '1.0.0',
    description: `The ${kinds.join(', ').replace(/, (?=[^,]*$)/, ' and ')} that ${from} had of its own`,
    ...(Object.keys(userConfig).length === 0 ? {} : { userConfig }),
    // People go on typing /COMMAND.
    ...(kinds.includes('commands') ? { haivemind: { global_commands: true } } : {}),
  });
  for (const file of moves.flatMap((move) => move.files)) files.set(file.path, file);
  const hooks: Record<string, JsonObject[]> = {};
  const mcpServers: Record<string, JsonObject> = {};
  for (const { hook, server } of moves) {
    if (hook !== undefined) hooks[hook.event] = [...(hooks[hook.event] ?? []), hook.group];
    if (server !== undefined) mcpServers[server.name] = server.value;
  }
  if (Object.keys(hooks).length > 0) put(HOOKS_PATH, { hooks });
  if (Object.keys(mcpServers).length > 0) put(MCP_PATH, { mcpServers });
  return withDeclaration([...files.values()]).sort((a, b) => (a.path < b.path ? -1 : 1));
}

function becomes(plugin: string, { kind, name }: OwnThing): string {
  if (kind === 'command') return `/${name}, /${plugin}:${name}`;
  if (kind === 'hook') return 'the same';
  return kind === 'server' ? `mcp__plugin_${plugin}_${name}__…` : `${plugin}:${name}`;
}

function defaultName(ctx: ClientContext): string {
  const plain = (ctx.config.machine?.name ?? '').toLowerCase().replace(/[^a-z0-9]+/g, '-');
  return `${plain.replace(/^-+|-+$/g, '') || 'my'}-own`;
}

function isFile(path: string): boolean {
  try {
    return lstatSync(path).isFile();
  } catch {
    return false;
  }
}
