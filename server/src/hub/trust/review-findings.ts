import { HaiveError } from '../../domain/errors.ts';
import type { Finding } from '../../domain/findings/index.ts';
import { applyPolicy } from '../../domain/findings/policy.ts';
import { scanPlugin } from '../../domain/safety/index.ts';
import { packPlugin } from '../../domain/version/package.ts';
import { decodeBlob, readBlobs } from '../../storage/queries/blobs.ts';
import { filesOf } from '../../storage/queries/plugins.ts';
import type { HubContext } from '../context.ts';
import type { CatalogueVersion } from '../registry/snapshot.ts';

/** Findings by digest, before the hub's policy: the digest is of all the bytes, and the rules are those of this program. */
const known = new Map<string, readonly Finding[]>();
const MAX_KNOWN = 1000;

/** What is found in a version by the rules of now, under the hub's policy. Each version is looked through once. */
export async function findingsOf(
  hub: HubContext,
  version: Pick<CatalogueVersion, 'id' | 'digest'>,
): Promise<Finding[]> {
  let findings = known.get(version.digest);
  if (findings === undefined) {
    findings = await lookThrough(hub, version.id);
    for (const oldest of known.keys()) if (known.size >= MAX_KNOWN) known.delete(oldest);
    known.set(version.digest, findings);
  }
  return applyPolicy(findings, hub.config.findings);
}

async function lookThrough(hub: HubContext, id: string): Promise<Finding[]> {
  const rows = await filesOf(hub.store.read, id);
  const bytes = new Map<string, Buffer>();
  const wanted = [...new Set(rows.map((row) => row.sha256))];
  for (const blob of await readBlobs(hub.store.read, wanted)) bytes.set(blob.sha256, await decodeBlob(blob));
  const files = rows.map(({ path, sha256, executable }) => ({
    path,
    executable,
    bytes: bytes.get(sha256) ?? Buffer.alloc(0),
  }));
  try {
    const { findings } = packPlugin(files, { maxBytes: Number.MAX_SAFE_INTEGER, now: hub.clock(), translate: false });
    return [...findings, ...(await scanPlugin(files))];
  } catch (thrown) {
    // Rules that came after it was registered: a reviewer is told, and may still reject it.
    if (!(thrown instanceof HaiveError)) throw thrown;
    const { code, message, hint } = thrown;
    return [{ code, severity: 'error', file: '', line: null, column: null, message, fix: hint }];
  }
}
