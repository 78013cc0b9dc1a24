import { join } from 'node:path';
import { readJson } from '../../domain/json/read.ts';
import type { OutsideCopy } from '../change/outside-copies.ts';
import { getElements, getKeyText, isEmptyObject } from '../claude/settings-edit.ts';
import { readText } from '../files/text-file.ts';
import type { Machine } from '../machine.ts';
import type { FileNotes, LooseFile, LooseReceipt, Receipt, Receipts } from '../receipts/index.ts';
import { AgentInstaller } from './agent-installer.ts';
import { CommandInstaller } from './command-installer.ts';
import { copiesToWrite } from './copies.ts';
import { asLaidEarlier } from './earlier.ts';
import { HookInstaller } from './hook-installer.ts';
import type { LooseContext, LooseSource, Owned } from './installer.ts';
import { MCPServerInstaller } from './mcp-server-installer.ts';
import { SkillInstaller } from './skill-installer.ts';
import { StyleInstaller } from './style-installer.ts';
import { checkSupported } from './supported.ts';
import { ThemeInstaller } from './theme-installer.ts';

/** The loose layout: a plugin's parts copied among the user's own, for hosts that may add no marketplace. */

const COPIES = [CommandInstaller, AgentInstaller, SkillInstaller, StyleInstaller, ThemeInstaller];
/** One more whenever a program of tomorrow lays out the same tree otherwise: the next sync then does so with what is installed. */
export const LOOSE_RULES = 2;
const MANIFEST = '.claude-plugin/plugin.json';
const CONFIGURATION = /(\.md|\.json)$/i;

/**
 * Decides everything that one plugin will have outside its tree. Reads only.
 * @throws HaiveError LAYOUT_UNSUPPORTED, NAME_CLASH, SETTINGS_INVALID
 */
export async function planLoose(
  m: Machine,
  tree: Omit<LooseSource, 'manifest' | 'wantsRoot'>,
  about: Pick<LooseContext, 'before' | 'others' | 'leaving' | 'fresh' | 'lost' | 'editsTaken' | 'warnings'>,
): Promise<LooseReceipt> {
  const manifest = readJson((await tree.read(MANIFEST)) ?? undefined) ?? {};
  const source: LooseSource = { ...tree, manifest, wantsRoot: await readsRoot(tree) };
  if (!about.lost) await checkSupported(source);
  const context: LooseContext = { ...about, machine: m, source, servers: new Map() };
  // Servers first: hooks name them.
  const servers = await MCPServerInstaller.plan(context);
  const hooks = await HookInstaller.plan(context);
  const files: LooseFile[] = [];
  for (const installer of COPIES) files.push(...(await installer.plan(context)));
  const earlier = about.lost ? await asLaidEarlier(context, files) : null;
  if (earlier !== null) return { files: earlier, hooks, servers };
  return { rules: LOOSE_RULES, files, hooks, servers };
}

/** Whether other rules decided what of a plugin lies outside its tree, so that today's may decide otherwise. */
export function isLaidEarlier(receipt: Receipt | undefined): boolean {
  return receipt?.loose !== undefined && receipt.off !== true && (receipt.loose.rules ?? 0) < LOOSE_RULES;
}

async function readsRoot(tree: Pick<LooseSource, 'files' | 'read'>): Promise<boolean> {
  for (const { path } of tree.files) {
    if (CONFIGURATION.test(path)) continue;
    if ((await tree.read(path))?.includes('CLAUDE_PLUGIN_ROOT') === true) return true;
  }
  return false;
}

function owned<K extends 'files' | 'hooks' | 'servers'>(
  m: Machine,
  receipts: Receipts,
  kind: K,
): Owned<LooseReceipt[K][number]>[] {
  return active(receipts).map((receipt) => ({
    plugin: receipt.name,
    root: join(m.paths.root, receipt.dir),
    entries: receipt.loose?.[kind] ?? [],
    enabled: receipt.enabled ?? 0,
  }));
}

function active(receipts: Receipts): Receipt[] {
  if (receipts.layout !== 'loose') return [];
  const all = Object.values(receipts.plugins).filter((receipt) => receipt.loose !== undefined && receipt.off !== true);
  return all.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Every file that the loose layout put below `~/.claude`. */
export function looseFiles(receipts: Receipts): LooseFile[] {
  return active(receipts).flatMap((receipt) => receipt.loose?.files ?? []);
}

/** Makes commands, agents and skills say what `next` says. */
export async function applyCopies(m: Machine, prev: Receipts, next: Receipts): Promise<void> {
  const [before, after] = [owned(m, prev, 'files'), owned(m, next, 'files')];
  for (const installer of COPIES) await installer.apply(m, before, after);
}

/**
 * Commands, agents and skills that `applyCopies` would write.
 * @param leaving hash by absolute path: what the change takes away before it writes
 */
export function looseToWrite(
  m: Machine,
  prev: Receipts,
  next: Receipts,
  leaving: ReadonlyMap<string, string>,
): Promise<OutsideCopy[]> {
  return copiesToWrite(m, owned(m, prev, 'files'), owned(m, next, 'files'), leaving);
}

/** The hooks' part of an edit of settings.json; removals of whole plugins come before the pointer, the rest behind it. */
export function editHooks(
  m: Machine,
  text: string | null,
  phase: 'remove' | 'add',
  prev: Receipts,
  next: Receipts,
  notes: FileNotes,
): string | null {
  const target = { text: text ?? '{}\n', notes, where: m.paths.settings };
  const all = owned(m, prev, 'hooks');
  const after = owned(m, next, 'hooks');
  const stay = all.filter((o) => after.some((other) => other.plugin === o.plugin));
  const now = phase === 'remove' ? HookInstaller.apply(target, all, stay) : HookInstaller.apply(target, stay, after);
  if (text === null && now !== target.text) notes.created = true;
  return now === target.text ? text : now;
}

/** ~/.claude.json with our servers as `next` has them; null where there is no such file (any more). */
export function editClaudeJson(
  m: Machine,
  text: string | null,
  prev: Receipts,
  next: Receipts,
  notes: FileNotes,
): string | null {
  const target = { text: text ?? '{}\n', notes, where: m.paths.claudeJson };
  const now = MCPServerInstaller.apply(target, owned(m, prev, 'servers'), owned(m, next, 'servers'));
  if (now === target.text) return text;
  if (text === null) notes.created = true;
  if (!notes.created || !isEmptyObject(now, target.where)) return now;
  Object.assign(notes, { created: false, parents: [], replaced: {}, foreign: [] });
  return null;
}

/** Absolute paths of all copies, with what we wrote there. */
export function copyPlaces(m: Machine, receipts: Receipts): [path: string, sha256: string][] {
  return looseFiles(receipts).map(({ path, sha256 }) => [join(m.paths.claudeDir, path), sha256]);
}

/**
 * What of a plugin's keys is gone from other people's files, as `settings.json hooks.EVENT` or `.claude.json mcpServers.NAME`.
 * @throws HaiveError SETTINGS_INVALID
 */
export async function missingKeys(m: Machine, receipt: Receipt): Promise<string[]> {
  if (receipt.loose === undefined || receipt.off) return [];
  const { settings, claudeJson } = m.paths;
  const [hooks, servers] = [await readText(settings), await readText(claudeJson)];
  const lost: string[] = [];
  for (const { event, group } of receipt.loose.hooks) {
    const there = hooks === null ? [] : getElements(hooks, ['hooks', event], settings);
    if (!there.some((other) => JSON.stringify(other) === JSON.stringify(group)))
      lost.push(`settings.json hooks.${event}`);
  }
  for (const { name } of receipt.loose.servers) {
    const there = servers === null ? undefined : getKeyText(servers, ['mcpServers', name], claudeJson);
    if (there === undefined) lost.push(`.claude.json mcpServers.${name}`);
  }
  return lost;
}
