import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientMessage, ServerMessage } from '../contract/messages.ts';
import { type Between, pack } from '../contract/parcel.ts';
import { HaiveError, toHaiveError } from '../domain/errors.ts';
import { readConfig } from '../machine/config-file.ts';
import { clearLive, writeLive } from '../machine/live-state.ts';
import { withLock } from '../machine/lock.ts';
import { tryToAnnounce } from './collective/announce.ts';
import { refreshInbox } from './collective/inbox.ts';
import { type ClientContext, hubAuthorities, requireTls } from './context.ts';
import { hubUrl } from './hub-client.ts';
import { machineProof } from './machine-key.ts';
import { describeSync, type HookOutput, hookOutput } from './notice.ts';
import { openParcel, type Parcel, ReportPost, type SendReport, throughParcel } from './parcel.ts';
import { BACKOFF, reconnectDelay } from './reconnect-delay.ts';
import { openSocket, type Socket } from './socket.ts';
import { type SyncProgress, type SyncResult, syncMachine } from './sync.ts';

type Told = Extract<ClientMessage, { type: 'progress' }>['progress'];

export interface LiveOptions {
  signal: AbortSignal;
  /** After every sync that this channel made. */
  onSync?: ((result: SyncResult) => void) | undefined;
  /** Of every sync, as each step begins. */
  onProgress?: ((progress: SyncProgress) => void) | undefined;
  /** Runs after each sync, before the next. */
  afterSync?: (() => Promise<void>) | undefined;
  /** What went wrong; the channel goes on. */
  onError?: ((error: HaiveError) => void) | undefined;
  /** When this process became the one that holds the channel, or is waiting for another that does. */
  onState?: ((state: 'waiting' | 'holding' | 'connected' | 'polling') => void) | undefined;
  /** Times in milliseconds, shortened by tests. */
  pace?: Partial<Pace> | undefined;
}

export interface Pace {
  /** Between tries to become the holder. */
  claim: number;
  /** Of the state file that the hook reads; the hook takes an older one for dead. */
  live: number;
  heartbeat: number;
  backoffMin: number;
  backoffMax: number;
}

const PACE: Pace = { claim: 30_000, live: 20_000, heartbeat: 30_000, ...BACKOFF };

/** Codes after which trying again by itself makes no sense until a person acts; asked again slowly. */
const NEEDS_A_PERSON = new Set([
  'TOKEN_INVALID',
  'FORBIDDEN',
  'PROTOCOL_MISMATCH',
  'TLS_REQUIRED',
  'SIGNATURE_INVALID',
  'PLAN_REPLAYED',
]);

/**
 * Keeps this machine in step while `signal` is not aborted: holds the machine's one live channel (or waits until its holder is
 * gone), syncs when the doorbell rings and at `sync_interval`, and keeps the state file fresh that lets hooks end at once.
 * @throws HaiveError NOT_JOINED, at the start or once the machine has left; other failures go to `onError`
 */
export async function holdLiveChannel(ctx: ClientContext, options: LiveOptions): Promise<void> {
  if (ctx.config.token === undefined || ctx.config.hub_url === undefined) {
    throw new HaiveError('NOT_JOINED', 'This machine has not joined a hub');
  }
  const pace = { ...PACE, ...options.pace };
  const { machine } = ctx;
  const claim = { ...machine, paths: { ...machine.paths, lock: machine.paths.liveLock } };
  while (!options.signal.aborted) {
    // Taking the lock makes our folder, which must stay away once the machine has left.
    if ((await readConfig(machine)).token === undefined) throw left();
    try {
      await withLock(claim, 'live channel', () => new Channel(ctx, options, pace).run(), { waitMs: 0 });
    } catch (thrown) {
      const error = toHaiveError(thrown);
      if (error.code === 'NOT_JOINED') throw error;
      if (error.code === 'LOCKED') options.onState?.('waiting');
      else options.onError?.(error);
      await pause(pace.claim, options.signal);
    }
  }
}

const left = (): HaiveError => new HaiveError('NOT_JOINED', 'This machine has left its hub');

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal, ref: true }).catch(() => undefined);
}

class Channel {
  private readonly ctx: ClientContext;
  private readonly options: LiveOptions;
  private readonly pace: Pace;
  /** Aborted when the machine leaves its hub. */
  private readonly gone = new AbortController();
  private readonly signal: AbortSignal;
  private socket: Socket | undefined;
  private syncing: Promise<void> | undefined;
  private again = false;
  /** What came during a sync, for the one after it. */
  private queued: Parcel | undefined;
  private inboxDue = false;
  private readingInbox = false;
  private notice: HookOutput | undefined;
  private ringTimer: NodeJS.Timeout | undefined;
  /** The newest seq that a sync has answered to. */
  private seq = 0;
  /** The newest seq that was rung. */
  private rung = 0;
  /** How far the hub spread its machines when it last rang. */
  private spreadMs = 0;
  /** The etag of the plan that the hub was last told to be here; empty: this machine takes no parcels. */
  private told = '';
  private readonly post = new ReportPost();
  /** No hook may end early on the word of a process that never reached the hub. */
  private reached = false;

  constructor(ctx: ClientContext, options: LiveOptions, pace: Pace) {
    this.ctx = ctx;
    this.options = options;
    this.pace = pace;
    this.signal = AbortSignal.any([options.signal, this.gone.signal]);
  }

  async run(): Promise<void> {
    const { signal } = this;
    this.options.onState?.('holding');
    this.seq = this.ctx.config.plan?.counter ?? 0;
    const alive = setInterval(() => void this.markLive(), this.pace.live);
    const polls = this.pollForever();
    try {
      await this.sync();
      await this.connectForever();
    } finally {
      clearInterval(alive);
      clearTimeout(this.ringTimer);
      this.socket?.close();
      await this.syncing;
      if (signal.aborted) await clearLive(this.ctx.machine).catch(() => undefined);
      await polls;
    }
    if (this.gone.signal.aborted) throw left();
  }

  /** The doorbell may be out of reach (a proxy without WebSocket): the interval of the configuration holds in any case. */
  private async pollForever(): Promise<void> {
    const { signal } = this;
    while (!signal.aborted) {
      const everyMs = this.ctx.config.plugins.sync_interval * 1000;
      await pause(everyMs * (0.9 + 0.2 * this.ctx.random()), signal);
      if (!signal.aborted) await this.sync();
    }
  }

  private async connectForever(): Promise<void> {
    const { signal } = this;
    for (let failures = 0; !signal.aborted; ) {
      const since = performance.now();
      const error = await this.connectOnce();
      if (signal.aborted) return;
      this.options.onState?.('polling');
      this.options.onError?.(error);
      failures = performance.now() - since > 60_000 ? 0 : failures + 1;
      const times = NEEDS_A_PERSON.has(error.code) ? Number.POSITIVE_INFINITY : failures;
      await pause(reconnectDelay(times, this.spreadMs, this.ctx.random(), this.pace), signal);
    }
  }

  private async connectOnce(): Promise<HaiveError> {
    const { env, config } = this.ctx;
    const { signal } = this;
    try {
      const socket = await openSocket({
        url: requireTls(this.ctx, hubUrl(env.hubUrl ?? config.hub_url ?? '')),
        token: config.token ?? '',
        prove: machineProof(this.ctx),
        ca: await hubAuthorities(this.ctx),
        heartbeatMs: this.pace.heartbeat,
        onMessage: (message) => {
          if (message.type === 'hello') this.resume();
          else if (message.type === 'doorbell') this.ring(message);
          else if (message.type === 'same') this.stays(message.seq, message.etag);
          else if (message.type === 'reported') this.post.taken(message.id);
          else if (message.type === 'error') this.post.fail(new HaiveError('HUB_ANSWER_INVALID', message.message));
          else if (message.type === 'inbox') void this.readInbox();
        },
        onBytes: (bytes) => void this.takeParcel(bytes),
      });
      this.socket = socket;
      // The hello may have arrived before `socket` was known here.
      this.resume();
      this.options.onState?.('connected');
      if (this.ctx.config.role !== undefined) void tryToAnnounce(this.ctx).catch(() => undefined);
      // What was said while nobody listened here.
      void this.readInbox();
      const stop = (): void => socket.close();
      signal.addEventListener('abort', stop, { once: true });
      if (signal.aborted) stop();
      const error = await socket.closed;
      signal.removeEventListener('abort', stop);
      this.post.fail(error);
      return error;
    } catch (thrown) {
      return toHaiveError(thrown);
    } finally {
      this.socket = undefined;
    }
  }

  /** One at a time; what is said meanwhile is read after it. */
  private async readInbox(): Promise<void> {
    this.inboxDue = true;
    if (this.readingInbox) return;
    this.readingInbox = true;
    try {
      while (this.inboxDue && !this.signal.aborted) {
        this.inboxDue = false;
        if (!(await this.stillMember())) return;
        await refreshInbox(this.ctx);
      }
    } catch (thrown) {
      this.options.onError?.(toHaiveError(thrown));
    } finally {
      this.readingInbox = false;
    }
  }

  private resume(): void {
    this.told = this.ctx.config.plan?.etag ?? '';
    const parcels = this.told === '' ? {} : { parcels: { etag: this.told } };
    this.socket?.send({ type: 'resume', seq: this.seq, ...parcels });
  }

  private ring({ seq, spread_ms, parcel_ms }: Extract<ServerMessage, { type: 'doorbell' }>): void {
    this.spreadMs = Math.max(0, spread_ms);
    this.rung = Math.max(this.rung, seq);
    if (seq <= this.seq) return;
    // A ring that promises no parcel may come in the place of one.
    if (this.ringTimer !== undefined && parcel_ms !== undefined) return;
    const patience = this.told === '' ? 0 : Math.min(parcel_ms ?? 0, 60_000);
    this.askIn(patience + Math.max(0, Math.min(spread_ms, 600_000)) * this.ctx.random());
  }

  private askIn(ms: number): void {
    clearTimeout(this.ringTimer);
    this.ringTimer = setTimeout(() => {
      this.ringTimer = undefined;
      void this.sync();
    }, ms);
  }

  private noNeedToAsk(): void {
    clearTimeout(this.ringTimer);
    this.ringTimer = undefined;
  }

  private get between(): Between {
    const { hub, machine } = this.ctx.config;
    return { hub: hub?.id ?? '', machine: machine?.id ?? '', etag: this.told };
  }

  /** The hub has looked: nothing changed for this machine. */
  private stays(seq: number, etag: string): void {
    if (etag !== this.told || etag !== this.ctx.config.plan?.etag) return;
    this.seq = Math.max(this.seq, seq);
    if (seq >= this.rung) this.noNeedToAsk();
  }

  /** What a parcel brings is installed at once; one that is not for this machine as it is now only leaves it to ask. */
  private async takeParcel(bytes: Buffer): Promise<void> {
    const parcel = await openParcel(bytes, this.between).catch(() => undefined);
    if (parcel === undefined) {
      if (this.ringTimer === undefined) await this.sync();
      return;
    }
    if (parcel.counter >= this.rung) this.noNeedToAsk();
    await this.sync(parcel);
  }

  private readonly sendReport: SendReport = (report, etag) =>
    this.post.send((id) => {
      const text = JSON.stringify({ type: 'report', id, etag, report } satisfies ClientMessage);
      const bytes = pack(Buffer.from(text), this.between);
      this.told = etag;
      return this.socket?.sendBytes(bytes) ?? false;
    });

  /** One at a time; a ring during a sync makes one more after it. */
  private async sync(parcel?: Parcel): Promise<void> {
    if (this.syncing !== undefined) {
      this.again = true;
      this.queued = parcel !== undefined && parcel.counter >= this.rung ? parcel : undefined;
      return this.syncing;
    }
    this.syncing = this.syncUntilQuiet(parcel).finally(() => {
      this.syncing = undefined;
    });
    return this.syncing;
  }

  private async syncUntilQuiet(first?: Parcel): Promise<void> {
    let parcel = first;
    do {
      this.again = false;
      const answering = parcel === undefined ? this.rung : 0;
      const brought = parcel;
      parcel = undefined;
      try {
        if (!(await this.stillMember())) return;
        const result = await syncMachine(this.ctx, {
          mode: 'agent',
          signal: this.signal,
          onProgress: (progress) => {
            this.options.onProgress?.(progress);
            // What comes in a parcel is here before anybody could read that it is being fetched.
            if (brought === undefined) this.tell(progress);
          },
          ...(brought === undefined ? {} : { through: (hub) => throughParcel(hub, brought, this.sendReport) }),
        });
        this.seq = Math.max(this.seq, answering, result.counter);
        this.tellEtag();
        this.reached = true;
        this.tellRest(result);
        this.notice = hookOutput(describeSync(result));
        await this.markLive();
        this.options.onSync?.(result);
        await this.options.afterSync?.();
      } catch (thrown) {
        if (this.signal.aborted) return;
        // A parcel that does not do is no news: asking will tell.
        if (brought !== undefined) {
          this.again = true;
          this.queued = undefined;
        } else this.options.onError?.(toHaiveError(thrown));
      }
      parcel = this.queued;
      this.queued = undefined;
    } while (this.again && !this.signal.aborted);
  }

  private tellEtag(): void {
    const etag = this.ctx.config.plan?.etag ?? '';
    if (etag === this.told || this.socket === undefined) return;
    const known = this.told !== '';
    this.told = etag;
    if (known) this.socket.send({ type: 'have', etag });
    else this.resume();
  }

  /** Re-reads the configuration, which others change: a machine that has left has no token. */
  private async stillMember(): Promise<boolean> {
    this.ctx.config = await readConfig(this.ctx.machine);
    if (this.ctx.config.token === undefined) this.gone.abort();
    return this.ctx.config.token !== undefined;
  }

  /** The first word of each step goes to whoever watches; bytes that arrive meanwhile are nobody's news. */
  private tell({ step, versions = {}, bytes = 0 }: SyncProgress): void {
    const state = step === 'fetch' ? 'fetching' : step === 'apply' ? 'installing' : undefined;
    if (state === undefined || bytes > 0) return;
    for (const [plugin, version] of Object.entries(versions)) this.send(plugin, version, { state });
  }

  /** What this sync leaves undone: it waits for a person, or it failed its checks here. */
  private tellRest({ waiting, problems }: SyncResult): void {
    const told = new Set(problems.map((p) => p.name));
    for (const { name, to, why, detail } of waiting) {
      if (to === null || told.has(name)) continue;
      const [, code = 'HASH_MISMATCH', message = detail] = /^([A-Z_]+): (.*)$/s.exec(detail) ?? [];
      this.send(name, to, why === 'refused' ? { state: 'failed', error: { code, message } } : { state: 'waiting' });
    }
    for (const { name, code, message, version, where } of problems) {
      if (where === 'machine') this.send(name, version ?? '', { state: 'failed', error: { code, message } });
    }
  }

  private send(plugin: string, version: string, rest: Pick<Told, 'state' | 'error'>): void {
    this.socket?.send({ type: 'progress', progress: { plugin, version, ...rest } });
  }

  private async markLive(): Promise<void> {
    if (!this.reached || !(await this.stillMember().catch(() => true))) return;
    await writeLive(this.ctx.machine, { output: this.notice }).catch(() => undefined);
  }
}
