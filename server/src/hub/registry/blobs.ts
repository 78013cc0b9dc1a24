import { HaiveError } from '../../domain/errors.ts';
import { decodeBlob, missingBlobs, pluginsHoldingBlob, readBlobs, touchBlobs } from '../../storage/queries/blobs.ts';
import type { UseCase } from '../context.ts';
import { matches } from '../http/router.ts';
import { loadCatalogue } from './snapshot.ts';
import { visibility } from './visibility.ts';

/** Which of these blobs a publisher has to send. */
export const blobsMissing: UseCase<'blobsMissing'> = async (hub, call) => {
  const asked = new Set(call.body.sha256);
  const missing = await missingBlobs(hub.store.read, asked);
  for (const sha256 of missing) asked.delete(sha256);
  // What is there may be an orphan of an earlier attempt; it must not be collected before the version arrives.
  if (asked.size > 0) {
    const at = hub.clock().toISOString();
    await hub.store.transact((tx) => touchBlobs(tx, asked, at));
  }
  return { missing };
};

/**
 * Whoever asks keeps the bytes for good. A proxy may keep them too, but asks the hub each time whether this token may have them,
 * with the token: a 304 then costs no bytes, and a refusal is passed on.
 */
const CACHING = 'public, max-age=31536000, immutable, s-maxage=0, proxy-revalidate';

/** One blob's bytes, compressed where the client takes it; immutable. */
export const blob: UseCase<'blob'> = async (hub, call) => {
  const sha256 = call.params.sha256 ?? '';
  const notThere = () => new HaiveError('BLOB_NOT_FOUND', `There is no blob ${sha256.slice(0, 64)} for this token`);
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw notThere();
  const holders = await pluginsHoldingBlob(hub.store.read, sha256);
  const mayRead = await visibility(hub, call.principal);
  const catalogue = await loadCatalogue(hub.store);
  const readable = holders.some((id) => {
    const version = catalogue.byId.get(id);
    return version !== undefined && mayRead(version);
  });
  if (!readable) throw notThere();
  const headers: Record<string, string> = {
    'content-type': 'application/octet-stream',
    'cache-control': CACHING,
    vary: 'accept-encoding, authorization',
  };
  // Strong etags: the two encodings are two sequences of bytes.
  const known = [`"${sha256}"`, `"${sha256}-br"`].find((etag) => matches(call.header('if-none-match'), etag));
  if (known !== undefined) return { raw: true, status: 304, headers: { ...headers, etag: known }, body: null };
  const [stored] = await readBlobs(hub.store.read, [sha256]);
  if (stored === undefined) throw notThere();
  const asStored = stored.encoding === 'identity' || acceptsBrotli(call.header('accept-encoding'));
  const packed = asStored && stored.encoding === 'br';
  headers.etag = packed ? `"${sha256}-br"` : `"${sha256}"`;
  if (packed) headers['content-encoding'] = 'br';
  const body = asStored ? stored.data : await decodeBlob(stored);
  headers['content-length'] = String(body.length);
  return { raw: true, status: 200, headers, body };
};

function acceptsBrotli(accept: string | undefined): boolean {
  return (accept ?? '').split(',').some((part) => {
    const [coding, ...parameters] = part.trim().toLowerCase().split(';');
    return (coding === 'br' || coding === '*') && !parameters.some((p) => /^\s*q=0(\.0*)?\s*$/.test(p));
  });
}
