import semverGt from 'semver/functions/gt.js';
import semverPrerelease from 'semver/functions/prerelease.js';
import semverSatisfies from 'semver/functions/satisfies.js';
import semverValid from 'semver/functions/valid.js';
import type { VersionStatus } from '../../domain/desired/registry.ts';
import { HaiveError } from '../../domain/errors.ts';
import { parsePluginRef } from '../../domain/names.ts';
import { meantHint } from '../../domain/validate/suggest.ts';
import type { Principal } from '../context.ts';
import { hasRegistered, maySee } from './access.ts';
import type { Catalogue, CatalogueVersion } from './snapshot.ts';

/** Best status first: what a bare name means. */
const PREFERENCE: readonly VersionStatus[] = ['published', 'deprecated', 'registered', 'yanked', 'revoked', 'deleted'];

/** What may be published, or published to more groups. */
const OPEN: readonly VersionStatus[] = ['registered', 'published', 'deprecated'];

const isRelease = ({ version }: { version: string }): boolean => semverPrerelease(version) === null;

/** The highest of `versions` (given highest first), a stable one where there is one. */
export function highest<V extends { version: string }>(versions: readonly V[]): V | undefined {
  return versions.find(isRelease) ?? versions[0];
}

/** The version that stands for a plugin: the highest of the best status that any has. */
export function headOf(versions: readonly CatalogueVersion[]): CatalogueVersion | undefined {
  for (const status of PREFERENCE) {
    const head = highest(versions.filter((v) => v.status === status));
    if (head !== undefined) return head;
  }
  return undefined;
}

/** Offered now, and so known to everybody. */
export function isOffered({ status, publishedAt }: Pick<CatalogueVersion, 'status' | 'publishedAt'>): boolean {
  return Boolean(publishedAt) && (status === 'published' || status === 'deprecated');
}

/** The version that stands for a plugin to everybody; undefined where none is offered. */
export function offeredHead(versions: readonly CatalogueVersion[]): CatalogueVersion | undefined {
  return headOf(versions.filter(isOffered));
}

/**
 * All versions of a name that `visible` lets through, highest first.
 * @throws HaiveError PLUGIN_NOT_FOUND
 */
export function versionsOf(
  catalogue: Catalogue,
  name: string,
  visible: (version: CatalogueVersion) => boolean = () => true,
): CatalogueVersion[] {
  const versions = (catalogue.plugins.get(name) ?? []).filter(visible);
  if (versions.length > 0) return versions;
  // A guess must not tell of what only its publisher sees.
  const offered = [...catalogue.plugins].filter(([, all]) => all.some((v) => v.status === 'published' && visible(v)));
  const known = offered.map(([other]) => other);
  throw new HaiveError('PLUGIN_NOT_FOUND', `There is no plugin ${name}`, meantHint(name, known));
}

/** Versions in a range; an exact version names itself whatever its build or prerelease. */
export function inRange<V extends { version: string }>(versions: readonly V[], range: string): V[] {
  return versions.filter((v) => v.version === range || semverSatisfies(v.version, range));
}

/**
 * The version that an id or NAME[@RANGE] names among those that `visible` lets through.
 * @throws HaiveError PLUGIN_NOT_FOUND, VERSION_NOT_FOUND, NAME_INVALID, VERSION_INVALID
 */
export function findVersion(
  catalogue: Catalogue,
  ref: string,
  visible: (version: CatalogueVersion) => boolean = () => true,
): CatalogueVersion {
  const { name, range, id } = parsePluginRef(ref);
  const versions = versionsOf(catalogue, name, visible);
  const found =
    id === undefined ? headOf(range === null ? versions : inRange(versions, range)) : versions.find((v) => v.id === id);
  if (found !== undefined) return found;
  throw new HaiveError('VERSION_NOT_FOUND', `${name} has no version ${range ?? 'that may be used'}`);
}

/**
 * The version that an id or NAME@VERSION names, for what cannot be taken back.
 * @throws HaiveError BAD_REQUEST for a reference that may mean several, PLUGIN_NOT_FOUND, VERSION_NOT_FOUND, NAME_INVALID
 */
export function findExactly(
  catalogue: Catalogue,
  ref: string,
  visible: (version: CatalogueVersion) => boolean = () => true,
): CatalogueVersion {
  const { name, range } = parsePluginRef(ref);
  const found = versionsOf(catalogue, name, visible).find((v) => v.version === range);
  if (found !== undefined) return found;
  if (range !== null && semverValid(range) !== null)
    throw new HaiveError('VERSION_NOT_FOUND', `${name} has no version ${range}`);
  throw new HaiveError('BAD_REQUEST', `${ref} does not say which version`, {
    hint: 'Name it exactly: NAME@VERSION, or its id.',
  });
}

/**
 * The version that an id or NAME[@RANGE] names to whoever publishes: where several fit, the one that this caller registered last, if
 * nothing that fits is newer; what `findVersion` finds where none of them waits to be published.
 * @throws HaiveError as findVersion, BAD_REQUEST (details.versions) where the newest is another one or somebody else registered the last
 */
export function findToPublish(catalogue: Catalogue, ref: string, principal: Principal): CatalogueVersion {
  const { name, range, id } = parsePluginRef(ref);
  const visible = (v: CatalogueVersion) => maySee(principal, v);
  const found = findVersion(catalogue, ref, visible);
  if (id !== undefined) return found;
  const all = versionsOf(catalogue, name, visible);
  const open = (range === null ? all : inRange(all, range)).filter((v) => OPEN.includes(v.status));
  const last = open.reduce((a, b) => (b.createdAt > a.createdAt ? b : a), found);
  const other = last.status === 'registered' ? rivalOf(last, open) : stillWaiting(found, open);
  if (other === undefined) return last.status === 'registered' ? last : found;
  // An operator who publishes has approved: never by accident what somebody else registered meanwhile.
  if (last.status === 'registered' && semverGt(last.version, other.version) && hasRegistered(principal, last))
    return last;
  const versions = [last.version, other.version];
  throw new HaiveError(
    'BAD_REQUEST',
    `${ref} may mean ${last.version}, which ${last.publisher} registered last (${last.status}), or ${other.version} (${other.status})`,
    { hint: `Name one: ${versions.map((version) => `${name}@${version}`).join(' or ')}.`, details: { versions } },
  );
}

/** The highest beside `version`: of releases, as prereleases go on beside them, and of all for a prerelease. */
function rivalOf(version: CatalogueVersion, open: readonly CatalogueVersion[]): CatalogueVersion | undefined {
  const others = open.filter((v) => v !== version);
  return isRelease(version) ? highest(others) : others[0];
}

/** The highest that waits and was not passed over by a later and higher one that is offered; a prerelease does not stand for a release. */
function stillWaiting(found: CatalogueVersion, open: readonly CatalogueVersion[]): CatalogueVersion | undefined {
  const passes = (by: CatalogueVersion, v: CatalogueVersion): boolean =>
    by.status !== 'registered' &&
    by.createdAt > v.createdAt &&
    semverGt(by.version, v.version) &&
    (isRelease(by) || !isRelease(v));
  return highest(
    open.filter(
      (v) =>
        v.status === 'registered' && (isRelease(v) || !isRelease(found)) && !open.some((other) => passes(other, v)),
    ),
  );
}
