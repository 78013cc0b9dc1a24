import semver from 'semver';
import type { Reply } from '../../contract/endpoints.ts';
import { HaiveError } from '../../domain/errors.ts';
import { type Packed, packPlugin, type SourceFile } from '../../domain/version/package.ts';
import { pluginId } from '../../domain/version/record.ts';
import { revokedLike } from '../trust/revoked-content.ts';
import type { CatalogueEntry } from './catalogue.ts';
import { entryFiles, isVersionless } from './entry-files.ts';
import { type EntryJob, readGiven } from './given.ts';

export interface ReadEntry {
  packed: Packed;
  files: SourceFile[];
  origin: string;
  /** The version as which the registry has these very bytes; null when it has not. */
  same: Reply<'info'> | null;
}

type Known = (ref: string) => Promise<Reply<'info'> | null>;

const FIRST = '0.1.0';

/** What somebody took back: it does not come again because a job runs again. */
const TAKEN_BACK: ReadonlySet<string> = new Set(['yanked', 'revoked', 'deleted']);

/**
 * Reads one entry's plugin and compares it with what the registry has. A plugin that nobody gave a version gets one: 0.1.0, and
 * the next patch whenever its bytes are neither those of the newest version nor of one that was taken back.
 * @throws HaiveError of readGiven and packing; VERSION_EXISTS when the author changed bytes without
 * raising the version; VERSION_REVOKED when the author raised the version of what was revoked
 */
export async function readEntry(entry: CatalogueEntry, job: EntryJob, known: Known): Promise<ReadEntry> {
  const { given, origin } = await readGiven(entry, job);
  const pack = (version: string, marketplace = job.marketplace): { files: SourceFile[]; packed: Packed } => {
    const files = entryFiles(given, entry, version, marketplace);
    return { files, packed: packPlugin(files, { maxBytes: job.maxBytes, imported: true, now: job.clock() }) };
  };
  const first = pack(FIRST);
  const { name, version, digest } = first.packed.record;
  if (!isVersionless(given, entry)) {
    const there = await known(pluginId(name, version));
    if (there === null) await refuseRevoked(first.packed, known);
    // An earlier program left in what depends on the marketplace itself.
    else if (there.digest !== digest && there.digest !== pack(FIRST, '').packed.record.digest)
      throw new HaiveError('VERSION_EXISTS', `${name}@${version} is registered with other bytes`, {
        hint: 'Its author changed it without raising the version.',
      });
    return { ...first, origin, same: there };
  }
  const newest = await known(name);
  if (newest === null) return { ...first, origin, same: null };
  const versions = [...newest.versions].sort((a, b) => semver.rcompare(a.version, b.version));
  for (const { id, version, status } of versions) {
    if (id !== newest.id && id !== versions[0]?.id && !TAKEN_BACK.has(status)) continue;
    const again = pack(version);
    const there = id === newest.id ? newest : await known(id);
    if (again.packed.record.digest === there?.digest) return { ...again, origin, same: there };
  }
  const next = semver.inc(versions[0]?.version ?? FIRST, 'patch') ?? FIRST;
  return { ...pack(next), origin, same: null };
}

/** A publisher may bring such content back knowingly; a job that takes what is there may not. */
async function refuseRevoked(packed: Packed, known: Known): Promise<void> {
  const revoked = await revokedLike(packed, await known(packed.record.name), known);
  if (revoked === null) return;
  const { name, version } = packed.record;
  throw new HaiveError(
    'VERSION_REVOKED',
    `${name}@${version} has the content of ${name}@${revoked.version}, which was revoked`,
    { hint: 'If that is meant, publish it yourself with `hv publish`.' },
  );
}
