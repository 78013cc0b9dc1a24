import { isJsonObject, type JsonObject, readJson } from '../../domain/json/read.ts';
import { MCP_PATH, namedPaths } from '../../domain/version/file-types.ts';
import { getKeyText, parseSettings, pointer, removeKey, setKey } from '../claude/settings-edit.ts';
import { readText } from '../files/text-file.ts';
import type { LooseServer } from '../receipts/index.ts';
import type { LooseContext, LooseInstaller, Owned, TextTarget } from './installer.ts';
import { leadsInto, mapStrings, replaceRoot } from './layout-text.ts';
import { settleClash } from './names.ts';
import { settledText } from './user-config.ts';

const SERVERS = 'mcpServers';

/** A plugin's MCP servers among the user's in ~/.claude.json: tools are `mcp__SERVER__TOOL`. */
export const MCPServerInstaller: LooseInstaller<LooseServer, TextTarget, string> = {
  plan: planServers,
  apply: applyServers,
  undo: (target, entries) => applyServers(target, entries, []),
};

async function declaredServers({ source }: LooseContext): Promise<[string, JsonObject][]> {
  const found = new Map<string, JsonObject>();
  const add = (block: unknown): void => {
    if (!isJsonObject(block)) return;
    const inner = isJsonObject(block.mcpServers) ? block.mcpServers : block;
    for (const [name, value] of Object.entries(inner)) if (isJsonObject(value)) found.set(name, value);
  };
  const { mcpServers: declared } = source.manifest;
  const paths = [MCP_PATH, ...(isJsonObject(declared) ? [] : namedPaths(declared))];
  for (const path of new Set(paths)) add(readJson((await source.read(path)) ?? undefined));
  for (const block of Array.isArray(declared) ? declared : [declared]) add(block);
  return [...found];
}

async function planServers(context: LooseContext): Promise<LooseServer[]> {
  const { machine, source, before, others } = context;
  const declared = await declaredServers(context);
  if (declared.length === 0) return [];
  const text = await readText(machine.paths.claudeJson);
  const all = text === null ? {} : parseSettings(text, machine.paths.claudeJson)[SERVERS];
  const there = Object.entries(isJsonObject(all) ? all : {});
  const theirs = new Set(others.flatMap((other) => other.servers.map((server) => server.name)));
  const names = new Set([
    // One that leads into our tree is ours, though the receipts of it were lost.
    ...there.filter(([, value]) => !leadsInto(value, source.root)).map(([name]) => name),
    ...theirs,
  ]);
  const ours = new Set(before?.servers.map((server) => server.name));
  const servers: LooseServer[] = [];
  for (const [name, block] of declared) {
    const isFree = async (wanted: string): Promise<boolean> => ours.has(wanted) || !names.has(wanted);
    const other = `${name}-${source.plugin}`;
    const at = context.lost
      ? nameHere(new Map(there), [name, other], source.root)
      : ours.has(other)
        ? other
        : (await isFree(name))
          ? name
          : null;
    const final = at ?? (await settleClash(context, 'server', name, other, isFree, theirs.has(name)));
    names.add(final);
    context.servers.set(name, final);
    const value = mapStrings(block, (item) => settledText(item, source)) as JsonObject;
    const reads = source.wantsRoot || JSON.stringify(value).includes('CLAUDE_PLUGIN_ROOT');
    if (reads && typeof value.command === 'string') {
      value.env = { CLAUDE_PLUGIN_ROOT: source.root, ...(isJsonObject(value.env) ? value.env : {}) };
    }
    servers.push({ name: final, value });
  }
  return servers;
}

/** Under which of its names a server lies here, as far as that can be told. */
function nameHere(there: ReadonlyMap<string, unknown>, names: readonly [string, string], root: string): string {
  const leading = names.find((name) => leadsInto(there.get(name), root));
  return leading ?? (there.has(names[1]) ? names[1] : names[0]);
}

/** A server that a person changed is kept as it is through updates, leading to the new tree; removal takes it. */
function applyServers(
  { text, notes, where }: TextTarget,
  before: Owned<LooseServer>[],
  after: Owned<LooseServer>[],
): string {
  const old = new Map(
    before.flatMap((o) => o.entries.map((e) => [e.name, { ...e, root: o.root, enabled: o.enabled }])),
  );
  const wanted = new Set(after.flatMap((o) => o.entries.map((e) => e.name)));
  let now = text;
  for (const [name, { value, root }] of old) {
    if (wanted.has(name)) continue;
    const there = getKeyText(now, [SERVERS, name], where);
    const isOurs = there === undefined || same(JSON.parse(there), value) || leadsInto(JSON.parse(there), root);
    if (isOurs) now = removeKey(now, [SERVERS, name], notes, where);
  }
  for (const { root, entries, enabled } of after) {
    for (const { name, value } of entries) {
      const was = old.get(name);
      if (was !== undefined && same(was.value, value) && was.enabled === enabled) continue;
      const path = [SERVERS, name];
      const there = getKeyText(now, path, where);
      // Gone though we had written it: the user took it away, and only being asked brings it back.
      if (there === undefined && was !== undefined && was.enabled === enabled) continue;
      const edited = there !== undefined && was !== undefined && !same(JSON.parse(there), was.value);
      const moved = edited ? mapStrings(JSON.parse(there), (item) => replaceRoot(item, was.root, root)) : value;
      if (there !== undefined && was === undefined && !same(JSON.parse(there), value)) continue;
      now = setKey(now, path, moved, notes, where);
      delete notes.replaced[pointer(path)];
    }
  }
  return now;
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
