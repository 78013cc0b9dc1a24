import type * as z from 'zod';
import type { ClientMessage, Progress } from '../../contract/messages.ts';
import { mayUse } from '../../contract/roles.ts';
import type { EventRow, StatusReport } from '../../contract/schemas.ts';
import { HaiveError, toHaiveError } from '../../domain/errors.ts';
import { eventsAfter } from '../../storage/queries/events.ts';
import type { Store } from '../../storage/store.ts';
import type { Log, Principal } from '../context.ts';
import { hearingNow } from '../hearing.ts';
import { spreadMs } from './rings.ts';
import type { LiveSocket } from './socket.ts';
import type { LiveSockets } from './sockets.ts';

export type EventMessage = z.output<typeof EventRow>;
type Message = z.output<typeof ClientMessage>;

/** Events in one question to the database. */
export const EVENTS_PAGE = 500;

export interface ConversationParts {
  store: Store;
  log: Log;
  sockets: LiveSockets;
  /** The seq up to which the watchers of this process were told. */
  told(): number;
  /** Told when a machine is heard of. */
  seen(principal: Principal): void;
  /** Takes down what a machine reports. */
  report?: ((principal: Principal, report: StatusReport) => Promise<void>) | undefined;
  /** Tells whoever watches, at any hub process. */
  progress(value: z.output<typeof Progress>): void;
}

/** Answers what machines and watchers say over their sockets. */
export function createConversation(parts: ConversationParts): (socket: LiveSocket, message: Message) => void {
  const { store, log, sockets } = parts;

  async function resume(socket: LiveSocket, message: Message & { type: 'resume' }): Promise<void> {
    if (message.watch && !mayUse(socket.principal.roles, ['operator', 'publisher', 'reader'])) {
      const text = 'This token may not watch events';
      socket.send({ type: 'error', code: 'FORBIDDEN', message: text });
      return;
    }
    if (message.parcels !== undefined && socket.principal.machineId !== null && sockets.all.has(socket)) {
      socket.etag = message.parcels.etag;
      sockets.takers.add(socket);
    }
    const now = await store.currentSeq();
    if (message.watch) await catchUp(socket, message.seq);
    // A seq ahead of ours means that this hub was restored: the machine must hear of it too.
    if (message.seq !== now) socket.send({ type: 'doorbell', seq: now, spread_ms: spreadMs(sockets.machines) });
  }

  /** Sends a watcher what it missed, until nothing was told to the others meanwhile: then it has joined them. */
  async function catchUp(socket: LiveSocket, after: number): Promise<void> {
    let from = after;
    for (;;) {
      const mark = parts.told();
      const events = await eventsAfter(store.read, from, EVENTS_PAGE);
      const hears = await hearingNow(store, socket.principal);
      for (const row of events) {
        const event = hears.event(row);
        if (event !== null) socket.send({ type: 'event', event });
      }
      from = events.at(-1)?.seq ?? from;
      if (events.length < EVENTS_PAGE && mark === parts.told()) break;
    }
    socket.watchedTo = from;
    // It may have closed meanwhile.
    if (sockets.all.has(socket)) sockets.watchers.add(socket);
  }

  function onMessage(socket: LiveSocket, message: Message): void {
    parts.seen(socket.principal);
    if (message.type === 'resume') {
      resume(socket, message).catch((error) => {
        log.warn({ error }, 'a socket could not resume');
        socket.close(1011, 'try again');
      });
      return;
    }
    const { machineId, name } = socket.principal;
    if (machineId === null) {
      socket.send({ type: 'error', code: 'FORBIDDEN', message: 'Only machines report progress' });
      return;
    }
    if (message.type === 'have') {
      if (socket.etag !== null) socket.etag = message.etag;
      return;
    }
    if (message.type === 'report') {
      socket.etag = message.etag;
      takeReport(socket, message.id, message.report);
      return;
    }
    parts.progress({ ...message.progress, machine: name });
  }

  function takeReport(socket: LiveSocket, id: number, report: StatusReport): void {
    (parts.report?.(socket.principal, report) ?? Promise.reject(new HaiveError('NOT_FOUND', 'No reports here'))).then(
      () => socket.send({ type: 'reported', id }),
      (thrown) => {
        log.warn({ error: thrown }, 'a report could not be taken down');
        const { code, message, details } = toHaiveError(thrown);
        socket.send({ type: 'error', code, message, ...(code === 'REPORT_OUTDATED' ? { details } : {}) });
      },
    );
  }

  return onMessage;
}
