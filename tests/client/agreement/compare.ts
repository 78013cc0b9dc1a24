// Our validation beside `claude plugin validate --json`, plugin by plugin.
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { HaiveError } from '../../../server/src/domain/errors.ts';
import { type Finding, hasErrors, MENDED_BY_PUBLISHING } from '../../../server/src/domain/findings/index.ts';
import { translate } from '../../../server/src/domain/translate/index.ts';
import { validatePlugin } from '../../../server/src/domain/validate/index.ts';
import type { SourceFile } from '../../../server/src/domain/version/package.ts';
import { readPlugin } from '../../../server/src/machine/read-plugin.ts';
import type { TempHome } from '../../support/temp-home.ts';
import { validateByClient } from '../harness/validate.ts';

/** What only a registry for all systems minds: names, versions and paths that it cannot tell apart or ship everywhere. */
const REGISTRY_RULES = new Set([
  'NAME_INVALID',
  'NAME_RESERVED',
  'VERSION_INVALID',
  'PATH_UNSAFE',
  'PATH_COLLISION',
  'FRONT_MATTER_LARGE',
]);

/** `mended`: the client refuses it as written, and what publishing makes of it is accepted. */
export type Verdict = 'pass' | 'mended' | 'registry rule' | 'fail';

export interface Comparison {
  name: string;
  ours: Verdict;
  client: 'pass' | 'fail';
  errors: Finding[];
  findings: Finding[];
  clientErrors: string[];
  clientWarnings: string[];
}

export const MAX_BYTES = 500 * 1024 * 1024;

/** Folders below `root` that hold a plugin's manifest, and `root` itself; not those inside another plugin that is no marketplace. */
export async function pluginFolders(root: string, depth = 6): Promise<string[]> {
  const has = (name: string): Promise<boolean> =>
    stat(join(root, '.claude-plugin', name)).then(
      (info) => info.isFile(),
      () => false,
    );
  const isPlugin = await has('plugin.json');
  // the root of a marketplace may be a plugin itself, beside others
  if (depth === 0 || (isPlugin && !(await has('marketplace.json')))) return isPlugin ? [root] : [];
  const found: string[] = isPlugin ? [root] : [];
  for (const entry of (await readdir(root, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (!entry.isDirectory() || ['.git', 'node_modules'].includes(entry.name)) continue;
    found.push(...(await pluginFolders(join(root, entry.name), depth - 1)));
  }
  return found;
}

/** Compares every folder, two clients at a time. */
export async function compareAll(
  home: TempHome,
  root: string,
  folders: readonly (string | { folder: string; name: string })[],
): Promise<Comparison[]> {
  const results: Comparison[] = [];
  const waiting = folders.map((given, i) => {
    const { folder, name } = typeof given === 'string' ? { folder: given, name: relative(root, given) || '.' } : given;
    return { folder, name, i };
  });
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      results[next.i] = await compare(home, next.folder, next.name);
    }
  };
  await Promise.all([worker(), worker()]);
  return results;
}

async function compare(home: TempHome, folder: string, name: string): Promise<Comparison> {
  const client = await byClient(home, folder).catch((thrown: unknown) => ({
    success: false,
    errors: [String(thrown).slice(0, 500)],
    warnings: [],
  }));
  const base = { name, clientErrors: client.errors, clientWarnings: client.warnings };
  const verdict = client.success ? 'pass' : 'fail';
  let files: SourceFile[];
  try {
    files = await readPlugin(folder, { maxBytes: MAX_BYTES });
  } catch (thrown) {
    if (!(thrown instanceof HaiveError)) throw thrown;
    const finding = { code: thrown.code, severity: 'error' as const, file: '', line: null, column: null };
    const errors = [{ ...finding, message: thrown.message, fix: thrown.hint }];
    return { ...base, client: verdict, ours: 'fail', errors, findings: errors };
  }
  const findings = validatePlugin(files);
  const errors = findings.filter((f) => f.severity === 'error');
  const rules = findings.filter((f) => REGISTRY_RULES.has(f.code) && f.fix !== MENDED_BY_PUBLISHING);
  let ours: Verdict = 'pass';
  if (hasErrors(findings)) ours = 'fail';
  else if (rules.length > 0) ours = 'registry rule';
  else if (!client.success && (await mends(home, files))) ours = 'mended';
  return { ...base, client: verdict, ours, errors: ours === 'registry rule' ? rules : errors, findings };
}

async function byClient(home: TempHome, folder: string) {
  const both = await stat(join(folder, '.claude-plugin', 'marketplace.json')).then(
    () => true,
    () => false,
  );
  return validateByClient(home, both ? join(folder, '.claude-plugin', 'plugin.json') : folder);
}

/** Whether translation changes the plugin, and the client accepts what comes out. */
async function mends(home: TempHome, files: SourceFile[]): Promise<boolean> {
  const translated = translate(files);
  if (translated.changes.length === 0) return false;
  const folder = await mkdtemp(join(tmpdir(), 'hv mended-'));
  try {
    await writeSource(folder, translated.files);
    return (await validateByClient(home, folder)).success;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Writes a plugin's files below `folder`. */
export async function writeSource(folder: string, files: readonly SourceFile[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const { path, bytes, executable } of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes, { mode: executable ? 0o755 : 0o644 });
  }
}
