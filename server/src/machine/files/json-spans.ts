/** Where things lie in a JSON text: offsets of keys, values and elements. */

export interface Property {
  key: string;
  /** Offset of the opening quote. */
  start: number;
  valueStart: number;
  /** Offset behind the value. */
  end: number;
}

export interface ObjectSpan {
  /** Offset of `{`. */
  open: number;
  properties: Property[];
}

const isSpace = (code: number): boolean => code === 32 || code === 10 || code === 13 || code === 9;

/** Offset of the first character at or behind `at` that is no white space. */
export function skipSpace(text: string, at: number): number {
  let i = at;
  while (isSpace(text.charCodeAt(i))) i++;
  return i;
}

/** Offset behind the string that starts at `at`. */
export function skipString(text: string, at: number): number {
  for (let end = text.indexOf('"', at + 1); ; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === 0x5c) slashes++;
    if (slashes % 2 === 0) return end + 1;
  }
}

/** Offset behind the value that starts at `at`; the text is known to be JSON. */
function skipValue(text: string, at: number): number {
  const first = text.charCodeAt(at);
  if (first === 0x22) return skipString(text, at);
  if (first !== 0x7b && first !== 0x5b) {
    let i = at;
    while (i < text.length && !/[\s,}\]]/.test(text.charAt(i))) i++;
    return i;
  }
  let depth = 0;
  for (let i = at; ; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x22) i = skipString(text, i) - 1;
    else if (code === 0x7b || code === 0x5b) depth++;
    else if (code === 0x7d || code === 0x5d) {
      depth--;
      if (depth === 0) return i + 1;
    }
  }
}

/** Where the keys and values of the object lie that opens at `open`; the text is known to be JSON. */
export function readObject(text: string, open: number): ObjectSpan {
  const properties: Property[] = [];
  let i = skipSpace(text, open + 1);
  while (text.charCodeAt(i) !== 0x7d) {
    const start = i;
    const keyEnd = skipString(text, start);
    const valueStart = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const end = skipValue(text, valueStart);
    properties.push({ key: JSON.parse(text.slice(start, keyEnd)) as string, start, valueStart, end });
    i = skipSpace(text, end);
    if (text.charCodeAt(i) === 0x2c) i = skipSpace(text, i + 1);
  }
  return { open, properties };
}

/** The same for the elements of a list; their keys are empty. */
export function readArray(text: string, open: number): ObjectSpan {
  const properties: Property[] = [];
  let i = skipSpace(text, open + 1);
  while (text.charCodeAt(i) !== 0x5d) {
    const end = skipValue(text, i);
    properties.push({ key: '', start: i, valueStart: i, end });
    i = skipSpace(text, end);
    if (text.charCodeAt(i) === 0x2c) i = skipSpace(text, i + 1);
  }
  return { open, properties };
}
