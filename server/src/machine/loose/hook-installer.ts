import { toolNamePart } from '../../domain/client-facts.ts';
import { isJsonObject, type JsonObject, readJson } from '../../domain/json/read.ts';
import { CORE } from '../../domain/names.ts';
import { HOOKS_PATH, namedPaths } from '../../domain/version/file-types.ts';
import { addElement, getElements, parseSettings, pointer, removeElement } from '../claude/settings-edit.ts';
import { readOurs } from '../files/text-file.ts';
import type { LooseHook } from '../receipts/index.ts';
import type { LooseContext, LooseInstaller, Owned, TextTarget } from './installer.ts';
import { leadsInto, mapStrings, replaceRoot } from './layout-text.ts';
import { refuse } from './supported.ts';
import { settledText } from './user-config.ts';

const HOOKS = 'hooks';

/** A plugin's hooks among the user's in settings.json. */
export const HookInstaller: LooseInstaller<LooseHook, TextTarget, string> = {
  plan: planHooks,
  apply: applyHooks,
  undo: (target, entries) => applyHooks(target, entries, []),
};

async function planHooks(context: LooseContext): Promise<LooseHook[]> {
  const { source } = context;
  const declared = source.manifest.hooks;
  const blocks: unknown[] = [];
  for (const path of new Set([HOOKS_PATH, ...(isJsonObject(declared) ? [] : namedPaths(declared))])) {
    blocks.push(readJson((await source.read(path)) ?? undefined)?.hooks);
  }
  for (const block of Array.isArray(declared) ? declared : [declared]) {
    blocks.push(isJsonObject(block) && isJsonObject(block.hooks) ? block.hooks : block);
  }
  const hooks = groupsOf(blocks).map(({ event, group }) => ({ event, group: settled(group, context) }));
  return context.lost ? [...hooks, ...(await furtherHooks(context, hooks))] : hooks;
}

function groupsOf(blocks: readonly unknown[]): { event: string; group: JsonObject }[] {
  return blocks
    .filter(isJsonObject)
    .flatMap((events) =>
      Object.entries(events).flatMap(([event, groups]) =>
        (Array.isArray(groups) ? groups : []).filter(isJsonObject).map((group) => ({ event, group })),
      ),
    );
}

/** Groups in settings.json that lead into the tree and are none of these, nor one of these edited: an earlier program wrote them. */
async function furtherHooks({ machine, source }: LooseContext, hooks: readonly LooseHook[]): Promise<LooseHook[]> {
  const where = machine.paths.settings;
  const text = await readOurs(where);
  if (text === null) return [];
  const known = new Set(
    hooks.flatMap(({ event, group }) => commandsOf(group).map((command) => keyOf({ event, group: command }))),
  );
  return groupsOf([parseSettings(text, where)[HOOKS]]).filter(
    ({ event, group }) =>
      leadsInto(group, source.root) &&
      !commandsOf(group).some((command) => known.has(keyOf({ event, group: command }))),
  );
}

/** A server that hooks speak of, as the client calls it inside a plugin, and its name here. */
type Named = { plugin: string; from: string; to: string };

/** Any plugin may use the core's. */
const CORE_SERVER: Named = { plugin: CORE, from: 'haivemind', to: 'haivemind' };

/** A group as it must stand outside a plugin: folder, servers and tools by the names they have there. */
function settled(group: JsonObject, { source, servers }: LooseContext): JsonObject {
  const own = [...servers].map(([from, to]): Named => ({ plugin: source.plugin, from, to }));
  const named = [...own, CORE_SERVER];
  const tools = named.map(({ plugin, from, to }): [string, string] => [
    `mcp__plugin_${toolNamePart(plugin)}_${toolNamePart(from)}__`,
    `mcp__${toolNamePart(to)}__`,
  ]);
  const text = (item: string): string =>
    tools.reduce((now, [from, to]) => now.replaceAll(from, to), settledText(item, source));
  const whole = mapStrings(group, text) as JsonObject;
  const handlers = Array.isArray(whole.hooks) ? whole.hooks.filter(isJsonObject) : [];
  for (const handler of handlers) {
    if (handler.type === 'mcp_tool') {
      const to = named.find(({ plugin, from }) => handler.server === `plugin:${plugin}:${from}`)?.to;
      if (to !== undefined) handler.server = to;
    } else if (typeof handler.command === 'string') {
      const reads = JSON.stringify([handler.command, handler.args]).includes('CLAUDE_PLUGIN_ROOT');
      if (!(reads || source.wantsRoot)) continue;
      const given = giveRoot(handler, handler.command, source.root);
      if (!given && reads) refuse(source.plugin, 'reads CLAUDE_PLUGIN_ROOT in a hook');
    }
  }
  return whole;
}

/** Whoever reads CLAUDE_PLUGIN_ROOT from the environment finds it there, as inside a plugin. @returns false where there is no way */
function giveRoot(handler: JsonObject, command: string, root: string): boolean {
  if (handler.shell === 'powershell' && !Array.isArray(handler.args)) {
    handler.command = `$env:CLAUDE_PLUGIN_ROOT = '${root.replaceAll("'", "''")}'; ${command}`;
    return true;
  }
  if (process.platform === 'win32') return false;
  if (Array.isArray(handler.args)) {
    handler.args = [`CLAUDE_PLUGIN_ROOT=${root}`, command, ...handler.args];
    handler.command = 'env';
  } else handler.command = `export CLAUDE_PLUGIN_ROOT='${root.replaceAll("'", "'\\''")}'; ${command}`;
  return true;
}

interface Slot extends LooseHook {
  root: string;
}

const slots = (all: Owned<LooseHook>[]): Slot[] => all.flatMap((o) => o.entries.map((e) => ({ ...e, root: o.root })));
const keyOf = ({ event, group }: LooseHook): string => `${event} ${JSON.stringify(group)}`;

/**
 * Groups are told by their value. One that a person changed but that still leads into our tree is moved along on an update
 * and taken out on removal; one that the person took out stays out.
 */
function applyHooks({ text, notes, where }: TextTarget, before: Owned<LooseHook>[], after: Owned<LooseHook>[]): string {
  const asked = new Set(
    after.filter((o) => before.some((b) => b.plugin === o.plugin && b.enabled !== o.enabled)).map((o) => o.plugin),
  );
  const stay = new Set(slots(after.filter((o) => !asked.has(o.plugin))).map(keyOf));
  let now = text;
  const gone = new Set<string>();
  for (const owned of before) {
    const next = after.find((o) => o.plugin === owned.plugin);
    for (const hook of owned.entries) {
      if (stay.has(keyOf(hook)) || asked.has(owned.plugin)) continue;
      const path = [HOOKS, hook.event];
      const mark = foreignMark(hook);
      if (notes.foreign.includes(mark)) {
        notes.foreign = notes.foreign.filter((m) => m !== mark);
        continue;
      }
      const index = indexOf(now, hook, owned.root, where);
      const moved = next === undefined ? null : rerooted(hook.group, owned.root, next.root);
      const edited = getElements(now, path, where)[index];
      now = removeElement(now, path, index, notes, where);
      if (next === undefined || moved === null) continue;
      const unchanged = next.entries.some((e) => e.event === hook.event && JSON.stringify(e.group) === moved);
      if (index < 0) gone.add(`${owned.plugin} ${hook.event} ${moved}`);
      else if (unchanged && !same(edited, hook.group)) {
        gone.add(`${owned.plugin} ${hook.event} ${moved}`);
        now = addElement(now, path, JSON.parse(rerooted(edited, owned.root, next.root)), notes, where);
      }
    }
  }
  const had = new Set(slots(before).map(keyOf));
  for (const { plugin, root, entries } of after) {
    for (const hook of entries) {
      if (had.has(keyOf(hook)) && !asked.has(plugin)) continue;
      // Taken out or changed by the user, and the new version brings the same again.
      if (gone.has(`${plugin} ${hook.event} ${JSON.stringify(hook.group)}`)) continue;
      const path = [HOOKS, hook.event];
      const there = getElements(now, path, where).some((group) => same(group, hook.group));
      if (!there) now = addElement(now, path, hook.group, notes, where);
      else if (!had.has(keyOf(hook)) && !notes.foreign.includes(foreignMark(hook)) && !isPlainlyOurs(hook, root))
        notes.foreign.push(foreignMark(hook));
    }
  }
  return now;
}

/** Whoever leads into our tree was written by us (the receipts of it may have been lost). */
const isPlainlyOurs = (hook: LooseHook, root: string): boolean =>
  commandsOf(hook.group).some((command) => leadsInto(command, root));

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
const foreignMark = (hook: LooseHook): string => pointer([HOOKS, hook.event, JSON.stringify(hook.group)]);
const rerooted = (group: unknown, from: string, to: string): string =>
  JSON.stringify(mapStrings(group, (item) => replaceRoot(item, from, to)));

function indexOf(text: string, hook: LooseHook, root: string, where: string): number {
  const there = getElements(text, [HOOKS, hook.event], where);
  const exact = there.findIndex((group) => same(group, hook.group));
  if (exact >= 0) return exact;
  // Changed by a person: the same command in the same tree, other settings around it.
  const commands = commandsOf(hook.group).filter((command) => leadsInto(command, root));
  return there.findIndex((group) => commandsOf(group).some((command) => commands.some((ours) => same(ours, command))));
}

function commandsOf(group: unknown): [command: unknown, args: unknown][] {
  const handlers = isJsonObject(group) && Array.isArray(group.hooks) ? group.hooks.filter(isJsonObject) : [];
  return handlers.map((handler) => [handler.command, handler.args ?? null]);
}
