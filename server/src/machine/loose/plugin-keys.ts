import { isDeepStrictEqual } from 'node:util';
import { GUARD_EVENTS } from '../../domain/client-facts.ts';
import { HaiveError } from '../../domain/errors.ts';
import { isJsonObject } from '../../domain/json/read.ts';
import { type FrontMatter, findFrontMatter, parseFrontMatter } from '../../domain/version/front-matter.ts';
import type { Cut, LooseFile } from '../receipts/index.ts';
import { linesOf, withoutCuts } from './cuts.ts';
import { textOf } from './layout-text.ts';

/** Front matter that the client heeds among the user's own and ignores in a plugin: a copy goes without it. */

const IGNORED: Partial<Record<LooseFile['kind'], readonly string[]>> = {
  agent: ['permissionMode', 'hooks', 'mcpServers', 'initialPrompt', 'observer', 'observerMessage', 'observeSubagents'],
  command: ['hooks'],
};

/** Whether files of this kind may hold any. */
export const hasIgnored = (kind: LooseFile['kind']): boolean => IGNORED[kind] !== undefined;

/** However a client may spell a key. */
const plainKey = (key: string): string => key.replace(/[-_\s]/g, '').toLowerCase();

/**
 * What a copy must leave out, in the order of the file.
 * @returns null where it cannot be taken out with the rest staying as it is
 */
export function cutsOf(kind: LooseFile['kind'], bytes: Buffer): Cut[] | null {
  const keys = new Set(IGNORED[kind]?.map(plainKey));
  if (keys.size === 0) return [];
  const text = bytes.toString('utf8');
  const block = findFrontMatter(text);
  if (block === undefined) return [];
  const yaml = text.slice(block.start, block.end);
  let whole: FrontMatter;
  try {
    whole = parseFrontMatter(text);
  } catch (error) {
    // The client heeds nothing of what is no YAML; of what is only too large for us it may heed all.
    const isLarge = error instanceof HaiveError && error.details?.tooLarge === true;
    return isLarge || [...keys].some((key) => plainKey(yaml).includes(key)) ? null : [];
  }
  // Elsewhere than in a worktree of this machine only a person's own agents run.
  if (kind === 'agent' && whole.data.isolation !== 'worktree') keys.add('isolation');
  if (kind === 'command' && hooksTakeGrants(whole.data)) keys.add(plainKey('allowed-tools'));
  const isOurs = (key: string): boolean => !keys.has(plainKey(key));
  if (Object.keys(whole.data).every(isOurs)) return [];
  const cuts = cutLines(yaml, isOurs);
  if (textOf(bytes) === null || !cuts.every(({ text: cut }) => cut.endsWith('\n'))) return null;
  try {
    const left = parseFrontMatter(withoutCuts(text, cuts));
    const data = Object.fromEntries(Object.entries(whole.data).filter(([key]) => isOurs(key)));
    return left.body === whole.body && isDeepStrictEqual(left.data, data) ? cuts : null;
  } catch {
    return null;
  }
}

/** A plugin's command whose hooks are guards or no hooks at all is loaded without its grants, too. */
function hooksTakeGrants({ hooks }: FrontMatter['data']): boolean {
  if (hooks === undefined || hooks === null) return false;
  return !isJsonObject(hooks) || GUARD_EVENTS.some((event) => JSON.stringify(hooks).includes(`"${event}"`));
}

/** A key's line and what belongs to it, up to the next key; comments and blank lines before that stay. */
function cutLines(yaml: string, stays: (key: string) => boolean): Cut[] {
  const lines = linesOf(yaml);
  const cuts: Cut[] = [];
  let after = '';
  for (let at = 0; at < lines.length; at++) {
    const key = /^(["']?)([\w-]+)\1[ \t]*:(?=\s|$)/.exec(lines[at] ?? '')?.[2];
    if (key === undefined || stays(key)) {
      after = lines[at]?.trimEnd() ?? '';
      continue;
    }
    let end = at + 1;
    while (end < lines.length && /^(\s|#|-\s|[\]}])/.test(lines[end] ?? '')) end++;
    while (end > at + 1 && /^(#.*)?\s*$/.test(lines[end - 1] ?? '')) end--;
    cuts.push({ after, text: lines.slice(at, end).join('') });
    at = end - 1;
  }
  return cuts;
}
