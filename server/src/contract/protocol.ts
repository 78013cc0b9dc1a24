import { HaiveError } from '../domain/errors.ts';

/** The protocol that hub and machines speak; raised only by a change that older sides cannot follow. */
export const PROTOCOL = 1;
export const PROTOCOL_HEADER = 'haivemind-protocol';

/** @throws HaiveError PROTOCOL_MISMATCH when the other side states another protocol; a missing header passes (curl). */
export function checkProtocol(stated: string | undefined, who: 'hub' | 'machine'): void {
  if (stated === undefined || stated === String(PROTOCOL)) return;
  throw new HaiveError('PROTOCOL_MISMATCH', `The ${who} speaks protocol ${stated}, this side speaks ${PROTOCOL}`, {
    details: { theirs: stated, ours: PROTOCOL },
  });
}
