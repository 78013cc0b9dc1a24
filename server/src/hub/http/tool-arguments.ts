import type * as z from 'zod';
import { HaiveError } from '../../domain/errors.ts';

/** Fields that say whom a call reaches. */
const WHOM = /machine|group|target/i;

/**
 * A body whose fields are the arguments of a tool: null is an argument that was not given. Left out, a target means
 * everybody whom the caller may reach, so one that is misnamed is refused, while other fields that this hub does not know are passed over.
 * @throws HaiveError BAD_REQUEST
 */
export function toolArguments(schema: z.ZodObject, body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body;
  const given = Object.entries(body).filter(([, value]) => value !== null);
  const misnamed = given.find(([key]) => WHOM.test(key) && !Object.hasOwn(schema.shape, key))?.[0];
  if (misnamed !== undefined) {
    throw new HaiveError('BAD_REQUEST', `There is no field ${misnamed.slice(0, 80)} here`, {
      hint: `The fields are ${Object.keys(schema.shape).join(', ')}.`,
      details: { fields: [{ field: misnamed.slice(0, 80), problem: 'not a field of this call' }] },
    });
  }
  return Object.fromEntries(given);
}
