/** Characters of which keys, tokens and checksums are made. */
const IN_RUN = new Uint8Array(128);
for (const c of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_=.-') IN_RUN[c.charCodeAt(0)] = 1;

/** A line of a text, without its end, and where it begins. */
export interface Line {
  offset: number;
  text: string;
}

/**
 * The lines that hold at least `least` characters of [A-Za-z0-9+/_=.-] in a row, in their order. Looks at about one character in
 * `least`: prose has no such runs, and patterns that need one are tried on these lines alone.
 */
export function linesWithRun(text: string, least: number): Line[] {
  const inRun = (at: number): boolean => IN_RUN[text.charCodeAt(at)] === 1;
  const lines: Line[] = [];
  for (let at = least - 1; at < text.length; at += least) {
    if (!inRun(at)) continue;
    let start = at;
    while (start > 0 && inRun(start - 1)) start -= 1;
    while (at < text.length && inRun(at)) at += 1;
    if (at - start < least) continue;
    const offset = text.lastIndexOf('\n', start) + 1;
    const end = text.indexOf('\n', at);
    at = end === -1 ? text.length : end;
    lines.push({ offset, text: text.slice(offset, at) });
  }
  return lines;
}
