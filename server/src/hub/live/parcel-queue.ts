import { setImmediate } from 'node:timers/promises';
import type { Parcel } from '../plans/parcels.ts';
import type { LiveSocket } from './socket.ts';

/** Sends machines that were rung what changed for them, one after the other, so that the hub answers others meanwhile. */
export interface ParcelQueue {
  /** Machines of these sockets wait for a parcel; one that waits already gets the newer one alone. */
  offer(sockets: Iterable<LiveSocket>): void;
  /** How long a machine may have to wait behind all that take parcels, in ms. */
  patienceMs(sockets: number): number;
  close(): void;
}

/** Only a hub that hangs lets a machine wait so long: who gets no parcel is told to ask. */
const PATIENCE_MS = 2000;
const PATIENCE_EACH_MS = 4;
const MAX_PATIENCE_MS = 30_000;

/** @param make what a machine is to be sent; a failure is `lost`'s, and the machine asks when its patience is over */
export function createParcelQueue(
  make: (machineId: string, etag: string) => Promise<Parcel>,
  send: (socket: LiveSocket, parcel: Parcel) => void,
  lost: (error: unknown) => void,
): ParcelQueue {
  const waiting = new Set<LiveSocket>();
  let running = false;
  let closed = false;

  async function run(): Promise<void> {
    running = true;
    for (const socket of waiting) {
      if (closed) break;
      waiting.delete(socket);
      const { etag, principal } = socket;
      if (etag === null || principal.machineId === null) continue;
      try {
        send(socket, await make(principal.machineId, etag));
      } catch (error) {
        lost(error);
      }
      if (waiting.size > 0) await setImmediate();
    }
    running = false;
  }

  return {
    offer(sockets) {
      for (const socket of sockets) if (socket.etag !== null) waiting.add(socket);
      if (!running && waiting.size > 0) void run();
    },
    patienceMs: (sockets) => Math.min(MAX_PATIENCE_MS, PATIENCE_MS + sockets * PATIENCE_EACH_MS),
    close() {
      closed = true;
      waiting.clear();
    },
  };
}
