import { setTimeout as sleep } from 'node:timers/promises';
import type * as z from 'zod';
import type { Progress } from '../../contract/messages.ts';
import { HaiveError, toHaiveError } from '../../domain/errors.ts';
import { type ClientContext, hubAuthorities, hubFor, proxiesOf } from '../context.ts';
import { hubIsAway } from '../hub/hub-client.ts';
import { machineProof } from '../hub/machine-key.ts';
import { openSocket, type Socket } from '../hub/socket.ts';
import { reconnectDelay } from '../live/reconnect-delay.ts';

type Told = z.output<typeof Progress>;

export interface WatchedMachine {
  machine: string;
  /** `offline`: it will come when the machine does · `expected`: connected, has not spoken yet. */
  state: Told['state'] | 'expected' | 'offline';
  error: { code: string; message: string } | null;
  /** Milliseconds from the acknowledged publication to the last word; null also for who had it before. */
  ms: number | null;
}

export interface WatchResult {
  machines: WatchedMachine[];
  verified: number;
  failed: number;
  waiting: number;
  offline: number;
  /** Connected machines that had not spoken when the time was over. */
  silent: number;
  /** The connection to the hub was lost and did not come back: what became of the silent ones is not known. */
  lost: HaiveError | null;
  /** Milliseconds until half, until 99 of 100, and until all of the verified were there; null without any. */
  p50_ms: number | null;
  p99_ms: number | null;
  last_ms: number | null;
}

export interface Watcher {
  /**
   * Follows one published version on these machines until each has it, failed, waits for a person, or the time is over.
   * @param timeoutMs milliseconds without any news after which the rest counts as silent
   */
  follow(
    published: { name: string; version: string; machines: readonly string[] },
    options: { timeoutMs: number; onChange?: ((machines: readonly WatchedMachine[]) => void) | undefined },
  ): Promise<WatchResult>;
  close(): void;
}

const SETTLED = new Set<WatchedMachine['state']>(['verified', 'loaded', 'failed', 'disabled', 'waiting', 'offline']);

/**
 * Begins to listen, before anything is published, so that the quickest machine is not missed.
 * @throws HaiveError FORBIDDEN, TOKEN_INVALID, HUB_UNREACHABLE, PROTOCOL_MISMATCH
 */
export async function openWatcher(ctx: ClientContext): Promise<Watcher> {
  const hub = await hubFor(ctx, 'author');
  // Asked before the socket is opened, so that a refusal leaves nothing open.
  await hub.call('events', { query: { limit: 1 } }).finally(() => hub.close());
  const heard: { told: Told; at: number }[] = [];
  let news: () => void = () => {};
  let refused: HaiveError | undefined;
  let began: (seq: number) => void = () => {};
  let socket: Socket | undefined;
  let over: HaiveError | undefined;
  /** @throws HaiveError of the connection; else what is said from now on is heard */
  const listen = async (): Promise<number> => {
    const ready = new Promise<number>((resolve) => {
      began = resolve;
    });
    socket?.close();
    const opened = await openSocket({
      url: hub.url,
      token: hub.token ?? '',
      prove: hub.token === ctx.config.token ? machineProof(ctx) : undefined,
      ca: await hubAuthorities(ctx),
      proxies: proxiesOf(ctx),
      heartbeatMs: 30_000,
      onMessage: (message) => {
        if (message.type === 'hello') began(message.seq);
        else if (message.type === 'error') refused = new HaiveError('FORBIDDEN', message.message);
        else if (message.type === 'progress') heard.push({ told: message.progress, at: performance.now() });
        news();
      },
    });
    const now = await Promise.race([ready, opened.closed]);
    if (now instanceof HaiveError) throw now;
    opened.send({ type: 'resume', seq: now, watch: true });
    socket = opened;
    over = undefined;
    void opened.closed.then((error) => {
      if (socket !== opened) return;
      over = error;
      news();
    });
    return now;
  };
  const seq = await listen();

  return {
    async follow({ name, version, machines }, { timeoutMs, onChange }) {
      const began = performance.now();
      const before = await standOf(ctx, { name, version }, seq).catch((thrown) => {
        // It is published: a hub that went away since is waited for below.
        if (!hubIsAway(thrown)) throw thrown;
        return null;
      });
      const rows = new Map<string, WatchedMachine>(
        machines.map((machine) => [
          machine,
          { machine, state: before === null ? 'expected' : 'offline', error: null, ms: null, ...before?.get(machine) },
        ]),
      );
      const open = (): WatchedMachine[] => [...rows.values()].filter((row) => !SETTLED.has(row.state));
      /** A hub that is started anew is there again in a moment. @returns whether it is, and was asked what was not heard meanwhile */
      const listenAgain = async (): Promise<boolean> => {
        const since = performance.now();
        for (let failures = 1; performance.now() - since < timeoutMs; failures++) {
          try {
            await sleep(Math.min(reconnectDelay(failures, 0, ctx.random()), timeoutMs));
            await listen();
            const now = await standOf(ctx, { name, version });
            for (const row of open()) {
              const stand = now.get(row.machine);
              // Who is offline now may only not be back yet.
              if (stand !== undefined && stand.state !== 'offline') Object.assign(row, stand);
            }
            return true;
          } catch (thrown) {
            over = toHaiveError(thrown);
            if (!hubIsAway(thrown)) return false;
          }
        }
        return false;
      };
      for (;;) {
        for (const { told, at } of heard.splice(0)) {
          const row = rows.get(told.machine);
          if (row === undefined || told.plugin !== name || told.version !== version) continue;
          Object.assign(row, { state: told.state, error: told.error ?? null, ms: Math.max(0, at - began) });
        }
        onChange?.([...rows.values()]);
        if (refused !== undefined) throw refused;
        if (open().length === 0) break;
        if (over !== undefined) {
          if (await listenAgain()) continue;
          return { ...summary([...rows.values()]), lost: over };
        }
        const timely = await new Promise<boolean>((resolve) => {
          const timer = setTimeout(() => resolve(false), timeoutMs);
          news = () => {
            clearTimeout(timer);
            resolve(true);
          };
        });
        if (!timely) break;
      }
      return summary([...rows.values()]);
    },
    close: () => socket?.close(),
  };
}

type Stand = Pick<WatchedMachine, 'state' | 'error'>;

/**
 * How each machine stands that has or should have a plugin, before it has spoken.
 * @param seq the hub's, before the publication: who reported later is heard, and timed; absent: it was not
 */
async function standOf(
  ctx: ClientContext,
  { name: plugin, version }: { name: string; version: string },
  seq?: number,
): Promise<Map<string, Stand>> {
  const hub = await hubFor(ctx, 'author');
  try {
    const first = { after: seq, limit: 1 };
    const begun = seq === undefined ? undefined : (await hub.call('events', { query: first })).events[0]?.at;
    const stands = new Map<string, Stand>();
    for (let after: string | undefined; ; ) {
      const query = { plugin, limit: 1000, ...(after === undefined ? {} : { after }) };
      const page = await hub.call('fleet', { query });
      for (const { name, online, plugins } of page.machines) {
        const here = plugins.find(
          (p) => p.installed === version && (begun === undefined || (p.updated_at ?? begun) < begun),
        );
        if (here !== undefined && here.state !== 'absent' && SETTLED.has(here.state))
          stands.set(name, { state: here.state, error: here.error });
        else stands.set(name, { state: online ? 'expected' : 'offline', error: null });
      }
      if (page.next === null) return stands;
      after = page.next;
    }
  } finally {
    hub.close();
  }
}

function summary(machines: WatchedMachine[]): WatchResult {
  const count = (...states: WatchedMachine['state'][]): number =>
    machines.filter((m) => states.includes(m.state)).length;
  const times = machines
    .filter((m) => m.state === 'verified' || m.state === 'loaded')
    .flatMap((m) => m.ms ?? [])
    .sort((a, b) => a - b);
  const at = (share: number): number | null =>
    times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? null;
  return {
    machines,
    verified: count('verified', 'loaded', 'disabled'),
    failed: count('failed'),
    waiting: count('waiting'),
    offline: count('offline'),
    lost: null,
    silent: count('expected', 'fetching', 'verifying', 'installing', 'removing'),
    p50_ms: at(0.5),
    p99_ms: at(0.99),
    last_ms: times.at(-1) ?? null,
  };
}
