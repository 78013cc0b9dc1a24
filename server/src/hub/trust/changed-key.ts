import { openRotation } from '../../domain/approval.ts';
import { type Envelope, keyIdOf } from '../../domain/signing/dsse.ts';
import type { Tx } from '../../storage/tables/index.ts';
import type { HubContext } from '../context.ts';
import type { CatalogueVersion } from '../registry/snapshot.ts';

/** The key of a version, and that of the version before it, where machines that know the latter refuse the former. */
export interface ChangedKey {
  keyid: string;
  before: string;
  /** The version that was signed by `before`. */
  version: string;
}

const OFFERED = ['published', 'deprecated', 'yanked'];

/** Null while the version that was offered before it has the same key, or its key names this one as the next. */
export async function changedKey(hub: HubContext, version: CatalogueVersion): Promise<ChangedKey | null> {
  const { read } = hub.store;
  const rows = await read
    .selectFrom('plugins')
    .select(['id', 'version', 'publisher_keyid', 'status'])
    .where('name', '=', version.name)
    .orderBy('created_at', 'desc')
    .execute();
  const at = rows.findIndex((row) => row.id === version.id);
  const keyid = rows[at]?.publisher_keyid ?? '';
  // The hub's own key is pinned nowhere.
  const own = keyIdOf(hub.identity.publicKey);
  const last = rows.slice(at + 1).find((r) => r.publisher_keyid !== own && OFFERED.includes(r.status));
  if (last === undefined || last.publisher_keyid === keyid) return null;
  if (await leadsTo(read, hub.identity.id, last.publisher_keyid, keyid)) return null;
  return { keyid, before: last.publisher_keyid, version: last.version };
}

/** Whether a key's statements name another, in one step or several. */
async function leadsTo(read: Tx, hubId: string, from: string, to: string): Promise<boolean> {
  const statements = await read.selectFrom('key_statements').selectAll().execute();
  const keys = await read.selectFrom('publisher_keys').select(['keyid', 'public_key', 'revoked_at']).execute();
  const seen = new Set<string>();
  for (let now = from; !seen.has(now); ) {
    if (now === to) return true;
    seen.add(now);
    const key = keys.find((k) => k.keyid === now && k.revoked_at === null);
    const statement = statements.find((s) => s.keyid === now);
    if (key === undefined || statement === undefined) return false;
    now = keyIdOf(openRotation(JSON.parse(statement.envelope) as Envelope, hubId, key.public_key).to);
  }
  return false;
}
