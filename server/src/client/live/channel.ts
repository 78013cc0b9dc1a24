import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientMessage, ServerMessage } from '../../contract/messages.ts';
import { type Between, pack } from '../../contract/parcel.ts';
import { HaiveError, toHaiveError } from '../../domain/errors.ts';
import { readConfig } from '../../machine/config-file.ts';
import { tryToAnnounce } from '../collective/announce.ts';
import { refreshInbox } from '../collective/inbox.ts';
import { type ClientContext, hubAuthorities, proxiesOf, requireTls } from '../context.ts';
import { hubUrl } from '../hub/hub-client.ts';
import { machineProof } from '../hub/machine-key.ts';
import { openSocket, type Socket } from '../hub/socket.ts';
import { syncMachine, tryLater } from '../sync/index.ts';
import { describeSync, type HookOutput, hookOutput } from '../sync/notice.ts';
import { openParcel, type Parcel, ReportPost, type SendReport, throughParcel } from '../sync/parcel.ts';
import { keptEtag } from '../sync/plan.ts';
import { Doorbell } from './doorbell.ts';
import { InboxReader } from './inbox-reader.ts';
import { LiveMark } from './live-mark.ts';
import type { LiveOptions, Pace } from './options.ts';
import { leftUndone, progressOf, type Told } from './progress.ts';
import { reconnectDelay } from './reconnect-delay.ts';

/** Codes after which trying again by itself makes no sense until a person acts; asked again slowly. */
const NEEDS_A_PERSON = new Set([
  'TOKEN_INVALID',
  'FORBIDDEN',
  'PROTOCOL_MISMATCH',
  'PROOF_REQUIRED',
  'PROOF_INVALID',
  'TLS_REQUIRED',
  'SIGNATURE_INVALID',
  'PLAN_REPLAYED',
]);

/** What the hub says of a report. */
const refusalOf = ({ code, message, details = {} }: Extract<ServerMessage, { type: 'error' }>): HaiveError =>
  code === 'REPORT_OUTDATED'
    ? new HaiveError(code, message, { details })
    : new HaiveError('HUB_ANSWER_INVALID', message);

export const left = (): HaiveError => new HaiveError('NOT_JOINED', 'This machine has left its hub');

export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal, ref: true }).catch(() => undefined);
}

/** Which hub a machine speaks to, and as whom. */
const standing = ({ env, config }: ClientContext): string =>
  JSON.stringify([env.hubUrl ?? config.hub_url, config.hub_ca, config.token, config.hub?.id, config.machine?.id]);

/** The live channel of the process that holds it; over once the machine speaks to another hub, or as another one. */
export class Channel {
  private readonly ctx: ClientContext;
  private readonly options: LiveOptions;
  private readonly pace: Pace;
  /** Aborted when the machine leaves its hub. */
  private readonly gone = new AbortController();
  /** Aborted when the machine speaks to another hub. */
  private readonly moved = new AbortController();
  private readonly from: string;
  private readonly signal: AbortSignal;
  private socket: Socket | undefined;
  private syncing: Promise<void> | undefined;
  private again = false;
  /** What came during a sync, for the one after it. */
  private queued: Parcel | undefined;
  private notice: HookOutput | undefined;
  private readonly bell: Doorbell;
  private readonly inbox: InboxReader;
  /** The etag of the plan that the hub was last told to be here; empty: this machine takes no parcels. */
  private told = '';
  private readonly post = new ReportPost();
  /** Whether the last question to the hub was answered. */
  private answered = false;
  private readonly mark: LiveMark;
  /** Syncs in a row that came to nothing for now. */
  private failures = 0;
  private retry: NodeJS.Timeout | undefined;

  constructor(ctx: ClientContext, options: LiveOptions, pace: Pace) {
    this.ctx = ctx;
    this.options = options;
    this.pace = pace;
    this.signal = AbortSignal.any([options.signal, this.gone.signal, this.moved.signal]);
    this.from = standing(ctx);
    this.bell = new Doorbell(() => void this.sync(), ctx.random);
    // No hook may end early on the word of a process that does not hear the hub.
    this.mark = new LiveMark(ctx.machine, async () => {
      const member = await this.stillMember().catch(() => true);
      return member && this.answered && this.socket !== undefined && !this.signal.aborted;
    });
    this.inbox = new InboxReader(async () => {
      if (this.signal.aborted || !(await this.stillMember())) return false;
      await refreshInbox(this.ctx);
      return true;
    });
  }

  async run(): Promise<void> {
    const { signal } = this;
    this.options.onState?.('holding');
    this.bell.seq = this.ctx.config.plan?.counter ?? 0;
    const alive = setInterval(() => void this.mark.set(this.notice), this.pace.live);
    const polls = this.pollForever();
    try {
      await this.sync();
      await this.connectForever();
    } finally {
      clearInterval(alive);
      clearTimeout(this.retry);
      this.bell.stop();
      this.socket?.close();
      await this.syncing;
      if (signal.aborted) await this.mark.set(undefined);
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
      await pause(reconnectDelay(times, this.bell.spreadMs, this.ctx.random(), this.pace), signal);
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
        proxies: proxiesOf(this.ctx),
        heartbeatMs: this.pace.heartbeat,
        onMessage: (message) => {
          if (message.type === 'hello') {
            if (this.bell.wentBack(message.seq)) void this.sync();
            this.resume();
          } else if (message.type === 'doorbell') this.bell.ring(message, this.told !== '');
          else if (message.type === 'same') void this.stays(message.seq, message.etag).catch(() => undefined);
          else if (message.type === 'reported') this.post.taken(message.id);
          else if (message.type === 'error') this.post.fail(refusalOf(message));
          else if (message.type === 'inbox') void this.readInbox();
        },
        onBytes: (bytes) => void this.takeParcel(bytes),
      });
      this.socket = socket;
      // The hello may have arrived before `socket` was known here.
      this.resume();
      if (this.failures > 0) this.tryAgain();
      await this.mark.set(this.notice);
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
      await this.mark.set(undefined);
    }
  }

  private resume(): void {
    this.told = this.ctx.config.plan?.etag ?? '';
    const parcels = this.told === '' ? {} : { parcels: { etag: this.told } };
    this.socket?.send({ type: 'resume', seq: this.bell.seq, ...parcels });
  }

  /** Errors are told; the next ring reads again. */
  private async readInbox(): Promise<void> {
    await this.inbox.read().catch((thrown) => this.options.onError?.(toHaiveError(thrown)));
  }

  private get between(): Between {
    const { hub, machine } = this.ctx.config;
    return { hub: hub?.id ?? '', machine: machine?.id ?? '', etag: this.told };
  }

  /** The hub has looked: nothing changed for this machine. */
  private async stays(seq: number, etag: string): Promise<void> {
    if (etag !== this.told || etag !== (await keptEtag(this.ctx))) return;
    this.bell.answered(seq);
    this.bell.brought(seq);
  }

  /** What a parcel brings is installed at once; one that is not for this machine as it is now only leaves it to ask. */
  private async takeParcel(bytes: Buffer): Promise<void> {
    const parcel = await openParcel(bytes, this.between).catch(() => undefined);
    if (parcel === undefined) {
      if (!this.bell.isWaiting) await this.sync();
      return;
    }
    this.bell.brought(parcel.counter);
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
      this.queued = parcel !== undefined && parcel.counter >= this.bell.rung ? parcel : undefined;
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
      clearTimeout(this.retry);
      const answering = parcel === undefined ? this.bell.rung : 0;
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
            if (brought === undefined) this.tell(progressOf(progress));
          },
          ...(brought === undefined ? {} : { through: (hub) => throughParcel(hub, brought, this.sendReport) }),
        });
        this.bell.answered(Math.max(answering, result.counter));
        this.tellEtag();
        this.answered = true;
        this.failures = 0;
        this.tell(leftUndone(result));
        this.notice = hookOutput(describeSync(result));
        await this.mark.set(this.notice);
        this.options.onSync?.(result);
        await this.options.afterSync?.();
      } catch (thrown) {
        if (this.signal.aborted) return;
        // A parcel that does not do is no news: asking will tell.
        if (brought !== undefined) {
          this.again = true;
          this.queued = undefined;
        } else await this.failed(toHaiveError(thrown));
      }
      parcel = this.queued;
      this.queued = undefined;
    } while (this.again && !this.signal.aborted);
  }

  /** Nothing rings again for what was rung already. */
  private async failed(error: HaiveError): Promise<void> {
    this.options.onError?.(error);
    if (tryLater(error)) this.failures += 1;
    // Who holds the lock keeps the machine in step.
    if (error.code !== 'LOCKED') this.answered = false;
    await this.mark.set(this.notice);
    if (tryLater(error) && this.socket !== undefined) this.tryAgain();
  }

  private tryAgain(): void {
    clearTimeout(this.retry);
    if (this.signal.aborted) return;
    const waitMs = reconnectDelay(this.failures, this.bell.spreadMs, this.ctx.random(), this.pace);
    this.retry = setTimeout(() => void this.sync(), waitMs);
  }

  private tellEtag(): void {
    const etag = this.ctx.config.plan?.etag ?? '';
    if (etag === this.told || this.socket === undefined) return;
    const known = this.told !== '';
    this.told = etag;
    if (known) this.socket.send({ type: 'have', etag });
    else this.resume();
  }

  /** Re-reads the configuration, which others change: a machine that has left has no token, and one that joined anew another. */
  private async stillMember(): Promise<boolean> {
    this.ctx.config = await readConfig(this.ctx.machine);
    if (this.ctx.config.token === undefined) this.gone.abort();
    else if (standing(this.ctx) !== this.from) this.moved.abort();
    return !this.gone.signal.aborted && !this.moved.signal.aborted;
  }

  private tell(news: readonly Told[]): void {
    for (const progress of news) this.socket?.send({ type: 'progress', progress });
  }
}
