import { isSameContent } from '../../domain/version/same-content.ts';
import { filesOf } from '../../storage/queries/plugins.ts';
import type { HubContext } from '../context.ts';
import type { Catalogue, CatalogueVersion } from '../registry/snapshot.ts';

/** A version that was revoked and differs from another in nothing but its number. */
export interface RevokedContent {
  version: string;
  reason: string;
}

/** Null where none of the plugin's revoked versions has the content of this one. Its publisher may mean it, and is told. */
export async function revokedContent(
  hub: HubContext,
  catalogue: Catalogue,
  version: CatalogueVersion,
): Promise<RevokedContent | null> {
  const { read } = hub.store;
  const revoked = (catalogue.plugins.get(version.name) ?? []).filter((v) => v.status === 'revoked');
  if (revoked.length === 0) return null;
  const contentOf = async ({ id, manifest }: CatalogueVersion) => ({
    manifest: JSON.parse(manifest) as Record<string, unknown>,
    files: await filesOf(read, id),
  });
  const own = await contentOf(version);
  for (const old of revoked)
    if (isSameContent(own, await contentOf(old))) return { version: old.version, reason: old.statusReason };
  return null;
}
