import { type Readable, Transform } from 'node:stream';
import type * as z from 'zod';
import { HaiveError } from '../../domain/errors.ts';
import { isTooDeep } from '../../domain/json/parse.ts';

/** What a body may cost: bytes in all, and milliseconds without a byte. */
export interface BodyLimit {
  bytes: number;
  idleMs: number;
}

/**
 * The body as a stream that fails with BODY_TOO_LARGE past the limit, TIMEOUT when nothing comes, BODY_INVALID when the peer breaks off.
 * @throws HaiveError BODY_TOO_LARGE at once when content-length already says so
 */
export function limitedStream(source: Readable, contentLength: string | undefined, limit: BodyLimit): Readable {
  const tooLarge = () => new HaiveError('BODY_TOO_LARGE', `The body is over ${limit.bytes} bytes`);
  if (contentLength !== undefined && Number(contentLength) > limit.bytes) throw tooLarge();
  let bytes = 0;
  const out = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      timer.refresh();
      bytes += chunk.length;
      if (bytes > limit.bytes) done(tooLarge());
      else done(null, chunk);
    },
  });
  const timer = setTimeout(() => {
    // The reader may be the slow side: only a body that could be read and did not come counts.
    if (out.writableNeedDrain) timer.refresh();
    else out.destroy(new HaiveError('TIMEOUT', `No byte of the body came for ${limit.idleMs} ms`));
  }, limit.idleMs);
  source.on('error', () => out.destroy(brokenOff()));
  source.on('close', () => {
    if (!source.readableEnded) out.destroy(brokenOff());
  });
  out.on('close', () => {
    clearTimeout(timer);
    source.unpipe(out);
  });
  out.on('error', () => {});
  source.pipe(out);
  return out;
}

const brokenOff = () => new HaiveError('BODY_INVALID', 'The connection broke off before the end of the body');

/**
 * A whole JSON body.
 * @throws HaiveError BODY_INVALID, BODY_TOO_LARGE, TIMEOUT
 */
export async function readJson(source: Readable): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of source) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new HaiveError('BODY_INVALID', bytes.length === 0 ? 'The body is empty' : 'The body is not JSON', { cause });
  }
}

/**
 * A value that fits its schema, defaults filled in.
 * @throws HaiveError BAD_REQUEST naming the first field that does not
 */
export function validate<S extends z.ZodType>(schema: S, value: unknown, where: 'body' | 'query'): z.output<S> {
  if (isTooDeep(value)) throw new HaiveError('BAD_REQUEST', `The ${where} is nested too deeply`);
  const result = schema.safeParse(value);
  if (result.success) {
    refuseNul(result.data, where);
    return result.data;
  }
  const fields = result.error.issues.map((issue) => ({
    field: issue.path.map(String).join('.') || where,
    problem: issue.message,
  }));
  const first = fields[0];
  throw new HaiveError('BAD_REQUEST', `${labelOf(where)} ${first?.field}: ${first?.problem}`, {
    details: { fields: fields.slice(0, 20) },
  });
}

const labelOf = (where: 'body' | 'query'): string => (where === 'query' ? 'Query parameter' : 'Field');

function refuseNul(value: unknown, where: 'body' | 'query'): void {
  const nul = pathOfNul(value);
  if (nul === null) return;
  throw new HaiveError('BAD_REQUEST', `${labelOf(where)} ${nul || where}: holds a NUL`, {
    details: { fields: [{ field: nul || where, problem: 'holds a NUL' }] },
  });
}

/** Where a text holds U+0000, which PostgreSQL cannot keep; null when none does. */
function pathOfNul(value: unknown, path = ''): string | null {
  if (typeof value === 'string') return value.includes('\0') ? path : null;
  if (typeof value !== 'object' || value === null) return null;
  for (const [key, inner] of Object.entries(value)) {
    const here = path === '' ? key : `${path}.${key}`;
    const found = key.includes('\0') ? here : pathOfNul(inner, here);
    if (found !== null) return found.replaceAll('\0', '');
  }
  return null;
}
