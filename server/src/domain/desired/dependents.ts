import type { Dependency } from '../version/manifest.ts';

/** What each plugin of a machine needs, by name. */
export type Needs = ReadonlyMap<string, readonly Pick<Dependency, 'name' | 'kind'>[]>;

const requires = (needs: Needs, name: string): string[] =>
  (needs.get(name) ?? []).flatMap((d) => (d.kind === 'required' && d.name !== name ? [d.name] : []));

/**
 * The plugins that can only go together with this one: it requires them, itself or through others, and they require it.
 * @returns sorted, with the plugin itself
 */
export function circleOf(name: string, needs: Needs): string[] {
  const below = reach(name, needs);
  const above: Map<string, { name: string; kind: 'required' }[]> = new Map();
  for (const other of below) {
    for (const needed of requires(needs, other)) {
      const found = above.get(needed);
      if (found === undefined) above.set(needed, [{ name: other, kind: 'required' }]);
      else found.push({ name: other, kind: 'required' });
    }
  }
  return [...reach(name, above).add(name)].sort();
}

/** Names of the plugins outside of a circle that require one of it, sorted. */
export function dependentsOn(circle: readonly string[], needs: Needs): string[] {
  return [...needs.keys()]
    .filter((other) => !circle.includes(other) && requires(needs, other).some((d) => circle.includes(d)))
    .sort();
}

function reach(from: string, needs: Needs): Set<string> {
  const found = new Set<string>();
  const queue = [from];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    for (const next of requires(needs, name)) {
      if (found.has(next)) continue;
      found.add(next);
      queue.push(next);
    }
  }
  return found;
}
