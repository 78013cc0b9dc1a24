import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocketServer } from 'ws';
import type * as z from 'zod';
import { type ClientMessage, Progress, type ServerMessage, WS_PATH } from '../contract/messages.ts';
import { unpack } from '../contract/parcel.ts';
import { PROTOCOL } from '../contract/protocol.ts';
import type { EventRow, StatusReport } from '../contract/schemas.ts';
import { HaiveError, toHaiveError } from '../domain/errors.ts';
import { eventsAfter } from '../storage/event-queries.ts';
import type { Store, Unlisten } from '../storage/store.ts';
import { mayUse } from './auth.ts';
import type { HubConfig } from './config.ts';
import type { Bell, Log, Principal } from './context.ts';
import { createParcelQueue } from './live-parcels.ts';
import { binaryFrameOf, createLiveSocket, frameOf, type LiveSocket } from './live-socket.ts';
import type { Parcel } from './parcels.ts';

type EventMessage = z.output<typeof EventRow>;

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
const EVENTS_PAGE = 500;
/** How long peers may take to answer our goodbye, in ms. */
const GOODBYE_MS = 1000;
/** Machines in one cross-process message, below its 7,800 bytes. */
const RING_CHUNK = 150;

/** Machines answer a doorbell within this many ms of each other; grows with the fleet so that it does not stampede. */
export function spreadMs(machines: number): number {
  return Math.min(10_000, machines * 2);
}

export async function createLive(parts: LiveParts): Promise<Live> {
  const { store, config, log } = parts;
  const clock = parts.clock ?? (() => new Date());
  const sockets = new Set<LiveSocket>();
  const byMachine = new Map<string, LiveSocket[]>();
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: config.limits.socketPayloadBytes,
  });
  /** Sockets of machines that take parcels. */
  const takers = new Set<LiveSocket>();
  const parcels = createParcelQueue(makeParcel, sendParcel, (error) => log.warn({ error }, 'a parcel was not sent'));
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
        const events = await eventsAfter(store.read, told, EVENTS_PAGE);
        const last = events.at(-1);
        // A seq without an event can be nobody's business: its transaction wrote none.
        told = last === undefined || events.length < EVENTS_PAGE ? Math.max(heard, last?.seq ?? 0) : last.seq;
        for (const event of events) {
          endRevoked(event);
          tellWatchers({ type: 'event', event }, event.seq);
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
    const [spread, patience] = [spreadMs(byMachine.size), parcels.patienceMs(takers.size)];
    const frame = frameOf({
      type: 'doorbell',
      seq,
      spread_ms: urgent ? Math.min(spread, URGENT_SPREAD_MS) : spread,
      ...(takers.size === 0 ? {} : { parcel_ms: urgent ? Math.min(patience, URGENT_SPREAD_MS) : patience }),
    });
    for (const socket of sockets) socket.sendFrame(frame);
    parcels.offer(takers);
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
    else socket.send({ type: 'doorbell', seq: parcel.seq, spread_ms: spreadMs(takers.size) });
  }

  function tellWatchers(message: ServerMessage, seq = Number.POSITIVE_INFINITY): void {
    let frame: Buffer | undefined;
    for (const socket of sockets) {
      if (socket.watchedTo === null || socket.watchedTo >= seq) continue;
      frame ??= frameOf(message);
      // Machines report in groups.
      socket.gather();
      socket.sendFrame(frame);
    }
  }

  function endRevoked(event: EventMessage): void {
    const { tokens, machine_id } = event.data as { tokens?: unknown; machine_id?: unknown };
    const ends = (p: Principal): boolean =>
      event.type === 'token.revoked' || event.type === 'machine.joined'
        ? Array.isArray(tokens) && tokens.includes(p.tokenId)
        : event.type === 'machine.removed' && p.machineId === machine_id;
    for (const socket of sockets) if (ends(socket.principal)) socket.close(4401, 'token revoked');
  }

  async function resume(
    socket: LiveSocket,
    message: z.output<typeof ClientMessage> & { type: 'resume' },
  ): Promise<void> {
    if (message.watch && !mayUse(socket.principal.roles, ['operator', 'publisher', 'reader'])) {
      const text = 'This token may not watch events';
      socket.send({ type: 'error', code: 'FORBIDDEN', message: text });
      return;
    }
    if (message.parcels !== undefined && socket.principal.machineId !== null && sockets.has(socket)) {
      socket.etag = message.parcels.etag;
      takers.add(socket);
    }
    const now = await store.currentSeq();
    if (message.watch) await catchUp(socket, message.seq);
    // A seq ahead of ours means that this hub was restored: the machine must hear of it too.
    if (message.seq !== now) socket.send({ type: 'doorbell', seq: now, spread_ms: spreadMs(byMachine.size) });
  }

  /** Sends a watcher what it missed, until nothing was told to the others meanwhile: then it has joined them. */
  async function catchUp(socket: LiveSocket, after: number): Promise<void> {
    let from = after;
    for (;;) {
      const mark = told;
      const events = await eventsAfter(store.read, from, EVENTS_PAGE);
      for (const event of events) socket.send({ type: 'event', event });
      from = events.at(-1)?.seq ?? from;
      if (events.length < EVENTS_PAGE && mark === told) break;
    }
    socket.watchedTo = from;
  }

  function onMessage(socket: LiveSocket, message: z.output<typeof ClientMessage>): void {
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
    progress({ ...message.progress, machine: name });
  }

  function takeReport(socket: LiveSocket, id: number, report: StatusReport): void {
    (parts.report?.(socket.principal, report) ?? Promise.reject(new HaiveError('NOT_FOUND', 'No reports here'))).then(
      () => socket.send({ type: 'reported', id }),
      (thrown) => {
        log.warn({ error: thrown }, 'a report could not be taken down');
        const { code, message } = toHaiveError(thrown);
        socket.send({ type: 'error', code, message });
      },
    );
  }

  function progress(value: z.output<typeof Progress>): void {
    store.notify(PROGRESS, JSON.stringify(value)).catch((error) => log.warn({ error }, 'progress was lost'));
  }

  function ringHere(ids: readonly string[], seq: number, withParcels: boolean): void {
    const patience = withParcels && takers.size > 0 ? { parcel_ms: parcels.patienceMs(ids.length) } : {};
    const frame = frameOf({ type: 'doorbell', seq, spread_ms: spreadMs(ids.length), ...patience });
    const rung = ids.flatMap((id) => [...(byMachine.get(id) ?? [])]);
    for (const socket of rung) socket.sendFrame(frame);
    if (withParcels) parcels.offer(rung);
  }

  function ringInboxHere(ids: readonly string[] | null): void {
    const frame = frameOf({ type: 'inbox' });
    for (const id of ids ?? byMachine.keys()) for (const socket of byMachine.get(id) ?? []) socket.sendFrame(frame);
  }

  function onNotice(channel: string, payload: string): void {
    try {
      if (channel === PROGRESS) tellWatchers({ type: 'progress', progress: Progress.parse(JSON.parse(payload)) });
      else if (channel === RING) ringHere(JSON.parse(payload) as string[], heard, false);
      else if (channel === INBOX) ringInboxHere(JSON.parse(payload) as string[] | null);
    } catch (error) {
      log.warn({ error, channel }, 'a notice of another hub could not be read');
    }
  }

  const shared = {
    backlogBytes: config.limits.socketBacklogBytes,
    message: onMessage,
    unpack(socket: LiveSocket, bytes: Buffer): string {
      const between = { hub: parts.hubId, machine: socket.principal.machineId ?? '', etag: socket.etag ?? '' };
      return unpack(bytes, between).toString('utf8');
    },
    closed: forget,
  };
  const unlisten: Unlisten = await store.listen(ring, onNotice);
  const heart = setInterval(() => {
    const now = clock().toISOString();
    for (const socket of sockets) {
      const { expiresAt } = socket.principal;
      if (expiresAt && expiresAt <= now) socket.close(4401, 'token expired');
      else socket.heartbeat();
    }
  }, config.limits.heartbeatMs);
  heart.unref();

  return {
    ring,
    progress,
    accept(request, socket, head, principal) {
      if (closed) throw new HaiveError('SHUTTING_DOWN', 'The hub is stopping');
      server.handleUpgrade(request, socket, head, (ws) => {
        const live = createLiveSocket(ws, socket as Socket, principal, shared);
        remember(live);
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
    connectedMachines: () => byMachine.keys(),
    isConnected: (machineId) => byMachine.has(machineId),
    size: () => sockets.size,
    async close() {
      if (closed) return;
      closed = true;
      clearInterval(heart);
      parcels.close();
      await unlisten();
      for (const socket of sockets) socket.close(1001, 'the hub is stopping');
      await pumping;
      for (let waited = 0; sockets.size > 0 && waited < GOODBYE_MS; waited += 20) await sleep(20);
      for (const socket of sockets) socket.terminate();
      server.close();
    },
  };

  function remember(socket: LiveSocket): void {
    sockets.add(socket);
    const { machineId } = socket.principal;
    if (machineId === null) return;
    byMachine.set(machineId, [...(byMachine.get(machineId) ?? []), socket]);
  }

  function forget(socket: LiveSocket): void {
    sockets.delete(socket);
    takers.delete(socket);
    socket.etag = null;
    const { machineId } = socket.principal;
    if (machineId === null) return;
    const others = (byMachine.get(machineId) ?? []).filter((mine) => mine !== socket);
    if (others.length > 0) byMachine.set(machineId, others);
    else byMachine.delete(machineId);
  }
}

/** Which machines' plans these events may change: most change any, some one machine's, some none. */
export function concerned(events: readonly EventMessage[]): 'all' | string[] {
  const ids = new Set<string>();
  for (const { type, data } of events) {
    if (type.startsWith('token.') || type === 'machine.joined' || type === 'machine.removed') continue;
    if (!Array.isArray(data.machine_ids)) return 'all';
    for (const id of data.machine_ids) ids.add(String(id));
  }
  return [...ids];
}

/** True for the address of the live channel. */
export function isLivePath(url: string | undefined): boolean {
  return (url ?? '').split('?', 1)[0] === WS_PATH;
}
