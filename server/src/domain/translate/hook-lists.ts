import { findNodeAtLocation, type JSONPath, type Node, parseTree } from 'jsonc-parser';
import { TOOL_EVENTS } from '../client-facts.ts';

/** The lists of the events about tools in the hooks object at `at`; none in text that is not strict JSON. */
export function toolEventLists(text: string, at: JSONPath): Node[] {
  try {
    JSON.parse(text);
  } catch {
    return [];
  }
  const root = parseTree(text);
  const hooks = root === undefined ? undefined : findNodeAtLocation(root, at);
  if (hooks?.type !== 'object') return [];
  return (hooks.children ?? []).flatMap((event) => {
    const [name, list] = event.children ?? [];
    return list?.type === 'array' && (TOOL_EVENTS as readonly unknown[]).includes(name?.value) ? [list] : [];
  });
}

/** The value of a property; the last one where a key is written twice, as JSON.parse takes it. */
export function property(node: Node, key: string): Node | undefined {
  return node.children?.findLast((p) => p.children?.[0]?.value === key)?.children?.[1];
}
