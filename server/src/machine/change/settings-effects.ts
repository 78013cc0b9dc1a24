import { join } from 'node:path';
import { CORE } from '../../domain/names.ts';
import {
  enabledKey,
  KNOWN,
  leadsElsewhere,
  MARKETPLACE,
  marketplaceSetting,
  STOCK_CORE_KEY,
} from '../claude/marketplace.ts';
import { getKeyText, isEmptyObject, parseSettings, pointer, removeKey, setKey } from '../claude/settings-edit.ts';
import type { Text } from '../files/text-file.ts';
import { editHooks } from '../loose/index.ts';
import type { Machine } from '../machine.ts';
import { type FileNotes, noFileNotes, type Receipts } from '../receipts/index.ts';

/** settings.json and installed_plugins.json: what a change of the receipts means for them, as text to text. */

export type Phase = 'remove' | 'add';

const ENABLED = 'enabledPlugins';

function namesAdded(prev: Receipts, next: Receipts): string[] {
  return Object.keys(next.plugins)
    .filter((name) => prev.plugins[name] === undefined)
    .sort();
}

function namesRemoved(prev: Receipts, next: Receipts): string[] {
  return namesAdded(next, prev);
}

/** Installed again by force: its key comes back if it was taken away, though a `false` stays. */
function namesForced(prev: Receipts, next: Receipts): string[] {
  return Object.values(next.plugins)
    .filter((r) => {
      const before = prev.plugins[r.name];
      if (before === undefined) return false;
      return (r.force !== undefined && before.force !== r.force) || before.enabled !== r.enabled;
    })
    .map((r) => r.name)
    .sort();
}

/** What the client knows as plugins: nothing of the loose layout. */
function asMarketplace(receipts: Receipts): Receipts {
  return receipts.layout === 'native' ? receipts : { ...receipts, plugins: {}, dev: {} };
}

/** settings.json: the keys of the native layout, the hooks of the loose one, and whose the core is. */
export function editSettings(
  m: Machine,
  text: Text,
  phase: Phase,
  prev: Receipts,
  next: Receipts,
  notes: FileNotes,
): Text {
  const where = m.paths.settings;
  const [from, to] = [asMarketplace(prev), asMarketplace(next)];
  if (phase === 'remove') {
    if (text === null) return null;
    let now: Text = editKeys(m, text, phase, from, to, notes) ?? text;
    now = editHooks(m, now, phase, prev, next, notes) ?? now;
    if (namesRemoved(prev, next).includes(CORE)) now = giveBackCore(now, notes, where);
    if (now === text || !notes.created || !isEmptyObject(now, where)) return now;
    Object.assign(notes, noFileNotes());
    return null;
  }
  let now = editKeys(m, text, phase, from, to, notes);
  now = editHooks(m, now, phase, prev, next, notes);
  return now !== null && namesAdded(prev, next).includes(CORE) ? setCoreAside(now, notes, where) : now;
}

function editKeys(m: Machine, text: Text, phase: Phase, prev: Receipts, next: Receipts, notes: FileNotes): Text {
  const where = m.paths.settings;
  if (phase === 'remove') {
    if (text === null) return null;
    let now = text;
    // What `hv dev` shows needs its key, whether it is installed or not.
    const shown = next.dev ?? {};
    const removed = namesRemoved(prev, next);
    for (const name of removed) {
      if (shown[name] !== undefined) continue;
      const path = [ENABLED, enabledKey(name)];
      if (!notes.foreign.includes(pointer(path))) now = removeKey(now, path, notes, where);
      notes.foreign = notes.foreign.filter((p) => p !== pointer(path));
    }
    const last = removed.length > 0 && Object.keys({ ...next.plugins, ...shown }).length === 0;
    return last && !isForeign(now, where) ? removeKey(now, KNOWN, notes, where) : now;
  }
  const added = namesAdded(prev, next);
  const wanted = [...added, ...namesForced(prev, next)];
  if (wanted.length === 0) return text;
  const isOn = (name: string): boolean => next.plugins[name]?.off !== true;
  if (text === null) {
    Object.assign(notes, {
      ...noFileNotes(),
      created: true,
      parents: [pointer(KNOWN.slice(0, 1)), pointer([ENABLED])],
    });
    const enabled = Object.fromEntries(wanted.map((name) => [enabledKey(name), isOn(name)]));
    const whole = { extraKnownMarketplaces: { [MARKETPLACE]: marketplaceSetting(m) }, [ENABLED]: enabled };
    return `${JSON.stringify(whole, null, 2)}\n`;
  }
  // One that came since the change was planned is not overwritten: doctor names it.
  let now = isForeign(text, where) ? text : setKey(text, KNOWN, marketplaceSetting(m), notes, where);
  // Where ours led to before (another HOME) never comes back.
  delete notes.replaced[pointer(KNOWN)];
  for (const name of wanted) {
    const path = [ENABLED, enabledKey(name)];
    const there = getKeyText(now, path, where);
    if (there === undefined) now = setKey(now, path, isOn(name), notes, where);
    else if (there === 'false' && added.includes(name) && !notes.foreign.includes(pointer(path)))
      notes.foreign.push(pointer(path));
  }
  return now;
}

const isForeign = (text: string, where: string): boolean => leadsElsewhere(getKeyText(text, KNOWN, where)) !== null;

/** Whether the change writes keys of ours that mean our marketplace. */
export function namesMarketplace(prev: Receipts, next: Receipts): boolean {
  const [from, to] = [asMarketplace(prev), asMarketplace(next)];
  return [...namesAdded(from, to), ...namesForced(from, to)].length > 0;
}

/** One owner of the core: both enabled would let the first key win its hooks and hide one server behind the other. */
function setCoreAside(text: string, notes: FileNotes, where: string): string {
  const path = [ENABLED, STOCK_CORE_KEY];
  return getKeyText(text, path, where) === 'true' ? setKey(text, path, false, notes, where) : text;
}

function giveBackCore(text: string, notes: FileNotes, where: string): string {
  const path = [ENABLED, STOCK_CORE_KEY];
  return notes.replaced[pointer(path)] === undefined ? text : removeKey(text, path, notes, where);
}

/** The client's own list: `claude plugin list` shows what is in it. */
export function editInstalled(
  m: Machine,
  text: Text,
  phase: Phase,
  prev: Receipts,
  next: Receipts,
  notes: FileNotes,
): Text {
  const where = m.paths.installedPlugins;
  return editRows(m, text, phase, asMarketplace(prev), asMarketplace(next), notes, where);
}

function editRows(
  m: Machine,
  text: Text,
  phase: Phase,
  prev: Receipts,
  next: Receipts,
  notes: FileNotes,
  where: string,
): Text {
  const path = (name: string): string[] => ['plugins', enabledKey(name)];
  if (phase === 'remove') {
    if (text === null) return null;
    let now = text;
    const removed = namesRemoved(prev, next);
    if (removed.length === 0) return text;
    for (const name of removed) now = removeRow(now, path(name), notes, where);
    const left = parseSettings(now, where);
    const bare = Object.keys(left).every((k) => k === 'version' || k === 'plugins') && noKeys(left.plugins);
    if (!notes.created || !bare) return now;
    Object.assign(notes, noFileNotes());
    return null;
  }
  const row = (name: string): unknown[] => {
    const receipt = next.plugins[name];
    if (receipt === undefined) return [];
    const { dir, version, installedAt, updatedAt } = receipt;
    return [{ scope: 'user', installPath: join(m.paths.root, dir), version, installedAt, lastUpdated: updatedAt }];
  };
  const added = [...namesAdded(prev, next), ...namesForced(prev, next)];
  const moved = Object.keys(next.plugins).filter(
    (name) => prev.plugins[name] !== undefined && prev.plugins[name]?.dir !== next.plugins[name]?.dir,
  );
  if (text === null) {
    if (added.length === 0) return null;
    Object.assign(notes, { ...noFileNotes(), created: true });
    const plugins = Object.fromEntries(added.sort().map((name) => [enabledKey(name), row(name)]));
    return `${JSON.stringify({ version: 2, plugins }, null, 2)}\n`;
  }
  let now = text;
  const put = (name: string): void => {
    const replaced = notes.replaced[pointer(path(name))];
    const there = prev.plugins[name] === undefined ? getKeyText(now, path(name), where) : undefined;
    now = setKey(now, path(name), row(name), notes, where);
    // Our own rows, of another HOME too, never come back.
    if (replaced === undefined && (there === undefined || isOurRow(there))) delete notes.replaced[pointer(path(name))];
  };
  for (const name of added) put(name);
  // A row that is gone was taken away by `claude plugin uninstall`: that is respected.
  for (const name of moved.sort()) {
    if (getKeyText(now, path(name), where) !== undefined) put(name);
  }
  return now;
}

/** Takes our row out, whatever the client made of it; what it took the place of comes back. */
function removeRow(text: string, path: string[], notes: FileNotes, where: string): string {
  const replaced = notes.replaced[pointer(path)];
  const now = getKeyText(text, path, where);
  if (replaced !== undefined && now !== undefined) notes.replaced[pointer(path)] = { ...replaced, ours: now };
  return removeKey(text, path, notes, where);
}

const isOurRow = (row: string): boolean => /[\\/]\.haivemind[\\/]/.test(row);

function noKeys(value: unknown): boolean {
  return value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0);
}
