const MAX_LENGTH = 40;

/** The known word nearest to a misspelled one, within two edits; undefined when none is near. */
export function suggest(word: string, known: readonly string[]): string | undefined {
  if (word.length > MAX_LENGTH) return undefined;
  let best: string | undefined;
  let bestDistance = word.length <= 4 ? 2 : 3;
  for (const candidate of known) {
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue;
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Names that somebody who wrote `name` may have meant, the likeliest first: a slip of the finger, or a part of the name. */
function meantNames(name: string, known: readonly string[]): string[] {
  const near = suggest(name, known);
  const parts = name.length < 3 ? [] : known.filter((other) => other.includes(name) || name.includes(other));
  return [...new Set([...(near === undefined ? [] : [near]), ...parts])].slice(0, 3);
}

/** `{hint: 'Did you mean X?'}` for an error about a name that is not known; empty where nothing comes close. */
export function meantHint(name: string, known: readonly string[]): { hint?: string } {
  const names = meantNames(name, known);
  return names.length === 0 ? {} : { hint: `Did you mean ${names.join(', ')}?` };
}

/** ` Did you mean X?`, or nothing. */
export function didYouMean(word: string, known: readonly string[]): string {
  const near = suggest(word, known);
  return near === undefined ? '' : ` Did you mean ${near}?`;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
