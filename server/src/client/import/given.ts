import { realpath } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { HaiveError } from '../../domain/errors.ts';
import { withoutLogin } from '../../domain/redact.ts';
import type { SourceFile } from '../../domain/version/package.ts';
import { readPlugin } from '../../machine/read-plugin.ts';
import { type CatalogueEntry, locate } from './catalogue.ts';
import { isPicked, isPlugin } from './entry-files.ts';
import type { OpenSource } from './open-source.ts';
import { lackingSubmodules } from './submodules.ts';

export interface EntryJob {
  source: OpenSource;
  pluginRoot: string;
  /** What the marketplace calls itself. */
  marketplace: string | undefined;
  /** Limit for one plugin's files, in bytes. */
  maxBytes: number;
  clock: () => Date;
}

/**
 * The files of one entry's plugin as they lie there, and where that is.
 * @throws HaiveError of reading; SOURCE_UNSUPPORTED (also a submodule that is not there), PATH_UNSAFE, NOT_FOUND where there is no plugin
 */
export async function readGiven(
  entry: CatalogueEntry,
  job: EntryJob,
): Promise<{ given: SourceFile[]; origin: string }> {
  const { source } = job;
  const place = locate(entry, source.root, job.pluginRoot);
  const { root, commit, address } =
    'folder' in place
      ? { root: source.root ?? '', commit: source.commit, address: source.origin }
      : { ...(await cloned(source, place.git, place.ref)), address: withoutLogin(place.git) };
  const { inside } = place;
  const lacking = await lackingSubmodules(root);
  refuseLacking(lacking.find((path) => isAbove(path, inside)));
  const folder = await within(root, 'folder' in place ? place.folder : join(root, ...inside.split('/')));
  const given = await readPlugin(folder, { maxBytes: job.maxBytes, linksWithin: root });
  refuseLacking(lacking.find((path) => isAbove(inside, path) && isPicked(given, entry, path)));
  if (!isPlugin(given, entry))
    throw new HaiveError(
      'NOT_FOUND',
      `There is no plugin at ${inside}: neither a plugin.json nor a component, and the entry names none`,
    );
  const at = commit === null ? '' : `@${commit}`;
  return { given, origin: `${address}${at}${inside === '.' ? '' : `#${inside}`}` };
}

async function cloned(source: OpenSource, url: string, ref: string | undefined) {
  const { folder, commit } = await source.repository(url, ref);
  return { root: folder, commit };
}

/** What a plugin lacks with a submodule, only its author knows: it is not taken without. */
function refuseLacking(path: string | undefined): void {
  if (path === undefined) return;
  throw new HaiveError(
    'SOURCE_UNSUPPORTED',
    `${path} is a git submodule, which import does not fetch: clone with --recurse-submodules and import that folder`,
  );
}

const isAbove = (one: string, other: string): boolean => one === '.' || `${other}/`.startsWith(`${one}/`);

/** The folder's real place: a link in somebody's marketplace must not lead to files of this machine. */
async function within(root: string, folder: string): Promise<string> {
  let real: string;
  try {
    real = await realpath(folder);
  } catch (cause) {
    throw new HaiveError('NOT_FOUND', `There is nothing at ${relative(root, folder)}`, {
      cause,
      hint: 'Mend the source of this entry in the marketplace.',
    });
  }
  const way = relative(await realpath(root), real);
  if (way === '..' || way.startsWith(`..${sep}`))
    throw new HaiveError('PATH_UNSAFE', `${relative(root, folder)} leads out of the marketplace`);
  return real;
}
