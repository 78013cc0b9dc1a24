import { join, resolve, sep } from 'node:path';
import * as z from 'zod';
import { HaiveError } from '../../domain/errors.ts';
import { checkPath } from '../../domain/safe-path.ts';

/** A marketplace.json as Claude Code reads it, as far as importing needs it. Unknown keys are kept. */

const Source = z.union([
  z.string(),
  z.looseObject({
    source: z.string(),
    repo: z.string().optional(),
    url: z.string().optional(),
    path: z.string().optional(),
    ref: z.string().optional(),
    sha: z.string().optional(),
    package: z.string().optional(),
  }),
]);

export const CatalogueEntry = z.looseObject({
  name: z.string().min(1),
  source: Source,
  version: z.string().optional(),
  description: z.string().optional(),
  strict: z.boolean().optional(),
});
export type CatalogueEntry = z.infer<typeof CatalogueEntry>;

const Catalogue = z.looseObject({
  name: z.string().optional(),
  metadata: z.looseObject({ pluginRoot: z.string().optional() }).optional(),
  plugins: z.array(z.unknown()),
});

export interface CatalogueRow {
  /** Name as the catalogue has it; a number where it has none. */
  name: string;
  entry: CatalogueEntry | null;
  /** Why the entry cannot be read. */
  fault: string | null;
}

/** @throws HaiveError CATALOGUE_INVALID */
export function parseCatalogue(
  text: string,
  where: string,
): { name: string | undefined; rows: CatalogueRow[]; pluginRoot: string } {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (cause) {
    throw new HaiveError('CATALOGUE_INVALID', `${where} is not JSON`, { cause });
  }
  const parsed = Catalogue.safeParse(value);
  if (!parsed.success)
    throw new HaiveError('CATALOGUE_INVALID', `${where} is no marketplace: it needs a list "plugins"`);
  const rows = parsed.data.plugins.map((plugin, i): CatalogueRow => {
    const entry = CatalogueEntry.safeParse(plugin);
    if (entry.success) return { name: entry.data.name, entry: entry.data, fault: null };
    const issue = entry.error.issues[0];
    const name = (plugin as { name?: unknown } | null)?.name;
    return {
      name: typeof name === 'string' ? name : `#${i + 1}`,
      entry: null,
      fault: `${issue?.path.join('.')}: ${issue?.message}`,
    };
  });
  return { name: parsed.data.name, rows, pluginRoot: parsed.data.metadata?.pluginRoot ?? '.' };
}

/** Where an entry's files are. */
export type Location = { folder: string; inside: string } | { git: string; ref: string | undefined; inside: string };

/**
 * @param root the marketplace's folder; null for a catalogue that came alone
 * @throws HaiveError SOURCE_UNSUPPORTED, PATH_UNSAFE
 */
export function locate(entry: CatalogueEntry, root: string | null, pluginRoot: string): Location {
  const { source } = entry;
  if (typeof source === 'string') {
    if (root === null) throw unsupported(entry.name, 'a relative path, and the catalogue came without its folder');
    const bare = !source.startsWith('.') && !source.includes('/');
    const inside = safeInside(bare ? `${pluginRoot}/${source}` : source);
    return { folder: join(root, ...inside.split('/')), inside };
  }
  const ref = source.sha ?? source.ref;
  const inside = safeInside(source.path ?? '.');
  if (source.source === 'github' && source.repo !== undefined) return { git: githubUrl(source.repo), ref, inside };
  if (['url', 'git', 'git-subdir'].includes(source.source) && source.url !== undefined) {
    const url = /^[\w.-]+\/[\w.-]+$/.test(source.url) ? githubUrl(source.url) : source.url;
    return { git: url, ref, inside };
  }
  if (source.source === 'directory' && source.path !== undefined && root !== null)
    return { folder: resolve(root, inside), inside };
  throw unsupported(entry.name, `the source ${source.source.slice(0, 40)}`);
}

/** @throws HaiveError BAD_REQUEST */
export function githubUrl(repo: string): string {
  if (!/^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(repo))
    throw new HaiveError('BAD_REQUEST', `${repo.slice(0, 80)} is no owner/repo`);
  return `https://github.com/${repo}.git`;
}

function safeInside(path: string): string {
  const plain = path
    .split(sep)
    .join('/')
    .replace(/^(\.\/)+/, '')
    .replace(/\/+$/, '');
  return plain === '' || plain === '.' ? '.' : checkPath(plain.replaceAll('/./', '/'));
}

function unsupported(name: string, what: string): HaiveError {
  return new HaiveError('SOURCE_UNSUPPORTED', `${name.slice(0, 80)} comes from ${what}`, {
    hint: 'Import takes folders of the marketplace and git repositories.',
  });
}
