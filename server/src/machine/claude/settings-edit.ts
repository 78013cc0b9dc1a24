import { HaiveError } from '../../domain/errors.ts';
import { type ObjectSpan, type Property, readArray, readObject, skipSpace, skipString } from '../files/json-spans.ts';
import type { FileNotes } from '../receipts/index.ts';

/**
 * Edits of single keys in the text of somebody else's JSON file. Everything outside the key stays byte for byte, and
 * taking a key out again gives the bytes from before it was put in: a new key goes behind the last one, carrying its
 * own comma and space in front. The notes remember what the text alone cannot tell.
 */

const BOM = '\uFEFF';

function invalid(where: string, why: string, cause?: unknown): HaiveError {
  return new HaiveError('SETTINGS_INVALID', `${where} ${why}`, { details: { path: where }, cause });
}

/** @throws HaiveError SETTINGS_INVALID for anything but one JSON object */
export function parseSettings(text: string, where: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text.startsWith(BOM) ? text.slice(1) : text);
  } catch (cause) {
    throw invalid(where, 'is not JSON', cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(where, 'is not a JSON object');
  return value as Record<string, unknown>;
}

/** The objects of the text that was looked at last, by where they open: one edit asks for the same ones several times. */
let looked: { text: string; objects: Map<number, ObjectSpan> } = { text: '', objects: new Map() };

/** The text is known to be JSON. */
function objectAt(text: string, open: number): ObjectSpan {
  if (looked.text !== text) looked = { text, objects: new Map() };
  const span = looked.objects.get(open) ?? readObject(text, open);
  looked.objects.set(open, span);
  return span;
}

const rootOf = (text: string): ObjectSpan => objectAt(text, skipSpace(text, text.startsWith(BOM) ? 1 : 0));

/** The object at `path`, or how far the path exists. */
function descend(text: string, path: readonly string[], where: string): { span: ObjectSpan; depth: number } {
  // Only a text that is JSON was ever looked at.
  if (looked.text !== text || looked.objects.size === 0) parseSettings(text, where);
  let span = rootOf(text);
  for (let depth = 0; depth < path.length; depth++) {
    const found = find(span, path[depth] ?? '', where);
    if (found === undefined) return { span, depth };
    if (text.charCodeAt(found.valueStart) !== 0x7b) {
      throw invalid(where, `holds something other than an object at ${pointer(path.slice(0, depth + 1))}`);
    }
    span = objectAt(text, found.valueStart);
  }
  return { span, depth: path.length };
}

function find(span: ObjectSpan, key: string, where: string): Property | undefined {
  const all = span.properties.filter((p) => p.key === key);
  if (all.length > 1) throw invalid(where, `holds the key ${JSON.stringify(key)} twice`);
  return all[0];
}

/** RFC 6901. */
export function pointer(path: readonly string[]): string {
  return path.map((part) => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** The space between `{` and its first key, or null where there is none. */
function leadOf(text: string, span: ObjectSpan): string | null {
  const first = span.properties[0];
  return first === undefined ? null : text.slice(span.open + 1, first.start);
}

function indentOf(lead: string | null): string | null {
  const line = lead === null ? -1 : lead.lastIndexOf('\n');
  return lead === null || line < 0 ? null : lead.slice(line + 1);
}

/** A value as text, in the file's own way: line end, indentation, or all on one line. */
function render(value: unknown, indent: string | null, unit: string, eol: string): string {
  if (indent === null) return JSON.stringify(value);
  return JSON.stringify(value, null, unit).replaceAll('\n', `${eol}${indent}`);
}

/** The text of the value at `path`, or undefined. @throws HaiveError SETTINGS_INVALID */
export function getKeyText(text: string, path: readonly string[], where: string): string | undefined {
  const { span, depth } = descend(text, path.slice(0, -1), where);
  if (depth < path.length - 1) return undefined;
  const found = find(span, path.at(-1) ?? '', where);
  return found === undefined ? undefined : text.slice(found.valueStart, found.end);
}

/**
 * Sets a key. Objects missing on the way are made and written into `notes`, as is a value that was replaced.
 * @throws HaiveError SETTINGS_INVALID: not JSON, a key twice, something other than an object on the way
 */
export function setKey(text: string, path: readonly string[], value: unknown, notes: FileNotes, where: string): string {
  const { span, depth } = descend(text, path.slice(0, -1), where);
  const key = path[depth] ?? '';
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  const rootIndent = indentOf(leadOf(text, rootOf(text)));
  const unit = rootIndent === null || rootIndent === '' ? '  ' : rootIndent;
  const last = span.properties.at(-1);
  const indent = indentOf(leadOf(text, span));

  if (depth === path.length - 1) {
    const found = find(span, key, where);
    if (found !== undefined) {
      const was = text.slice(found.valueStart, found.end);
      if (JSON.stringify(JSON.parse(was)) === JSON.stringify(value)) return text;
      const ours = render(value, indent, unit, eol);
      const at = pointer(path);
      notes.replaced[at] = { was: notes.replaced[at]?.was ?? was, ours };
      return text.slice(0, found.valueStart) + ours + text.slice(found.end);
    }
  }

  let whole = value;
  for (let i = path.length - 1; i > depth; i--) {
    whole = { [path[i] ?? '']: whole };
    const made = pointer(path.slice(0, i));
    if (!notes.parents.includes(made)) notes.parents.push(made);
  }
  const lead = last === undefined ? '' : separator(text, span);
  const colon = last !== undefined ? colonOf(text, last) : ':';
  const property = `${JSON.stringify(key)}${colon}${render(whole, last === undefined ? null : indent, unit, eol)}`;
  const at = last === undefined ? span.open + 1 : last.end;
  return `${text.slice(0, at)}${last === undefined ? '' : ','}${lead}${property}${text.slice(at)}`;
}

/** What stands between a comma and the next key in this object. */
function separator(text: string, span: ObjectSpan): string {
  const [first, second] = span.properties;
  if (first !== undefined && second !== undefined) {
    const between = text.slice(first.end, second.start);
    const comma = between.indexOf(',');
    return between.slice(comma + 1);
  }
  return leadOf(text, span) ?? '';
}

function colonOf(text: string, property: Property): string {
  return text.slice(skipString(text, property.start), property.valueStart);
}

function cut(text: string, span: ObjectSpan, key: string): string {
  return cutAt(
    text,
    span,
    span.properties.findIndex((p) => p.key === key),
  );
}

function cutAt(text: string, span: ObjectSpan, index: number): string {
  const own = span.properties[index];
  if (own === undefined) return text;
  const before = span.properties[index - 1];
  const after = span.properties[index + 1];
  if (before !== undefined) return text.slice(0, before.end) + text.slice(own.end);
  if (after !== undefined) return text.slice(0, own.start) + text.slice(after.start);
  return text.slice(0, span.open + 1) + text.slice(own.end);
}

/**
 * Takes a key out again: a value that we replaced comes back, objects that we made and that are empty now go too.
 * A key that is not there is no error.
 * @throws HaiveError SETTINGS_INVALID
 */
export function removeKey(text: string, path: readonly string[], notes: FileNotes, where: string): string {
  const at = pointer(path);
  const replaced = notes.replaced[at];
  const { span, depth } = descend(text, path.slice(0, -1), where);
  const found = depth === path.length - 1 ? find(span, path.at(-1) ?? '', where) : undefined;
  if (replaced !== undefined) {
    delete notes.replaced[at];
    if (found === undefined) return text;
    const now = text.slice(found.valueStart, found.end);
    const untouched = JSON.stringify(JSON.parse(now)) === JSON.stringify(JSON.parse(replaced.ours));
    return untouched ? text.slice(0, found.valueStart) + replaced.was + text.slice(found.end) : text;
  }
  let next = found === undefined ? text : cut(text, span, found.key);
  for (let i = path.length - 1; i > 0; i--) {
    const parent = pointer(path.slice(0, i));
    if (!notes.parents.includes(parent)) continue;
    const here = descend(next, path.slice(0, i), where);
    if (here.depth === i && here.span.properties.length > 0) continue;
    notes.parents = notes.parents.filter((p) => p !== parent);
    if (here.depth < i) continue;
    const above = descend(next, path.slice(0, i - 1), where);
    next = cut(next, above.span, path[i - 1] ?? '');
  }
  return next;
}

/** Whether the text is an object without any key. */
export function isEmptyObject(text: string, where: string): boolean {
  return Object.keys(parseSettings(text, where)).length === 0;
}

/** The array at `path`, or undefined where there is none. */
function arrayAt(text: string, path: readonly string[], where: string): ObjectSpan | undefined {
  const { span, depth } = descend(text, path.slice(0, -1), where);
  const found = depth === path.length - 1 ? find(span, path.at(-1) ?? '', where) : undefined;
  if (found === undefined) return undefined;
  if (text.charCodeAt(found.valueStart) !== 0x5b) {
    throw invalid(where, `holds something other than a list at ${pointer(path)}`);
  }
  return readArray(text, found.valueStart);
}

/** The elements of the list at `path`; none where there is no list. @throws HaiveError SETTINGS_INVALID */
export function getElements(text: string, path: readonly string[], where: string): unknown[] {
  return (arrayAt(text, path, where)?.properties ?? []).map((p) => JSON.parse(text.slice(p.valueStart, p.end)));
}

/**
 * Puts a value behind the last element of a list; a list or objects missing on the way are made and noted.
 * @throws HaiveError SETTINGS_INVALID: not JSON, a key twice, something else in the list's place
 */
export function addElement(
  text: string,
  path: readonly string[],
  value: unknown,
  notes: FileNotes,
  where: string,
): string {
  const span = arrayAt(text, path, where);
  if (span === undefined) {
    notes.parents.push(pointer(path));
    return setKey(text, path, [value], notes, where);
  }
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  const rootIndent = indentOf(leadOf(text, rootOf(text)));
  const unit = rootIndent === null || rootIndent === '' ? '  ' : rootIndent;
  const last = span.properties.at(-1);
  if (last === undefined) {
    return `${text.slice(0, span.open + 1)}${JSON.stringify(value)}${text.slice(span.open + 1)}`;
  }
  const whole = render(value, indentOf(leadOf(text, span)), unit, eol);
  return `${text.slice(0, last.end)},${separator(text, span)}${whole}${text.slice(last.end)}`;
}

/**
 * Takes the n-th element out again; a list that we made and that is empty now goes too, with what we made around it.
 * @throws HaiveError SETTINGS_INVALID
 */
export function removeElement(
  text: string,
  path: readonly string[],
  index: number,
  notes: FileNotes,
  where: string,
): string {
  const span = arrayAt(text, path, where);
  if (span === undefined) {
    // The list is gone already; what the notes say of it goes as well.
    notes.parents = notes.parents.filter((p) => p !== pointer(path));
    return removeKey(text, path, notes, where);
  }
  if (span.properties[index] === undefined) return text;
  if (span.properties.length === 1 && notes.parents.includes(pointer(path))) {
    notes.parents = notes.parents.filter((p) => p !== pointer(path));
    return removeKey(text, path, notes, where);
  }
  return cutAt(text, span, index);
}
