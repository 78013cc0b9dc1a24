import { HaiveError } from '../../domain/errors.ts';
import { withoutLogin } from '../../domain/redact.ts';
import type { Envelope } from '../../domain/signing/dsse.ts';
import { codeOf, type Surface } from '../../domain/surface/index.ts';
import type { PluginManifest } from '../../domain/version/manifest.ts';
import { type FileType, pluginId, type VersionRecord } from '../../domain/version/record.ts';
import { insertBlobs, missingBlobs, type StoredBlob } from '../../storage/queries/blobs.ts';
import { findPlugin, insertOrigin, insertPlugin } from '../../storage/queries/plugins.ts';
import { addPublisherKey } from '../../storage/queries/publisher-keys.ts';
import { putSurface } from '../../storage/queries/trust.ts';
import type { Tx } from '../../storage/tables/index.ts';
import { change } from '../change.ts';
import type { HubContext, Principal } from '../context.ts';
import { maySee, refuseLookalike } from './access.ts';
import { loadCatalogue } from './snapshot.ts';

/** A version that has passed every check and only has to be kept. */
export interface CheckedVersion {
  record: VersionRecord;
  envelope: Envelope;
  keyid: string;
  publicKey: string;
  manifest: PluginManifest;
  originalManifest: Record<string, unknown> | null;
  types: ReadonlyMap<string, FileType>;
  surface: Surface;
  /** Blobs that arrived with it; the others must be stored already. */
  blobs: readonly StoredBlob[];
  /** Where it came from, for the audit: `upload`, `archive` or a URL. */
  source: string;
}

/** Blobs past this are stored ahead of the registering transaction, which others wait for. */
const INLINE_BYTES = 1024 * 1024;

/** Ends the transaction without a trace when the very same version is there already. */
class AlreadyThere extends Error {
  constructor(readonly status: string) {
    super('already registered');
  }
}

/**
 * Keeps a version: plugin, files, dependencies, event and audit in one transaction.
 * @returns `created` false when the same bytes were registered before
 * @throws HaiveError VERSION_EXISTS, VERSION_DELETED, BLOB_MISSING, NAME_CONFUSING
 */
export async function storeVersion(
  hub: HubContext,
  principal: Principal,
  version: CheckedVersion,
): Promise<{ id: string; status: string; created: boolean }> {
  const { record } = version;
  const id = pluginId(record.name, record.version);
  const source = withoutLogin(version.source);
  const before = await refuseOther(hub.store.read, id, record, principal);
  if (before !== undefined) return { id, status: before, created: false };
  refuseLookalike(await loadCatalogue(hub.store), principal, record.name);

  let blobs = version.blobs;
  if (blobs.reduce((sum, b) => sum + b.data.length, 0) > INLINE_BYTES) {
    const at = hub.clock().toISOString();
    await hub.store.transact((tx) => insertBlobs(tx, version.blobs, at));
    blobs = [];
  }
  try {
    await change(hub, principal, async ({ tx, at }) => {
      const status = await refuseOther(tx, id, record, principal);
      if (status !== undefined) throw new AlreadyThere(status);
      await insertBlobs(tx, blobs, at);
      const missing = await missingBlobs(
        tx,
        record.files.map((f) => f.sha256),
      );
      if (missing.length > 0) throw blobsMissing(record, missing);
      await addPublisherKey(tx, {
        keyid: version.keyid,
        token_id: principal.tokenId,
        public_key: version.publicKey,
        publisher: principal.name,
        first_seen: at,
      });
      await insertPlugin(tx, toRow(version, id, principal, at));
      const code = codeOf(record.files, version.manifest.raw);
      await putSurface(tx, id, record.digest, { surface: version.surface, code });
      if (version.source !== 'upload') await insertOrigin(tx, id, source);
      const { name, digest } = record;
      // No plan changes by a registration: nobody has to be rung.
      const data = {
        id,
        name,
        version: record.version,
        digest,
        keyid: version.keyid,
        source,
        machine_ids: [],
      };
      return { result: undefined, trace: { type: 'plugin.registered', target: id, data } };
    });
  } catch (thrown) {
    if (thrown instanceof AlreadyThere) return { id, status: thrown.status, created: false };
    throw thrown;
  }
  return { id, status: 'registered', created: true };
}

export function blobsMissing(record: VersionRecord, missing: readonly string[]): HaiveError {
  return new HaiveError('BLOB_MISSING', `${missing.length} blobs of ${record.name}@${record.version} never arrived`, {
    details: { missing: missing.slice(0, 1000) },
  });
}

/**
 * The status of the same version when it is there with the same bytes; undefined when it is not there.
 * @param principal who registers it and could do nothing with what is somebody else's and was never offered
 * @throws HaiveError VERSION_EXISTS, VERSION_DELETED
 */
export async function refuseOther(
  tx: Tx,
  id: string,
  record: Pick<VersionRecord, 'name' | 'version' | 'digest'>,
  principal: Principal,
): Promise<string | undefined> {
  const known = await findPlugin(tx, id);
  if (known === undefined) return undefined;
  const what = `${record.name}@${record.version}`;
  if (known.status === 'deleted') {
    const why = known.status_reason === '' ? '' : ` (${known.status_reason})`;
    throw new HaiveError('VERSION_DELETED', `${what} was deleted and stays so${why}`);
  }
  if (known.checksum === record.digest) {
    const row = { publisher: known.publisher, publisherToken: known.publisher_token, publishedAt: known.published_at };
    if (maySee(principal, row)) return known.status;
    throw new HaiveError(
      'VERSION_EXISTS',
      `${what} is registered with these very bytes by ${known.publisher}, who has not published it: that one or an operator does`,
      { hint: `Ask for \`hv publish ${what}\`, or raise the version in plugin.json.` },
    );
  }
  throw new HaiveError('VERSION_EXISTS', `${what} is registered with other bytes`, {
    details: { registered: known.checksum, sent: record.digest },
  });
}

function toRow(version: CheckedVersion, id: string, principal: Principal, at: string) {
  const { record, manifest } = version;
  return {
    row: {
      id,
      name: record.name,
      version: record.version,
      description: manifest.description,
      author_name: manifest.author.name,
      author_org: manifest.author.organization ?? null,
      manifest: JSON.stringify(manifest.raw),
      original_manifest: version.originalManifest === null ? null : JSON.stringify(version.originalManifest),
      checksum: record.digest,
      record: JSON.stringify(version.envelope),
      publisher: principal.name,
      publisher_token: principal.origin ?? principal.tokenId,
      publisher_keyid: version.keyid,
      imported: record.imported ? 1 : 0,
      required_capabilities: JSON.stringify(manifest.requiredCapabilities),
      min_haivemind_version: manifest.minHaivemindVersion ?? null,
      components: JSON.stringify([...new Set(version.types.values())].sort()),
      created_at: at,
    },
    files: record.files.map((f) => ({ ...f, type: version.types.get(f.path) ?? ('other' as const) })),
    dependencies: manifest.dependencies,
    machineGroups: [...new Set(manifest.machineGroups)],
  };
}
