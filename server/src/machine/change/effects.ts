import { basename, dirname, join, relative } from 'node:path';
import { HaiveError } from '../../domain/errors.ts';
import { refuseForeignMarketplace } from '../claude/foreign-marketplace.ts';
import { applyGlobalCommands, commandPlaces, commandsToWrite } from '../claude/global-commands.ts';
import { checkReplaceable, realTarget, temporaryOf, writeAtomic } from '../files/atomic-file.ts';
import { makeDirs, removeEmptyDir } from '../files/file-port.ts';
import { NEW_MODE, readOurs, readText, type Text, writeText } from '../files/text-file.ts';
import { applyLinks } from '../links.ts';
import { applyCopies, copyPlaces, editClaudeJson, looseToWrite } from '../loose/index.ts';
import type { Machine } from '../machine.ts';
import type { FileNotes, Receipts } from '../receipts/index.ts';
import type { Keep } from './keeps.ts';
import type { OutsideCopy } from './outside-copies.ts';
import { editInstalled, editSettings, namesMarketplace } from './settings-effects.ts';

/** What a change does outside our own folder, computed from the receipts before and after, so that it can be done again. */

/** Keys of removed plugins leave settings.json before anything else, so that no hook fires half-gone. */
export async function removeFromSettings(m: Machine, prev: Receipts, next: Receipts): Promise<void> {
  const before = await settingsText(m, next);
  const after = editSettings(m, before, 'remove', prev, next, structuredClone(prev.notes.settings));
  await writeText(m, m.paths.settings, before, after);
}

/** What is no text and holds nothing of ours keeps nobody from leaving. */
function settingsText({ paths: { settings } }: Machine, next: Receipts): Promise<Text> {
  return Object.keys(next.plugins).length > 0 ? readText(settings) : readOurs(settings);
}

/** The commit: one atomic rename says what is live. */
export async function flipPointer(m: Machine, text: string): Promise<void> {
  await makeDirs(m.port, dirname(m.paths.marketplace));
  const now = await readText(m.paths.marketplace);
  if (now !== text) await writeAtomic(m.port, m.paths.marketplace, text, { prepared: m.prepared });
}

/**
 * Everything behind the pointer: keys, the client's list, links, bare commands. Puts what was really made into `next.notes`.
 * @returns warnings
 */
export async function applyEffects(m: Machine, prev: Receipts, next: Receipts): Promise<string[]> {
  const warnings: string[] = [];
  await addToSettings(m, prev, next);
  try {
    await editList(m, prev, next);
  } catch (error) {
    if (!(error instanceof HaiveError) || error.code !== 'SETTINGS_INVALID') throw error;
    warnings.push(`${error.code}: ${error.message}; only \`claude plugin list\` is affected`);
  }
  await editServers(m, prev, next);
  await applyLinks(m, prev, next);
  // Both may have a file of one name: what the old layout had goes before the new one's comes.
  if (next.layout === 'loose') await applyGlobalCommands(m, prev, next);
  await applyCopies(m, prev, next);
  if (next.layout === 'native') await applyGlobalCommands(m, prev, next);
  await removeMadeDirs(m, prev, next);
  return warnings;
}

async function addToSettings(m: Machine, prev: Receipts, next: Receipts): Promise<void> {
  const before = await settingsText(m, next);
  // The removals again, for their notes; the file itself has them already.
  const { after, notes } = planned(m, 'settings', before) ?? settingsOf(m, before, prev, next);
  if (before === after) return;
  await writeText(m, m.paths.settings, before, after);
  next.notes.settings = notes;
}

async function editList(m: Machine, prev: Receipts, next: Receipts): Promise<void> {
  const before = await readText(m.paths.installedPlugins);
  const { after, notes } = planned(m, 'list', before) ?? listOf(m, before, prev, next);
  if (before === after) return;
  await writeText(m, m.paths.installedPlugins, before, after);
  next.notes.installedPlugins = notes;
}

async function editServers(m: Machine, prev: Receipts, next: Receipts): Promise<void> {
  if (prev.layout !== 'loose' && next.layout !== 'loose') return;
  const notes = structuredClone(prev.notes.claudeJson);
  const before = await readText(m.paths.claudeJson);
  const after = editClaudeJson(m, before, prev, next, notes);
  if (before === after) return;
  await writeText(m, m.paths.claudeJson, before, after);
  next.notes.claudeJson = notes;
}

/** What a file will say, and what must be known to take it out again. */
interface Edited {
  before: Text;
  /** Without the keys that go. */
  middle: Text;
  after: Text;
  notes: FileNotes;
}

/** Edits as they were planned, for a file that nobody else has written since. */
export type PlannedEdits = { settings: Edited; list: Edited | null };

function planned(m: Machine, file: keyof PlannedEdits, now: Text): Edited | undefined {
  const edited = m.planned?.[file];
  return edited?.middle === now && now !== null ? edited : undefined;
}

function settingsOf(m: Machine, before: Text, prev: Receipts, next: Receipts): Edited {
  const notes = structuredClone(prev.notes.settings);
  const middle = editSettings(m, before, 'remove', prev, next, notes);
  return { before, middle, after: editSettings(m, middle, 'add', prev, next, notes), notes };
}

function listOf(m: Machine, before: Text, prev: Receipts, next: Receipts): Edited {
  const notes = structuredClone(prev.notes.installedPlugins);
  const middle = editInstalled(m, before, 'remove', prev, next, notes);
  return { before, middle, after: editInstalled(m, middle, 'add', prev, next, notes), notes };
}

/** Folders that we made and that hold nothing any more go again. */
async function removeMadeDirs(m: Machine, prev: Receipts, next: Receipts): Promise<void> {
  const deepestFirst = [...prev.notes.madeDirs].sort((a, b) => b.length - a.length);
  for (const dir of deepestFirst) {
    if (!next.notes.madeDirs.includes(dir)) await removeEmptyDir(m.port, join(m.paths.claudeDir, dir));
  }
}

export interface PlannedEffects {
  notes: Receipts['notes'];
  warnings: string[];
  /** What files of others will say, as they are now. */
  texts: TextToWrite[];
  edits: PlannedEdits;
}

export interface TextToWrite {
  path: string;
  text: string;
  /** Permission bits where the file is new. */
  mode?: number;
}

/**
 * The same edits without writing: finds out beforehand whether they can be made, and what the notes will say.
 * @throws HaiveError SETTINGS_INVALID, READ_ONLY, NAME_CLASH for a marketplace of our name
 */
export async function planEffects(m: Machine, prev: Receipts, next: Receipts): Promise<PlannedEffects> {
  if (namesMarketplace(prev, next)) await refuseForeignMarketplace(m);
  const notes = structuredClone(prev.notes);
  const warnings: string[] = [];
  const texts: PlannedEffects['texts'] = [];
  const written = (path: string, text: Text): void => {
    if (text !== null) texts.push({ path, text, mode: NEW_MODE });
  };
  const settings = settingsOf(m, await settingsText(m, next), prev, next);
  notes.settings = settings.notes;
  const { before, middle, after } = settings;
  if (before !== after) await checkReplaceable(m.paths.settings);
  // Keys that go do so before the pointer, in a write of their own.
  if (before !== after) written(m.paths.settings, middle === before ? after : middle);
  let list: Edited | null = null;
  try {
    list = listOf(m, await readText(m.paths.installedPlugins), prev, next);
    notes.installedPlugins = list.notes;
    if (list.before !== list.after) await checkReplaceable(m.paths.installedPlugins);
    if (list.before !== list.after) written(m.paths.installedPlugins, list.after);
  } catch (error) {
    if (!(error instanceof HaiveError) || error.code !== 'SETTINGS_INVALID') throw error;
    warnings.push(`${error.code}: ${error.message}; only \`claude plugin list\` is affected`);
  }
  if (prev.layout === 'loose' || next.layout === 'loose') {
    const servers = await readText(m.paths.claudeJson);
    const edited = editClaudeJson(m, servers, prev, next, notes.claudeJson);
    if (edited !== servers) await checkReplaceable(m.paths.claudeJson);
    if (edited !== servers) written(m.paths.claudeJson, edited);
  }
  return { notes, warnings, texts, edits: { settings, list } };
}

/** Copies and bare commands that the change will write, as things lie now. */
export async function copiesOf(
  m: Machine,
  prev: Receipts,
  next: Receipts,
  keeps: readonly Keep[],
): Promise<OutsideCopy[]> {
  const drops = keeps.filter((keep) => keep.drop && keep.below === 'claude');
  const switched = prev.layout === next.layout ? [] : [...commandPlaces(m, prev), ...copyPlaces(m, prev)];
  const leaving = new Map([
    ...switched,
    ...drops.map(({ from, sha256 }) => [join(m.paths.claudeDir, from), sha256] as const),
  ]);
  return [...(await looseToWrite(m, prev, next, leaving)), ...(await commandsToWrite(m, prev, next, leaving))];
}

/** `path` as the notes name it. */
export function relativeToClaude(m: Machine, path: string): string {
  return relative(m.paths.claudeDir, path).replaceAll('\\', '/');
}

/** What `prepareWrites` may have left where a crash came before the journal. */
export async function preparedFiles({ paths }: Machine): Promise<string[]> {
  const { settings, claudeJson, installedPlugins, marketplace } = paths;
  const targets = await Promise.all([settings, claudeJson, installedPlugins].map(realTarget));
  return [...targets, marketplace].map(temporaryOf);
}

/** Every half-written file that a crash of a change between these receipts may have left. */
export async function temporaryFiles(m: Machine, prev: Receipts, next: Receipts): Promise<string[]> {
  const { settings, claudeJson, installedPlugins, receipts, journal, pluginsDir, backups } = m.paths;
  const copies = [prev, next].flatMap((r) => [...commandPlaces(m, r), ...copyPlaces(m, r)]);
  const places = await Promise.all(copies.map(([path]) => realTarget(path)));
  const links = [prev, next].flatMap((r) => Object.values(r.plugins).flatMap((p) => p.links));
  return [
    ...(await preparedFiles(m)),
    ...[receipts, journal].map(temporaryOf),
    ...[settings, installedPlugins, claudeJson].map((path) => temporaryOf(join(backups, basename(path)))),
    ...links.map((link) => temporaryOf(join(pluginsDir, link))),
    ...places.map(temporaryOf),
  ];
}
