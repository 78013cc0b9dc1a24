import type { JSONPath } from 'jsonc-parser';
import { TOOL_EVENTS, TOOLS } from '../client-facts.ts';
import { splitMatcher } from '../translate/hooks.ts';
import { widenMatcher } from '../translate/matchers.ts';
import type { Subject } from './subject.ts';

/** A hook's matcher: forms that never fire. */
export function checkMatcher(subject: Subject, file: string, at: JSONPath, event: string, matcher: string): void {
  const place = { json: [...at, 'matcher'] };
  const onTool = (TOOL_EVENTS as readonly string[]).includes(event);
  const wide = onTool ? widenMatcher(matcher, subject.targets) : undefined;
  if (wide !== undefined) {
    const message = `The matcher ${JSON.stringify(matcher.slice(0, 80))} matches no tool of a plugin's server.`;
    subject.warn('HOOK_MATCHER_SERVER', file, place, message, `Write ${JSON.stringify(wide.slice(0, 200))}.`);
  }
  if (splitMatcher(matcher) !== undefined) {
    const shown = JSON.stringify(matcher.slice(0, 80));
    if (onTool) {
      const message = `The matcher ${shown} is a permission rule and never fires.`;
      const fix = 'Write the tool as matcher and the rule as "if" on the handler.';
      subject.error('HOOK_MATCHER_RULE', file, place, message, fix);
    } else {
      const message = `${event} has no tool that the matcher ${shown} could match.`;
      subject.warn('HOOK_MATCHER_RULE', file, place, message, 'Remove the matcher.');
    }
    return;
  }
  if (onTool && isCondition(matcher)) {
    const message = `The matcher ${JSON.stringify(matcher.slice(0, 80))} is a condition; only a tool's name is matched, so it never fires.`;
    subject.warn(
      'HOOK_MATCHER_CONDITION',
      file,
      place,
      message,
      'Match the tool, and write the rest as "if" or test it in the command.',
    );
    return;
  }
  const misspelled = onTool ? wrongCase(matcher) : undefined;
  if (misspelled !== undefined) {
    const [written, tool] = misspelled;
    const message = `${written} is no tool: capitals count, so the matcher never fires for ${tool}.`;
    subject.warn('HOOK_MATCHER_TOOL', file, place, message, `Write ${tool}.`);
  }
  try {
    new RegExp(matcher);
  } catch {
    if (matcher !== '*')
      subject.warn(
        'HOOK_MATCHER_INVALID',
        file,
        place,
        `The matcher ${JSON.stringify(matcher.slice(0, 80))} is no regular expression.`,
        'Close its brackets, or escape them.',
      );
  }
}

/** No part of it can be a tool's name: a comparison, a text in quotes, or slashes around it. */
function isCondition(matcher: string): boolean {
  return matcher.split('|').every((part) => /==|&&|["']|^\s*\/.*\/\s*$/.test(part)) || /^\/.*\/$/.test(matcher);
}

/** The first name in a list of tools that differs from a tool in capitals alone. */
function wrongCase(matcher: string): [written: string, tool: string] | undefined {
  for (const part of matcher.split(/[|,]/)) {
    const written = part.trim();
    const tool = TOOLS.find((t) => t.toLowerCase() === written.toLowerCase());
    if (tool !== undefined && tool !== written) return [written, tool];
  }
  return undefined;
}
