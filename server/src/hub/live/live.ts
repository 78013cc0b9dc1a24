import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocketServer } from 'ws';
import type * as z from 'zod';
import { Progress } from '../../contract/messages.ts';
import { unpack } from '../../contract/parcel.ts';
import { PROTOCOL } from '../../contract/protocol.ts';
import type { StatusReport } from '../../contract/schemas.ts';
import { HaiveError } from '../../domain/errors.ts';
import { eventsAfter } from '../../storage/queries/events.ts';
import type { Store, Unlisten } from '../../storage/store.ts';
import type { HubConfig } from '../config.ts';
import type { Bell, Log, Principal } from '../context.ts';
import type { Parcel } from '../plans/parcels.ts';
import { createConversation, EVENTS_PAGE, type EventMessage } from './conversation.ts';
import { createParcelQueue } from './parcel-queue.ts';
import { concerned, spreadMs } from './rings.ts';
import { binaryFrameOf, createLiveSocket, frameOf, type LiveSocket } from './socket.ts';
import { LiveSockets } from './sockets.ts';
import { createWatchers } from './watchers.ts';

/** The sockets of this process, and the line to those of the other hub processes. */
export interface Live extends Bell {
  /** Takes over an HTTP connection that was authenticated. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, principal: Principal): void;
  /** Rings single machines, wherever they are connected. */
  ringMachines(ids: readonly string[]): Promise<void>;
  /** Tells machines (null: all), wherever they are connected, that something was said to them. */
  ringInbox(ids: readonly string[] | null): void;
  connectedMachines(): Iterable<string>;
  isConnected(machineId: string): boolean;
  size(): number;
  /** Says goodbye (1001) to everybody and stops listening to the database. */
  close(): Promise<void>;
}

export interface LiveParts {
  store: Store;
  config: HubConfig;
  hubId: string;
  log: Log;
  /** Told when a machine is heard of. */
  seen(principal: Principal): void;
  /** What a machine is sent after the doorbell; without it machines only ask. */
  parcel?: (machineId: string, etag: string) => Promise<Parcel>;
  /** Takes down what a machine reports. */
  report?: (principal: Principal, report: StatusReport) => Promise<void>;
  clock?: () => Date;
}

const PROGRESS = 'progress';
const RING = 'ring';
const INBOX = 'inbox';
/** What is taken back must be gone before what is new arrives. */
const URGENT: readonly string[] = ['plugin.revoked', 'key.revoked'];
const URGENT_SPREAD_MS = 2000;
/** How long peers may take to answer our goodbye, in ms. */
const GOODBYE_MS = 1000;
/** Machines in one cross-process message, below its 7,800 bytes. */
const RING_CHUNK = 150;

export async function createLive(parts: LiveParts): Promise<Live> {
  const { store, config, log } = parts;
  const clock = parts.clock ?? (() => new Date());
  const sockets = new LiveSockets();
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: config.limits.socketPayloadBytes,
  });
  const parcels = createParcelQueue(makeParcel, sendParcel, (error) => log.warn({ error }, 'a parcel was not sent'));
  const watchers = createWatchers(store, sockets, (error) => log.warn({ error }, 'progress was lost'));
  let heard = await store.currentSeq();
  let told = heard;
  let pumping: Promise<void> | undefined;
  let closed = false;

  function ring(seq: number): void {
    heard = Math.max(heard, seq);
    pumping ??= pump().finally(() => {
      pumping = undefined;
      if (!closed && heard > told) setTimeout(() => ring(heard), 1000).unref();
    });
  }

  /** Reads what happened since the last time: watchers get it, machines are rung, sockets of revoked tokens end. */
  async function pump(): Promise<void> {
    try {
      while (told < heard && !closed) {
        // What rings while we ask may not be in the answer.
        const asked = heard;
        const events = await eventsAfter(store.read, told, EVENTS_PAGE);
        const last = events.at(-1);
        const needed = watchers.catalogue();
        const catalogue = needed === undefined ? undefined : await needed;
        // From here on in one turn: who joins the watchers meanwhile goes by `told`.
        // A seq without an event can be nobody's business: its transaction wrote none.
        told = last === undefined || events.length < EVENTS_PAGE ? Math.max(asked, last?.seq ?? 0) : last.seq;
        for (const event of events) {
          endRevoked(event);
          endRotated(event);
          watchers.event(event, catalogue);
        }
        const whom = concerned(events);
        const urgent = events.some((event) => URGENT.includes(event.type));
        if (whom === 'all') ringAll(told, urgent);
        else ringHere(whom, told, true);
      }
    } catch (error) {
      log.warn({ error }, 'the event feed could not be read');
    }
  }

  function ringAll(seq: number, urgent: boolean): void {
    const [spread, patience] = [spreadMs(sockets.machines), parcels.patienceMs(sockets.takers.size)];
    const frame = frameOf({
      type: 'doorbell',
      seq,
      spread_ms: urgent ? Math.min(spread, URGENT_SPREAD_MS) : spread,
      ...(sockets.takers.size === 0 ? {} : { parcel_ms: urgent ? Math.min(patience, URGENT_SPREAD_MS) : patience }),
    });
    for (const socket of sockets.all) socket.sendFrame(frame);
    parcels.offer(sockets.takers);
  }

  async function makeParcel(machineId: string, etag: string): Promise<Parcel> {
    try {
      if (parts.parcel !== undefined) return await parts.parcel(machineId, etag);
    } catch (error) {
      log.warn({ error }, 'a parcel could not be made');
    }
    return { kind: 'ask', seq: heard };
  }

  function sendParcel(socket: LiveSocket, parcel: Parcel): void {
    if (parcel.kind === 'bytes') socket.sendFrame(binaryFrameOf(parcel.bytes));
    else if (parcel.kind === 'same') socket.send({ type: 'same', seq: parcel.seq, etag: parcel.etag });
    else socket.send({ type: 'doorbell', seq: parcel.seq, spread_ms: spreadMs(sockets.takers.size) });
  }

  function endRevoked(event: EventMessage): void {
    const { tokens, machine_id } = event.data as { tokens?: unknown; machine_id?: unknown };
    const ends = (p: Principal): boolean =>
      event.type === 'token.revoked' || event.type === 'machine.joined'
        ? Array.isArray(tokens) && tokens.includes(p.tokenId)
        : event.type === 'machine.removed' && p.machineId === machine_id;
    for (const socket of sockets.all) if (ends(socket.principal)) socket.close(4401, 'token revoked');
  }

  /** A token that was traded for a new one ends, and with it what it opened. */
  function endRotated({ type, data }: EventMessage): void {
    if (type !== 'token.rotated') return;
    const { from, old_ends } = data as { from: string; old_ends: string };
    for (const socket of sockets.all) {
      if (socket.principal.tokenId !== from) continue;
      socket.principal.expiresAt = old_ends;
      closeExpired(socket);
    }
  }

  /** @returns whether its token has ended */
  function closeExpired(socket: LiveSocket): boolean {
    const { expiresAt } = socket.principal;
    const ended = Boolean(expiresAt) && String(expiresAt) <= clock().toISOString();
    if (ended) socket.close(4401, 'token expired');
    return ended;
  }

  function progress(value: z.output<typeof Progress>): void {
    store.notify(PROGRESS, JSON.stringify(value)).catch((error) => log.warn({ error }, 'progress was lost'));
  }

  function ringHere(ids: readonly string[], seq: number, withParcels: boolean): void {
    const patience = withParcels && sockets.takers.size > 0 ? { parcel_ms: parcels.patienceMs(ids.length) } : {};
    const frame = frameOf({ type: 'doorbell', seq, spread_ms: spreadMs(ids.length), ...patience });
    const rung = sockets.of(ids);
    for (const socket of rung) socket.sendFrame(frame);
    if (withParcels) parcels.offer(rung);
  }

  function ringInboxHere(ids: readonly string[] | null): void {
    const frame = frameOf({ type: 'inbox' });
    for (const socket of sockets.of(ids ?? sockets.machineIds())) socket.sendFrame(frame);
  }

  function onNotice(channel: string, payload: string): void {
    try {
      if (channel === PROGRESS) watchers.progress(Progress.parse(JSON.parse(payload)));
      else if (channel === RING) ringHere(JSON.parse(payload) as string[], heard, false);
      else if (channel === INBOX) ringInboxHere(JSON.parse(payload) as string[] | null);
    } catch (error) {
      log.warn({ error, channel }, 'a notice of another hub could not be read');
    }
  }

  const shared = {
    backlogBytes: config.limits.socketBacklogBytes,
    message: createConversation({ ...parts, sockets, told: () => told, progress }),
    unpack(socket: LiveSocket, bytes: Buffer): string {
      const between = { hub: parts.hubId, machine: socket.principal.machineId ?? '', etag: socket.etag ?? '' };
      return unpack(bytes, between).toString('utf8');
    },
    closed: (socket: LiveSocket) => sockets.forget(socket),
  };
  const unlisten: Unlisten = await store.listen(ring, onNotice);
  const heart = setInterval(() => {
    for (const socket of sockets.all) if (!closeExpired(socket)) socket.heartbeat();
  }, config.limits.heartbeatMs);
  heart.unref();

  return {
    ring,
    progress,
    accept(request, socket, head, principal) {
      if (closed) throw new HaiveError('SHUTTING_DOWN', 'The hub is stopping');
      server.handleUpgrade(request, socket, head, (ws) => {
        const live = createLiveSocket(ws, socket as Socket, principal, shared);
        sockets.remember(live);
        live.send({ type: 'hello', protocol: PROTOCOL, hub: parts.hubId, seq: heard });
      });
    },
    async ringMachines(ids) {
      for (let i = 0; i < ids.length; i += RING_CHUNK) {
        await store.notify(RING, JSON.stringify(ids.slice(i, i + RING_CHUNK)));
      }
    },
    ringInbox(ids) {
      const chunks: (readonly string[] | null)[] = ids === null ? [null] : [];
      for (let i = 0; i < (ids?.length ?? 0); i += RING_CHUNK) chunks.push(ids?.slice(i, i + RING_CHUNK) ?? null);
      for (const chunk of chunks) {
        store.notify(INBOX, JSON.stringify(chunk)).catch((error) => log.warn({ error }, 'an inbox was not rung'));
      }
    },
    connectedMachines: () => sockets.machineIds(),
    isConnected: (machineId) => sockets.has(machineId),
    size: () => sockets.all.size,
    async close() {
      if (closed) return;
      closed = true;
      clearInterval(heart);
      parcels.close();
      await unlisten();
      for (const socket of sockets.all) socket.close(1001, 'the hub is stopping');
      await pumping;
      for (let waited = 0; sockets.all.size > 0 && waited < GOODBYE_MS; waited += 20) await sleep(20);
      for (const socket of sockets.all) socket.terminate();
      server.close();
    },
  };
}
