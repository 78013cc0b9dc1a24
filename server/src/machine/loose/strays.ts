import { isJsonObject, type JsonObject } from '../../domain/json/read.ts';
import { getElements, parseSettings, pointer, removeElement, removeKey, setKey } from '../claude/settings-edit.ts';
import { readText, writeText } from '../files/text-file.ts';
import type { Machine } from '../machine.ts';
import { noFileNotes } from '../receipts/index.ts';
import { leadsInto } from './layout-text.ts';

/**
 * Takes out hooks and servers that start something in our versions though no receipt lists them: what receipts were lost of, when nobody
 * could tell any more what was published. For leaving, when that folder goes. The lock must be held.
 * @param warnings names what was taken out: a person may have written it
 * @throws HaiveError SETTINGS_INVALID, READ_ONLY, DISK_FULL, IO_ERROR
 */
export async function removeStrays(m: Machine, warnings: string[]): Promise<void> {
  await removeHooks(m, warnings);
  await removeServers(m, warnings);
}

async function removeHooks(m: Machine, warnings: string[]): Promise<void> {
  const where = m.paths.settings;
  const text = await readText(where);
  const { hooks } = text === null ? {} : parseSettings(text, where);
  if (text === null || !isJsonObject(hooks)) return;
  let now = text;
  const taken: string[] = [];
  for (const event of Object.keys(hooks).filter((name) => leadsInto(hooks[name], m.paths.versions))) {
    const path = ['hooks', event];
    const notes = { ...noFileNotes(), parents: [pointer(['hooks']), pointer(path)] };
    const groups = getElements(now, path, where);
    for (let index = groups.length - 1; index >= 0; index--) {
      const group = groups[index];
      if (!isJsonObject(group) || !Array.isArray(group.hooks)) continue;
      const ours = group.hooks.filter(
        (hook) => isJsonObject(hook) && leadsInto([hook.command, hook.args], m.paths.versions),
      );
      if (ours.length === 0) continue;
      taken.push(...ours.map((hook) => `hooks.${event} ${JSON.stringify(hook)}`));
      // What a person put beside ours in one group stays.
      const others = group.hooks.filter((hook) => !ours.includes(hook));
      if (others.length === 0) now = removeElement(now, path, index, notes, where);
      else {
        const left = getElements(now, path, where).with(index, { ...group, hooks: others });
        now = setKey(now, path, left, noFileNotes(), where);
      }
    }
  }
  await writeText(m, where, text, now);
  warnings.push(...taken.map((what) => asWarning(where, what)));
}

async function removeServers(m: Machine, warnings: string[]): Promise<void> {
  const where = m.paths.claudeJson;
  const text = await readText(where);
  const { mcpServers } = text === null ? {} : parseSettings(text, where);
  if (text === null || !isJsonObject(mcpServers)) return;
  const notes = { ...noFileNotes(), parents: [pointer(['mcpServers'])] };
  const ours = Object.entries(mcpServers).filter(
    ([, value]) => isJsonObject(value) && startsIn(m.paths.versions, value),
  );
  const now = ours.reduce((rest, [name]) => removeKey(rest, ['mcpServers', name], notes, where), text);
  await writeText(m, where, text, now);
  warnings.push(...ours.map(([name]) => asWarning(where, `mcpServers.${name}`)));
}

/** Whether a server's program lies there: one that is merely given such a folder to work on is a person's own. */
function startsIn(folder: string, { command, args, env }: JsonObject): boolean {
  const first = Array.isArray(args) ? args.find((arg) => !String(arg).startsWith('-')) : undefined;
  return leadsInto([command, first, isJsonObject(env) ? env.CLAUDE_PLUGIN_ROOT : undefined], folder);
}

const asWarning = (where: string, what: string): string =>
  `Taken out of ${where}, because it starts what goes with our folder: ${what}`;
