/** Each text once, in code unit order. */
export function sortedUnique(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort();
}
