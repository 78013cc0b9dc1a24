import { realpath } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import semver from 'semver';
import type { Reply } from '../../contract/endpoints.ts';
import { HaiveError } from '../../domain/errors.ts';
import { type Packed, packPlugin, type SourceFile } from '../../domain/package.ts';
import { pluginId } from '../../domain/version-record.ts';
import { readPlugin } from '../../machine/read-plugin.ts';
import { type CatalogueEntry, locate } from './catalogue.ts';
import { entryFiles, isVersionless } from './entry-files.ts';
import type { OpenSource } from './open-source.ts';

export interface EntryJob {
  source: OpenSource;
  pluginRoot: string;
  /** Limit for one plugin's files, in bytes. */
  maxBytes: number;
  clock: () => Date;
}

export interface ReadEntry {
  packed: Packed;
  files: SourceFile[];
  origin: string;
  /** The id under which the registry has these very bytes; null when it has not. */
  same: string | null;
}

type Known = (ref: string) => Promise<Reply<'info'> | null>;

const FIRST = '0.1.0';

/**
 * Reads one entry's plugin and compares it with what the registry has. A plugin that nobody gave a version gets one: 0.1.0, and
 * the next patch whenever its bytes differ from the newest.
 * @throws HaiveError of reading and packing; SOURCE_UNSUPPORTED, PATH_UNSAFE; VERSION_EXISTS when the author changed bytes without
 * raising the version
 */
export async function readEntry(entry: CatalogueEntry, job: EntryJob, known: Known): Promise<ReadEntry> {
  const { given, origin } = await readGiven(entry, job);
  const pack = (version: string): { files: SourceFile[]; packed: Packed } => {
    const files = entryFiles(given, entry, version);
    return { files, packed: packPlugin(files, { maxBytes: job.maxBytes, imported: true, now: job.clock() }) };
  };
  const first = pack(FIRST);
  const { name, version, digest } = first.packed.record;
  if (!isVersionless(given, entry)) {
    const there = await known(pluginId(name, version));
    if (there === null) return { ...first, origin, same: null };
    if (there.digest === digest) return { ...first, origin, same: there.id };
    throw new HaiveError('VERSION_EXISTS', `${name}@${version} is registered with other bytes`, {
      hint: 'Its author changed it without raising the version.',
    });
  }
  const newest = await known(name);
  if (newest === null) return { ...first, origin, same: null };
  const again = pack(newest.version);
  if (again.packed.record.digest === newest.digest) return { ...again, origin, same: newest.id };
  const next = semver.inc(newest.versions.map((v) => v.version).sort(semver.rcompare)[0] ?? FIRST, 'patch') ?? FIRST;
  return { ...pack(next), origin, same: null };
}

async function readGiven(entry: CatalogueEntry, job: EntryJob): Promise<{ given: SourceFile[]; origin: string }> {
  const { source } = job;
  const place = locate(entry, source.root, job.pluginRoot);
  const inside = place.inside === '.' ? '' : `#${place.inside}`;
  const at = (commit: string | null) => (commit === null ? '' : `@${commit}`);
  if ('folder' in place) {
    const folder = await within(source.root ?? '', place.folder);
    const linksWithin = source.root ?? undefined;
    return {
      given: await readPlugin(folder, { maxBytes: job.maxBytes, linksWithin }),
      origin: `${source.origin}${at(source.commit)}${inside}`,
    };
  }
  const { folder, commit } = await source.repository(place.git, place.ref);
  const inClone = await within(folder, join(folder, ...place.inside.split('/')));
  const files = await readPlugin(inClone, { maxBytes: job.maxBytes, linksWithin: folder });
  return { given: files, origin: `${place.git}${at(commit)}${inside}` };
}

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
