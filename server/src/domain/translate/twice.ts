import { type Node, parseTree } from 'jsonc-parser';
import type { Report } from './index.ts';

const MAX_SHOWN = 200;
const WHY =
  'JSON with a key twice is read in two ways: Claude Code takes the last one, a person and other programs may see the first.';

/**
 * Takes out of JSON text what stands under a key that comes again in the same object: no reader of the client's sees it.
 * Text that is not strict JSON is returned as it is.
 */
export function dropKeysThatComeAgain(text: string, report: Report): string {
  const bom = text.startsWith('\uFEFF') ? 1 : 0;
  const json = text.slice(bom);
  try {
    JSON.parse(json);
  } catch {
    return text;
  }
  const dead = deadParts(parseTree(json));
  let result = text.slice(0, bom);
  let at = 0;
  for (const { from, to } of dead) {
    report('key-twice', json.slice(from, Math.min(to, from + MAX_SHOWN)).trimEnd(), '', WHY);
    result += json.slice(at, from);
    at = to;
  }
  return result + json.slice(at);
}

interface Dead {
  from: number;
  to: number;
}

/** In the order of the text; what lies inside another is not named again. */
function deadParts(node: Node | undefined): Dead[] {
  const children = node?.children ?? [];
  if (node?.type !== 'object') return children.flatMap(deadParts);
  const last = new Map(children.map((property) => [property.children?.[0]?.value as string, property]));
  return children.flatMap((property, i) => {
    const key = property.children?.[0]?.value as string;
    const next = children[i + 1];
    if (last.get(key) === property || next === undefined) return deadParts(property.children?.[1]);
    return [{ from: property.offset, to: next.offset }];
  });
}
