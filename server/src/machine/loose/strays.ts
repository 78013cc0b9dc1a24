import { isJsonObject } from '../../domain/read-json.ts';
import type { Machine } from '../machine.ts';
import { noFileNotes } from '../receipts.ts';
import { getElements, parseSettings, pointer, removeElement, removeKey } from '../settings-edit.ts';
import { readText, writeText } from '../text-file.ts';
import { leadsInto } from './layout-text.ts';

/**
 * Takes out hooks and servers that lead into our versions though no receipt lists them: what receipts were lost of, when nobody could tell
 * any more what was published. For leaving, when that folder goes. The lock must be held.
 * @throws HaiveError SETTINGS_INVALID, READ_ONLY, DISK_FULL, IO_ERROR
 */
export async function removeStrays(m: Machine): Promise<void> {
  await removeHooks(m);
  await removeServers(m);
}

async function removeHooks(m: Machine): Promise<void> {
  const where = m.paths.settings;
  const text = await readText(where);
  const { hooks } = text === null ? {} : parseSettings(text, where);
  if (text === null || !isJsonObject(hooks)) return;
  let now = text;
  for (const event of Object.keys(hooks).filter((name) => leadsInto(hooks[name], m.paths.versions))) {
    const path = ['hooks', event];
    const notes = { ...noFileNotes(), parents: [pointer(['hooks']), pointer(path)] };
    const groups = getElements(now, path, where);
    for (let index = groups.length - 1; index >= 0; index--) {
      if (leadsInto(groups[index], m.paths.versions)) now = removeElement(now, path, index, notes, where);
    }
  }
  await writeText(m, where, text, now);
}

async function removeServers(m: Machine): Promise<void> {
  const where = m.paths.claudeJson;
  const text = await readText(where);
  const { mcpServers } = text === null ? {} : parseSettings(text, where);
  if (text === null || !isJsonObject(mcpServers)) return;
  const notes = { ...noFileNotes(), parents: [pointer(['mcpServers'])] };
  let now = text;
  for (const [name, value] of Object.entries(mcpServers)) {
    if (leadsInto(value, m.paths.versions)) now = removeKey(now, ['mcpServers', name], notes, where);
  }
  await writeText(m, where, text, now);
}
