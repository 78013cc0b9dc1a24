import type { Reply } from '../../contract/endpoints.ts';
import { HaiveError } from '../../domain/errors.ts';
import type { Packed } from '../../domain/version/package.ts';
import { isSameContent } from '../../domain/version/same-content.ts';
import type { HubClient } from '../hub/hub-client.ts';

/** What the registry has under a name or id; null when nothing. @throws HaiveError of the hub */
export async function known(hub: HubClient, ref: string): Promise<Reply<'info'> | null> {
  try {
    return await hub.call('info', { params: { id: ref } });
  } catch (thrown) {
    if (thrown instanceof HaiveError && thrown.http === 404) return null;
    throw thrown;
  }
}

/**
 * The revoked version that differs from a packed one in nothing but its number; null where there is none.
 * @param newest what the registry has under its name; null when nothing
 * @param lookUp as `known`
 * @throws HaiveError of the hub
 */
export async function revokedLike(
  { record, manifest }: Packed,
  newest: Reply<'info'> | null,
  lookUp: (ref: string) => Promise<Reply<'info'> | null>,
): Promise<Reply<'info'> | null> {
  for (const { id, version, status } of newest?.versions ?? []) {
    if (status !== 'revoked' || version === record.version) continue;
    const old = await lookUp(id);
    if (old !== null && isSameContent({ manifest: manifest.raw, files: record.files }, old)) return old;
  }
  return null;
}
