import type { JSONPath } from 'jsonc-parser';
import { isJsonObject, readJson } from '../json/read.ts';
import { type Component, componentsOf } from '../version/components.ts';
import { classifier, HOOKS_PATH, MANIFEST_PATH, MCP_PATH, namedPaths } from '../version/file-types.ts';
import type { SourceFile } from '../version/package.ts';
import { grantTargets, translateGrants } from './grants.ts';
import { translateHooks } from './hooks.ts';
import { renamePlugin } from './identity.ts';
import { translateManifest } from './manifest.ts';
import { translateMatchers } from './matchers.ts';
import { nameRootSkill } from './skill-name.ts';
import { dropKeysThatComeAgain } from './twice.ts';

/** One thing that translation rewrote, for the author to see. */
export interface Change {
  file: string;
  /** Stable name of the rule. */
  rule: string;
  before: string;
  after: string;
  why: string;
}

export type Report = (rule: string, before: string, after: string, why: string) => void;

/** How a grant of a server's tools begins: a file without it needs no reading. */
const GRANT = 'mcp__';
const MAX_TEXT = 1024 * 1024;

/**
 * Rewrites the seed's dialect into what Claude Code loads. Pure; never throws: what it cannot read it leaves as it is.
 * Translating the result again changes nothing. Unchanged files are the very same objects.
 */
export function translate(files: readonly SourceFile[]): { files: SourceFile[]; changes: Change[] } {
  const changes: Change[] = [];
  const result = [...files];
  const paths = new Set(files.map((f) => f.path));

  const edit = (path: string, change: (text: string, report: Report) => string, encoding: 'utf8' | 'latin1') => {
    const index = result.findIndex((f) => f.path === path);
    const file = result[index];
    if (file === undefined || file.bytes.length > MAX_TEXT) return;
    const text = file.bytes.toString(encoding);
    // Every byte is a character of latin1; what is not UTF-8 would not come back as it was.
    if (encoding === 'utf8' && !Buffer.from(text).equals(file.bytes)) return;
    const reported: Change[] = [];
    const show = (part: string) => (encoding === 'utf8' ? part : Buffer.from(part, encoding).toString('utf8'));
    let next: string;
    try {
      next = change(text, (rule, before, after, why) => {
        reported.push({ file: path, rule, before: show(before), after: show(after), why });
      });
    } catch {
      return; // too deep for the parser; validation says what is wrong with it
    }
    if (next === text) return;
    result[index] = { ...file, bytes: Buffer.from(next, encoding) };
    changes.push(...reported);
  };

  edit(MANIFEST_PATH, dropKeysThatComeAgain, 'utf8');
  edit(MANIFEST_PATH, (text, report) => translateManifest(text, paths, report), 'utf8');
  const manifest = readJson(result.find((f) => f.path === MANIFEST_PATH)?.bytes) ?? {};
  const hookFiles = new Set([HOOKS_PATH, ...pathsOf(manifest.hooks)]);
  const serverFiles = new Set([MCP_PATH, ...pathsOf(manifest.mcpServers)]);
  for (const path of [...hookFiles, ...serverFiles]) {
    edit(path, dropByteOrderMark, 'utf8');
    edit(path, dropKeysThatComeAgain, 'utf8');
  }
  const targets = grantTargets(manifest, (path) => readJson(result.find((f) => f.path === path)?.bytes));
  const given = readJson(files.find((f) => f.path === MANIFEST_PATH)?.bytes)?.name;
  const isRenamed = typeof given === 'string' && typeof manifest.name === 'string' && given !== manifest.name;
  const rename = (text: string, report: Report): string => {
    if (typeof given !== 'string' || typeof manifest.name !== 'string') return text;
    const renamed = renamePlugin(text, given, manifest.name);
    if (renamed !== text) report('name', given, manifest.name, 'The plugin has its name in small letters.');
    return renamed;
  };
  const editHooks = (path: string, at: JSONPath) => {
    if (isRenamed && path !== MANIFEST_PATH) edit(path, rename, 'utf8');
    edit(path, (text, report) => translateHooks(text, at, report), 'utf8');
    edit(path, (text, report) => translateMatchers(text, at, targets, report), 'utf8');
  };
  for (const path of hookFiles) editHooks(path, ['hooks']);
  if (Array.isArray(manifest.hooks)) {
    manifest.hooks.forEach((entry, i) => {
      if (isJsonObject(entry)) editHooks(MANIFEST_PATH, ['hooks', i]);
    });
  } else if (isJsonObject(manifest.hooks)) {
    editHooks(MANIFEST_PATH, ['hooks']);
  }

  const typeOf = classifier(manifest);
  for (const { path, bytes } of files) {
    const type = typeOf(path);
    const carriesGrants =
      type === 'command' || type === 'agent' ? true : type === 'skill' && /(^|\/)SKILL\.md$/i.test(path);
    // Grants are ASCII: read byte for byte, so that any encoding of the rest survives.
    if (!carriesGrants || !(isRenamed || bytes.includes(GRANT))) continue;
    if (isRenamed) edit(path, rename, 'latin1');
    edit(path, (text, report) => translateGrants(text, targets, report), 'latin1');
  }
  const isRoot = ({ kind, file }: Component): boolean => kind === 'skill' && file === 'SKILL.md';
  if (componentsOf(manifest, [...paths]).some(isRoot))
    edit('SKILL.md', (text, report) => nameRootSkill(text, manifest.name, report), 'utf8');
  return { files: result, changes };
}

function pathsOf(value: unknown): string[] {
  return typeof value === 'string' || Array.isArray(value) ? namedPaths(value) : [];
}

function dropByteOrderMark(text: string, report: Report): string {
  if (!text.startsWith('\uFEFF')) return text;
  report('byte-order-mark', 'U+FEFF', '', 'Claude Code does not read this file with a byte order mark.');
  return text.slice(1);
}
