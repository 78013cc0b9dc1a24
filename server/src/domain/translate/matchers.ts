import type { JSONPath } from 'jsonc-parser';
import type { GrantTargets } from './grants.ts';
import { property, toolEventLists } from './hook-lists.ts';
import type { Report } from './index.ts';

/**
 * Hook matchers that name a tool of a plugin's server by its short name, `mcp__SERVER__TOOL`: the tool's real name is
 * `mcp__plugin_PLUGIN_SERVER__TOOL`, so they never match. The matcher that does is put beside it.
 */

const SHORT = /(?<![\w-])mcp__(?!plugin_)([A-Za-z0-9-]+(?:_(?!_)[A-Za-z0-9-]+)*)(?=__|\b)/g;

/** The matcher that also matches the real names; undefined when nothing is to be added. */
export function widenMatcher(matcher: string, targets: GrantTargets): string | undefined {
  if (matcher.length > 2000) return undefined;
  const real = matcher.replace(SHORT, (all, server: string) => targets.get(server) ?? all);
  if (
    real === matcher ||
    matcher.split('|').some((part) => real.split('|').includes(part) && part.includes('mcp__plugin_'))
  )
    return undefined;
  return `${matcher}|${real}`;
}

/** Widens the matchers of the hooks object at `at` in JSON text. Text that is not strict JSON is returned as it is. */
export function translateMatchers(text: string, at: JSONPath, targets: GrantTargets, report: Report): string {
  let result = '';
  let from = 0;
  for (const list of toolEventLists(text, at)) {
    for (const entry of list.children ?? []) {
      const matcher = property(entry, 'matcher');
      if (matcher?.type !== 'string') continue;
      const wide = widenMatcher(String(matcher.value), targets);
      if (wide === undefined) continue;
      result += text.slice(from, matcher.offset) + JSON.stringify(wide);
      from = matcher.offset + matcher.length;
      report(
        'hook-matcher-server',
        `"matcher": ${JSON.stringify(matcher.value)}`,
        `"matcher": ${JSON.stringify(wide)}`,
        "A plugin's tools are called mcp__plugin_PLUGIN_SERVER__TOOL in Claude Code; the short name alone never matches.",
      );
    }
  }
  return result + text.slice(from);
}
