import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { LIVE } from '../contract/messages.ts';
import { checkProtocol, PROTOCOL_HEADER } from '../contract/protocol.ts';
import { HaiveError, toHaiveError } from '../domain/errors.ts';
import { type Authenticator, requireAccess } from './auth.ts';
import type { Log } from './context.ts';
import { callerKey, clientAddress } from './http/client-address.ts';
import { refuse } from './http/http-server.ts';
import type { RequestLimits } from './http/request-limits.ts';
import { requestIdOf } from './http/router.ts';
import type { Live } from './live/live.ts';
import { isLivePath } from './live/rings.ts';
import { isProven, proofMissing } from './machines/proof.ts';

export interface UpgradeParts {
  auth: Authenticator;
  live: Live;
  limits: RequestLimits;
  log: Log;
  isDraining(): boolean;
  behindProxy: boolean;
  clock: () => Date;
}

/** Authenticates a connection that wants to become a live channel, and hands it over. */
export async function upgrade(
  parts: UpgradeParts,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const requestId = requestIdOf(request.headers);
  socket.on('error', () => socket.destroy());
  try {
    if (!isLivePath(request.url))
      throw new HaiveError('NOT_FOUND', 'No live channel is at this address', {
        hint: 'Check the path against /openapi.json.',
      });
    if (parts.isDraining()) throw new HaiveError('SHUTTING_DOWN', 'The hub is stopping');
    checkProtocol(request.headers[PROTOCOL_HEADER] as string | undefined, 'machine');
    const address = clientAddress(request, parts.behindProxy);
    const who = await parts.auth.authenticate(request.headers.authorization, callerKey(address));
    const principal = { ...who, address };
    parts.limits.token(principal);
    requireAccess(principal, LIVE);
    const asked = { method: 'GET', url: request.url ?? '', headers: request.headers };
    const now = parts.clock();
    if (!isProven(principal, asked, now)) throw proofMissing(now);
    parts.live.accept(request, socket, head, principal);
  } catch (thrown) {
    const error = toHaiveError(thrown);
    if (error.code === 'INTERNAL') parts.log.error({ request_id: requestId, error: error.cause }, 'defect');
    refuse(socket, error, requestId);
  }
}
