import { STATUS_CODES } from 'node:http';
import type * as z from 'zod';
import type { Problem } from '../../contract/schemas.ts';
import type { HaiveError } from '../../domain/errors.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** An error as RFC 9457 says it, without its cause: insides stay in the log. */
export function problemOf(error: HaiveError, requestId: string): z.output<typeof Problem> {
  return {
    type: `urn:haivemind:error:${error.code}`,
    title: STATUS_CODES[error.http] ?? 'Error',
    status: error.http,
    code: error.code,
    detail: error.message,
    hint: error.hint,
    ...(error.details === undefined ? {} : { details: error.details }),
    request_id: requestId,
  };
}
