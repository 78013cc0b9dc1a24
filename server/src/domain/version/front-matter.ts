import matter from 'gray-matter';
import { HaiveError } from '../errors.ts';

/** The only importer of gray-matter: by default it EXECUTES front matter that calls itself JavaScript. */

const MAX_BLOCK = 64 * 1024;
const MAX_NODES = 10_000;
const MAX_DEPTH = 32;
const MAX_MERGE_ALIASES = 32;
/** What YAML allows in no text, without NUL, which the client does not read past either. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
const CONTROL = /[\u0001-\u0008\u000b\u000c\u000e-\u001f\u007f-\u0084\u0086-\u009f]/g;
const UNSAFE_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

export interface FrontMatter {
  data: Record<string, unknown>;
  body: string;
  hasFrontMatter: boolean;
}

/** Where the block lies in the text, in UTF-16 units: its YAML is `text.slice(start, end)`. */
export interface FrontMatterBlock {
  start: number;
  end: number;
  bodyStart: number;
}

const refuse = (language: string) => ({
  parse: (): object => {
    throw new HaiveError('COMPONENT_INVALID', `Front matter in ${language} is not supported`);
  },
});

const ENGINES = Object.fromEntries(
  ['javascript', 'js', 'json', 'json5', 'toml', 'coffee', 'coffeescript', 'cson'].map((l) => [l, refuse(l)]),
);

/**
 * Finds the block as Claude Code does: `---` alone on the first line, up to the next `---` wherever it stands (a
 * `---` inside a value ends the block there too). `---js` is no front matter.
 */
export function findFrontMatter(text: string): FrontMatterBlock | undefined {
  const from = text.startsWith('\uFEFF') ? 1 : 0;
  const open = /^---[^\S\n]*\n/.exec(text.slice(from));
  if (open === null) return undefined;
  const start = from + open[0].length;
  const end = text.indexOf('---', start);
  if (end === -1) return undefined;
  const close = /^---[^\S\n]*\n?/.exec(text.slice(end, end + 1024));
  return { start, end, bodyStart: end + (close?.[0].length ?? 3) };
}

/**
 * Reads YAML front matter. Nothing in it is ever executed; sizes, aliases and nesting are bounded; keys that could
 * reach a prototype are dropped. Like Claude Code, a block that is not YAML is tried again with its plain values quoted.
 * @throws HaiveError COMPONENT_INVALID with details.line (1-based) where known, details.tooLarge where nothing else is wrong
 */
export function parseFrontMatter(text: string): FrontMatter {
  const block = findFrontMatter(text);
  if (block === undefined) return { data: {}, body: text, hasFrontMatter: false };
  const body = text.slice(block.bodyStart);
  if (block.end - block.start > MAX_BLOCK) throw tooLarge(`The front matter is longer than ${MAX_BLOCK / 1024} KB`);
  // the client reads past control characters, the YAML parser here would not
  const yaml = text.slice(block.start, block.end).replace(/\r\n?/g, '\n').replace(CONTROL, ' ');
  const merges = yaml.includes('<<') ? (yaml.match(/\*/g)?.length ?? 0) : 0;
  if (merges > MAX_MERGE_ALIASES) throw tooLarge('The front matter merges too many YAML aliases');
  const value = parseLenient(yaml);
  if (value === null || value === undefined) return { data: {}, body, hasFrontMatter: true };
  if (typeof value !== 'object' || Array.isArray(value) || value instanceof Date) {
    throw new HaiveError('COMPONENT_INVALID', 'The front matter is not a YAML mapping (key: value)');
  }
  const budget = { nodes: MAX_NODES };
  return { data: plainCopy(value, budget, 0) as Record<string, unknown>, body, hasFrontMatter: true };
}

/** More than this program reads; Claude Code may read it all the same. */
function tooLarge(message: string): HaiveError {
  return new HaiveError('COMPONENT_INVALID', message, { details: { tooLarge: true } });
}

function parseLenient(yaml: string): unknown {
  if (/^[\s]*$/.test(yaml)) return {};
  try {
    // text after a list in brackets: not YAML to the client, a mapping to this parser
    if (/^[A-Za-z_][\w-]*:[ \t]+\[[^\]\n]*\][ \t]*[^\s#,\]]/m.test(yaml)) return parseYaml(quoteValues(yaml));
    return parseYaml(yaml);
  } catch (first) {
    const quoted = quoteValues(yaml);
    if (quoted !== yaml) {
      try {
        return parseYaml(quoted);
      } catch {
        // the author's own text is what the message must speak of
      }
    }
    if (first instanceof HaiveError) throw first;
    const mark = (first as { mark?: { line?: unknown } }).mark;
    const reason =
      (first as { reason?: unknown }).reason ??
      (mark === undefined && first instanceof Error ? first.message : undefined);
    throw new HaiveError(
      'COMPONENT_INVALID',
      `The front matter is not YAML: ${String(reason ?? 'it cannot be read')}`,
      {
        cause: first,
        // gray-matter's block starts with the end of the opening line, so its line 0 is the file's first line
        details: typeof mark?.line === 'number' ? { line: mark.line + 1 } : {},
      },
    );
  }
}

/** Validation and the surface read the same blocks one after the other, and the next version has most of them again. */
const READ = new Map<string, unknown>();
const MAX_READ = 400;
const MAX_READ_BLOCK = 2048;

/** Never hand out what this returns: it is kept. */
function parseYaml(yaml: string): unknown {
  const known = READ.get(yaml);
  if (known !== undefined) return known;
  // the client refuses it, where this parser sees a key of an inner mapping
  if (/^[\w-]+:[ \t]+\?(?:\s|$)/m.test(yaml)) throw new Error('a value starts with "? "');
  // `json: true` reaches js-yaml and lets a later key win over an earlier one of the same name, as the client does.
  const options = { engines: ENGINES, language: 'yaml', json: true } as Parameters<typeof matter>[1];
  const { data } = matter(`---\n${yaml}\n---\n`, options);
  if (yaml.length <= MAX_READ_BLOCK) {
    if (READ.size >= MAX_READ) READ.clear();
    READ.set(yaml, data);
  }
  return data;
}

/** Quotes values such as `[a|b] [c]` or `Use this: do that`, which are not YAML but which the client takes as text. */
function quoteValues(yaml: string): string {
  return yaml
    .split('\n')
    .map((line) => {
      const pair = /^([A-Za-z_][\w-]*):[ \t]+(\S.*)$/.exec(line);
      const [key, value] = [pair?.[1], pair?.[2]?.trimEnd()];
      if (key === undefined || value === undefined || /^(["']).*\1$/.test(value)) return line;
      return /[{}[\]*&#!|>%@`]|: |^,/.test(value) ? `${key}: ${JSON.stringify(value)}` : line;
    })
    .join('\n');
}

function plainCopy(value: unknown, budget: { nodes: number }, depth: number): unknown {
  budget.nodes -= 1;
  if (budget.nodes < 0 || depth > MAX_DEPTH) {
    throw tooLarge('The front matter is too large or too deep (YAML aliases count each time)');
  }
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? '' : value.toISOString();
  if (Array.isArray(value)) return value.map((v) => plainCopy(v, budget, depth + 1));
  if (typeof value === 'object' && value !== null) {
    const copy: Record<string, unknown> = {};
    for (const [key, inner] of Object.entries(value)) {
      if (!UNSAFE_KEYS.has(key)) copy[key] = plainCopy(inner, budget, depth + 1);
    }
    return copy;
  }
  return value;
}
