import { findFrontMatter } from '../../domain/version/front-matter.ts';
import type { Cut } from '../receipts/index.ts';

/** Lines of front matter taken out of a text, and put back into it. */

/** With their ends. */
export const linesOf = (text: string): string[] => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];

/** A text of the tree without them. */
export function withoutCuts(text: string, cuts: readonly Cut[]): string {
  let from = findFrontMatter(text)?.start ?? 0;
  let left = text.slice(0, from);
  for (const cut of cuts) {
    const at = text.indexOf(cut.text, from);
    if (at === -1) continue;
    left += text.slice(from, at);
    from = at + cut.text.length;
  }
  return left + text.slice(from);
}

/** The inverse: each behind the line that it followed, or in front where that is gone; none where there is no front matter any more. */
export function withCuts(text: string, cuts: readonly Cut[]): string {
  const block = findFrontMatter(text);
  if (block === undefined) return text;
  const lines = linesOf(text.slice(block.start, block.end));
  for (const { after, text: cut } of [...cuts].reverse()) {
    const at = after === '' ? 0 : lines.findIndex((line) => line.trimEnd() === after) + 1;
    lines.splice(at, 0, cut);
  }
  return text.slice(0, block.start) + lines.join('') + text.slice(block.end);
}
