import { groupReaches } from '../../domain/desired/desired-state.ts';
import { readJson } from '../../domain/json/read.ts';
import { patternsMeet } from '../../domain/names.ts';
import { compareSurfaces, isWider, type SurfaceChange } from '../../domain/surface/change.ts';
import { codeOf, computeSurface, holdsSurface, NO_SURFACE } from '../../domain/surface/index.ts';
import { MANIFEST_PATH } from '../../domain/version/file-types.ts';
import { decodeBlob, readBlobs } from '../../storage/queries/blobs.ts';
import { filesOf } from '../../storage/queries/plugins.ts';
import { findSurface, putSurface, type StoredSurface } from '../../storage/queries/trust.ts';
import type { HubContext } from '../context.ts';
import type { Catalogue, CatalogueVersion } from '../registry/snapshot.ts';

/** What a version can do, as it was found at its registration; computed from its stored bytes where an older hub kept none. */
export async function surfaceOf(
  hub: Pick<HubContext, 'store'>,
  version: Pick<CatalogueVersion, 'id' | 'digest'>,
): Promise<StoredSurface> {
  const { store } = hub;
  const known = await findSurface(store.read, version.id, version.digest);
  if (known !== undefined) return known;
  const files = await filesOf(store.read, version.id);
  const wanted = [...new Set(files.filter((f) => holdsSurface(f.path)).map((f) => f.sha256))];
  const bytes = new Map<string, Buffer>();
  for (const blob of await readBlobs(store.read, wanted)) bytes.set(blob.sha256, await decodeBlob(blob));
  const sources = files.map(({ path, sha256, executable }) => ({
    path,
    executable,
    bytes: bytes.get(sha256) ?? Buffer.alloc(0),
  }));
  const manifest = readJson(sources.find((f) => f.path === MANIFEST_PATH)?.bytes) ?? {};
  const computed = { surface: computeSurface(sources), code: codeOf(files, manifest) };
  await store.transact((tx) => putSurface(tx, version.id, version.digest, computed));
  return computed;
}

/** What was yanked still lies on machines, so that taking every earlier version back does not make the next one a first. */
function highestOffered(versions: readonly CatalogueVersion[]): CatalogueVersion | undefined {
  const highest = (status: CatalogueVersion['status']) => versions.find((v) => v.status === status);
  return highest('published') ?? highest('deprecated') ?? highest('yanked');
}

const covers = (group: string, other: string): boolean => groupReaches(group, [other]);

/**
 * The versions that an update is measured by where it goes: of each group the highest that is offered there, so that what an operator let a
 * few have is no measure for others; the one of all groups where a group never had any. Undefined stands for what was taken back.
 */
function baselinesOf(
  catalogue: Catalogue,
  version: CatalogueVersion,
  targets: readonly string[],
): Set<CatalogueVersion | undefined> {
  const others = (catalogue.plugins.get(version.name) ?? []).filter((v) => v.id !== version.id);
  if (targets.length === 0) return new Set([highestOffered(others)]);
  const within = others
    .filter((v) => highestOffered([v]) !== undefined)
    .flatMap((v) => v.targets.map((t) => t.group))
    .filter((group) => targets.some((target) => !covers(group, target) && patternsMeet(group, target)));
  return new Set(
    [...targets, ...within].map((group) => {
      const there = others.filter((v) => v.targets.some((t) => covers(t.group, group)));
      return there.length === 0 ? highestOffered(others) : highestOffered(there);
    }),
  );
}

/** How far an update goes beyond what is offered where it goes: against the version that it widens, else one whose programs it changes. */
export async function measured(
  hub: Pick<HubContext, 'store'>,
  catalogue: Catalogue,
  version: CatalogueVersion,
  targets: readonly string[],
): Promise<SurfaceVerdict> {
  const verdicts: SurfaceVerdict[] = [];
  for (const baseline of baselinesOf(catalogue, version, targets))
    verdicts.push(await changeOf(hub, version, baseline));
  const widened = verdicts.find((v) => v.wider);
  const changed = verdicts.find((v) => v.against !== undefined && v.code.length > 0);
  return widened ?? changed ?? (verdicts[0] as SurfaceVerdict);
}

export interface SurfaceVerdict extends SurfaceChange {
  against: CatalogueVersion | undefined;
  wider: boolean;
  /** Files that run whose bytes are new. */
  code: string[];
}

/** How a version's surface differs from that of another; without another, everything is new. */
export async function changeOf(
  hub: Pick<HubContext, 'store'>,
  version: CatalogueVersion,
  against: CatalogueVersion | undefined,
): Promise<SurfaceVerdict> {
  const now = await surfaceOf(hub, version);
  const before = against === undefined ? { surface: NO_SURFACE, code: {} } : await surfaceOf(hub, against);
  const change = compareSurfaces(before.surface, now.surface);
  const old = new Map(Object.entries(before.code));
  const code = Object.entries(now.code).flatMap(([path, sha256]) => (old.get(path) === sha256 ? [] : [path]));
  return { ...change, against, wider: isWider(change.added), code };
}
