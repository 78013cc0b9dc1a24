import type { JSONPath, Node } from 'jsonc-parser';
import { TOOLS } from '../client-facts.ts';
import { property, toolEventLists } from './hook-lists.ts';
import type { Report } from './index.ts';

/**
 * Hook matchers written as permission rules, `Bash(kubectl:*)`: the client compares a matcher with the tool's name
 * only, so they never fire. They become the matcher `Bash` and `"if": "Bash(kubectl:*)"` on each handler.
 */

export interface MatcherPart {
  matcher: string;
  /** The permission rule to put on the handlers; undefined for a part that was a plain matcher. */
  rule: string | undefined;
}

const toolNames = new Set<string>(TOOLS);

/** The parts that a matcher must be split into, or undefined when it holds no permission rule. */
export function splitMatcher(matcher: string): MatcherPart[] | undefined {
  const alternatives = splitAlternatives(matcher);
  if (alternatives === undefined) return undefined;
  const plain: string[] = [];
  const rules: MatcherPart[] = [];
  for (const alternative of alternatives) {
    const tool = ruleTool(alternative.trim());
    if (tool === undefined) plain.push(alternative);
    else rules.push({ matcher: tool, rule: /\(\*?\)$/.test(alternative.trim()) ? undefined : alternative.trim() });
  }
  if (rules.length === 0) return undefined;
  return plain.length === 0 ? rules : [{ matcher: plain.join('|'), rule: undefined }, ...rules];
}

function splitAlternatives(matcher: string): string[] | undefined {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let i = 0; i < matcher.length; i++) {
    const c = matcher[i];
    if (c === '(') depth += 1;
    else if (c === ')') depth -= 1;
    else if (c === '|' && depth === 0) {
      parts.push(matcher.slice(from, i));
      from = i + 1;
    }
    if (depth < 0) return undefined;
  }
  if (depth !== 0) return undefined;
  parts.push(matcher.slice(from));
  return parts;
}

/** The tool of a permission rule; undefined for a regular expression such as `Task(Create|Update)`. */
function ruleTool(alternative: string): string | undefined {
  const open = alternative.indexOf('(');
  if (open <= 0 || !alternative.endsWith(')')) return undefined;
  const tool = alternative.slice(0, open);
  if (!toolNames.has(tool)) return undefined;
  let depth = 0;
  for (let i = open; i < alternative.length - 1; i++) {
    if (alternative[i] === '(') depth += 1;
    else if (alternative[i] === ')') depth -= 1;
    if (depth === 0) return undefined;
  }
  const inner = alternative.slice(open + 1, -1).replace(/^\?:/, '');
  const namesTools = inner !== '' && inner.split('|').some((end) => toolNames.has(tool + end));
  return namesTools ? undefined : tool;
}

/** Translates the hooks object at `at` in JSON text. Text that is not strict JSON is returned as it is. */
export function translateHooks(text: string, at: JSONPath, report: Report): string {
  const edits: Edit[] = [];
  for (const list of toolEventLists(text, at)) {
    let before = list.offset + 1;
    for (const entry of list.children ?? []) {
      const edit = editEntry(text, entry, text.slice(before, entry.offset).replace(/^\s*,/, ''), report);
      if (edit !== undefined) edits.push(edit);
      before = entry.offset + entry.length;
    }
  }
  return applyEdits(text, edits);
}

interface Edit {
  offset: number;
  length: number;
  content: string;
}

function applyEdits(text: string, edits: readonly Edit[]): string {
  let result = '';
  let from = 0;
  for (const edit of [...edits].sort((a, b) => a.offset - b.offset)) {
    result += text.slice(from, edit.offset) + edit.content;
    from = edit.offset + edit.length;
  }
  return result + text.slice(from);
}

function editEntry(text: string, entry: Node, separator: string, report: Report): Edit | undefined {
  const matcher = property(entry, 'matcher');
  const handlers = property(entry, 'hooks');
  if (matcher?.type !== 'string' || handlers?.type !== 'array') return undefined;
  const objects = (handlers.children ?? []).filter((h) => h.type === 'object');
  // Two conditions cannot be joined in one `if`; validation says so.
  if (objects.some((h) => property(h, 'if') !== undefined)) return undefined;
  const parts = splitMatcher(String(matcher.value));
  if (parts === undefined) return undefined;
  const copies = parts.map((part) => {
    const edits: Edit[] = [{ offset: matcher.offset, length: matcher.length, content: JSON.stringify(part.matcher) }];
    if (part.rule !== undefined) for (const h of objects) edits.push(...insertIf(text, h, part.rule));
    const shifted = edits.map((e) => ({ ...e, offset: e.offset - entry.offset }));
    return applyEdits(text.slice(entry.offset, entry.offset + entry.length), shifted);
  });
  const after = parts.map(
    (p) => `"matcher": ${JSON.stringify(p.matcher)}${p.rule ? `, "if": ${JSON.stringify(p.rule)}` : ''}`,
  );
  report(
    'hook-matcher',
    `"matcher": ${JSON.stringify(matcher.value)}`,
    after.join(' and '),
    "A matcher is compared with the tool's name only, so a permission rule there never fires; `if` on the handler does.",
  );
  return { offset: entry.offset, length: entry.length, content: copies.join(`,${separator}`) };
}

function insertIf(text: string, handler: Node, rule: string): Edit[] {
  const last = handler.children?.at(-1);
  const first = handler.children?.[0];
  if (last === undefined || first === undefined) return [];
  const space = text.slice(handler.offset + 1, first.offset);
  const [key, value] = first.children ?? [];
  const colon = key === undefined || value === undefined ? ':' : text.slice(key.offset + key.length, value.offset);
  const lead = space === '' && colon !== ':' ? ' ' : space;
  return [{ offset: last.offset + last.length, length: 0, content: `,${lead}"if"${colon}${JSON.stringify(rule)}` }];
}
