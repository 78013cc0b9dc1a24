import { HaiveError } from '../../domain/errors.ts';
import type { HttpAnswer } from './http.ts';

/** How many times the longest silence an answer may take, or a stream be slow. */
export const PERIODS = 2;
/** Bytes a second, less of which is no stream any more. */
const LEAST_RATE = 1024;
/** Bytes a second at which an answer in one piece may take as long as it is. */
const WHOLE_RATE = 32 * 1024;

const periodOf = ({ timeoutMs = Number.POSITIVE_INFINITY }: HttpAnswer): number => PERIODS * timeoutMs;

/** TIMEOUT of an answer that gives signs of life and does not come. */
export const tooSlow = (from: string, ms: number): HaiveError =>
  new HaiveError('TIMEOUT', `${from} sends, but too slowly to wait for (${Math.round(ms)} ms)`);

/**
 * The bytes of an answer as they arrive. Only the time in which they are waited for counts.
 * @throws HaiveError TIMEOUT when they drip
 */
export async function* arriving(answer: HttpAnswer): AsyncGenerator<Buffer> {
  const period = periodOf(answer);
  let [waited, got] = [0, 0];
  let asked = performance.now();
  for await (const chunk of answer.body as AsyncIterable<Buffer>) {
    waited += performance.now() - asked;
    got += chunk.length;
    if (waited > period) {
      if (got < (LEAST_RATE * waited) / 1000) throw tooSlow('What answers', waited);
      [waited, got] = [0, 0];
    }
    yield chunk;
    asked = performance.now();
  }
}

/**
 * The whole body of an answer. It may take twice the longest silence, and longer where it is long.
 * @param limit bytes that are accepted
 * @throws HaiveError HUB_ANSWER_INVALID when it is longer, HUB_UNREACHABLE or TIMEOUT when it breaks off
 */
export async function readAll(answer: HttpAnswer, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  const begun = performance.now();
  const period = periodOf(answer);
  try {
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > limit) {
        answer.body.destroy();
        throw new HaiveError('HUB_ANSWER_INVALID', `The answer is over ${limit} bytes`);
      }
      chunks.push(chunk);
      const took = performance.now() - begun;
      if (took > period + (size / WHOLE_RATE) * 1000) throw tooSlow('What answers', took);
    }
  } catch (cause) {
    throw brokenOff(cause, 'The answer broke off');
  }
  return Buffer.concat(chunks);
}

/** Why an answer that had begun did not come to its end: the connection where it is to blame, else the answer itself. */
export function brokenOff(cause: unknown, what: string): HaiveError {
  if (cause instanceof HaiveError && cause.code !== 'BODY_INVALID') return cause;
  const { code } = cause as { code?: unknown };
  const connection = typeof code === 'string' && /^(E[A-Z]+|ERR_STREAM_PREMATURE_CLOSE)$/.test(code);
  return new HaiveError(connection ? 'HUB_UNREACHABLE' : 'HUB_ANSWER_INVALID', what, { cause });
}
