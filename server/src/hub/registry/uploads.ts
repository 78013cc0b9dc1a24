import type { Readable } from 'node:stream';
import { HaiveError } from '../../domain/errors.ts';
import { parseJson } from '../../domain/json/parse.ts';

/**
 * A body's bytes.
 * @throws HaiveError PLUGIN_TOO_LARGE past `maxBytes`
 */
export async function readBytes(stream: Readable, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let held = 0;
  for await (const chunk of stream) {
    held += (chunk as Buffer).length;
    if (held > maxBytes) throw new HaiveError('PLUGIN_TOO_LARGE', `The body is over ${maxBytes} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

/**
 * A JSON body `{plugin_archive}` (base64 zip) or `{plugin_url}`.
 * @throws HaiveError BODY_INVALID, BAD_REQUEST (also for plugin_path: the hub never reads callers' paths), PLUGIN_TOO_LARGE
 */
export async function readArchiveRequest(
  stream: Readable,
  maxBytes: number,
): Promise<{ archive: Buffer } | { url: string }> {
  const text = (await readBytes(stream, Math.ceil(maxBytes / 3) * 4 + 64 * 1024)).toString('utf8');
  let body: { plugin_archive?: unknown; plugin_url?: unknown; plugin_path?: unknown } | null;
  try {
    body = parseJson(text) as typeof body;
  } catch (cause) {
    throw new HaiveError('BODY_INVALID', 'The body is not JSON', { cause });
  }
  const { plugin_archive: archive, plugin_url: url, plugin_path: path } = body ?? {};
  if (path !== undefined && path !== null) {
    throw new HaiveError('BAD_REQUEST', 'The hub does not read paths of its callers', {
      hint: 'Pack the folder where it lies: `hv register DIR`.',
    });
  }
  const given = [archive, url].filter((v) => v !== undefined && v !== null);
  if (given.length !== 1) throw new HaiveError('BAD_REQUEST', 'Give either plugin_archive or plugin_url');
  if (typeof url === 'string') return { url };
  if (typeof archive !== 'string') throw new HaiveError('BAD_REQUEST', 'plugin_archive and plugin_url are strings');
  if (!/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(archive))
    throw new HaiveError('BODY_INVALID', 'plugin_archive is not base64');
  const bytes = Buffer.from(archive, 'base64');
  if (bytes.length > maxBytes) throw new HaiveError('PLUGIN_TOO_LARGE', `The archive is over ${maxBytes} bytes`);
  return { archive: bytes };
}
