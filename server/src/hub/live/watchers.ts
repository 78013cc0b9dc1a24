import type * as z from 'zod';
import type { Progress, ServerMessage } from '../../contract/messages.ts';
import type { Store } from '../../storage/store.ts';
import { type Hearing, hearingOf, hearsPart } from '../hearing.ts';
import { type Catalogue, loadCatalogue } from '../registry/snapshot.ts';
import type { EventMessage } from './conversation.ts';
import { frameOf, type LiveSocket } from './socket.ts';
import type { LiveSockets } from './sockets.ts';

type Told = z.output<typeof Progress>;

/** Tells the watchers of this process what each may hear. */
export interface Watchers {
  /** What `event` needs to know of the registry as it is now; undefined, and at once, where all watchers hear everything. */
  catalogue(): Promise<Catalogue> | undefined;
  event(event: EventMessage, catalogue: Catalogue | undefined): void;
  progress(told: Told): void;
}

/** @param lost told when progress could not be passed on */
export function createWatchers(store: Store, sockets: LiveSockets, lost: (error: unknown) => void): Watchers {
  let waiting: Told[] = [];
  let telling = false;

  function tell(seq: number, catalogue: Catalogue | undefined, say: (hearing: Hearing) => ServerMessage | null): void {
    // Whoever hears everything gets the same frame.
    let whole: Buffer | undefined;
    for (const socket of sockets.watchers) {
      if (socket.watchedTo === null || socket.watchedTo >= seq) continue;
      const part = hearsPart(socket.principal);
      if (!part && whole !== undefined) sendTo(socket, whole);
      else {
        const message = say(hearingOf(socket.principal, catalogue));
        if (message === null) continue;
        const frame = frameOf(message);
        if (!part) whole = frame;
        sendTo(socket, frame);
      }
    }
  }

  function catalogue(): Promise<Catalogue> | undefined {
    for (const socket of sockets.watchers)
      if (socket.watchedTo !== null && hearsPart(socket.principal)) return loadCatalogue(store);
    return undefined;
  }

  /** In their order, and never before the version that they are about is known here: another process may have offered it. */
  async function tellWaiting(): Promise<void> {
    telling = true;
    try {
      while (waiting.length > 0) {
        const batch = waiting;
        waiting = [];
        const needed = catalogue();
        const known = needed === undefined ? undefined : await needed;
        for (const progress of batch) {
          tell(Number.POSITIVE_INFINITY, known, (to) =>
            to.progress(progress) ? { type: 'progress', progress } : null,
          );
        }
      }
    } catch (error) {
      lost(error);
    } finally {
      telling = false;
    }
  }

  return {
    catalogue,
    event: (event, known) =>
      tell(event.seq, known, (to) => {
        const shown = to.event(event);
        return shown === null ? null : { type: 'event', event: shown };
      }),
    progress(told) {
      waiting.push(told);
      if (!telling) void tellWaiting();
    },
  };
}

/** Machines report in groups: what is said in one turn leaves in one write. */
function sendTo(socket: LiveSocket, frame: Buffer): void {
  socket.gather();
  socket.sendFrame(frame);
}
