// A plan's code: the hash of what was planned. Applying asks for it, so that nothing is done that was not shown.
import { createHash } from 'node:crypto';
import { EsError } from './client.mjs';

export function confirmation(kind, planned) {
  return createHash('sha256')
    .update(JSON.stringify([kind, planned]))
    .digest('hex')
    .slice(0, 12);
}

export function requireConfirmation(wanted, given) {
  if (given === wanted) return;
  throw new EsError(
    'ES_NOT_CONFIRMED',
    'The code is not that of this plan',
    'Make the plan again, show it to the user, and apply it with its code.',
  );
}
