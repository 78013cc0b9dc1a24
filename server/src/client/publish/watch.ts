import type * as z from 'zod';
import type { Progress } from '../../contract/messages.ts';
import { HaiveError } from '../../domain/errors.ts';
import { type ClientContext, hubAuthorities, hubFor } from '../context.ts';
import { machineProof } from '../hub/machine-key.ts';
import { openSocket } from '../hub/socket.ts';

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
  const ready = new Promise<number>((resolve) => {
    began = resolve;
  });
  const socket = await openSocket({
    url: hub.url,
    token: hub.token ?? '',
    prove: hub.token === ctx.config.token ? machineProof(ctx) : undefined,
    ca: await hubAuthorities(ctx),
    heartbeatMs: 30_000,
    onMessage: (message) => {
      if (message.type === 'hello') began(message.seq);
      else if (message.type === 'error') refused = new HaiveError('FORBIDDEN', message.message);
      else if (message.type === 'progress') heard.push({ told: message.progress, at: performance.now() });
      news();
    },
  });
  const seq = await Promise.race([ready, socket.closed]);
  if (seq instanceof HaiveError) throw seq;
  socket.send({ type: 'resume', seq, watch: true });

  return {
    async follow({ name, version, machines }, { timeoutMs, onChange }) {
      const began = performance.now();
      const before = await standBefore(ctx, { name, version }, seq);
      const rows = new Map<string, WatchedMachine>(
        machines.map((machine) => [
          machine,
          { machine, state: 'offline', error: null, ms: null, ...before.get(machine) },
        ]),
      );
      let over: HaiveError | undefined;
      void socket.closed.then((error) => {
        over = error;
        news();
      });
      for (;;) {
        for (const { told, at } of heard.splice(0)) {
          const row = rows.get(told.machine);
          if (row === undefined || told.plugin !== name || told.version !== version) continue;
          Object.assign(row, { state: told.state, error: told.error ?? null, ms: Math.max(0, at - began) });
        }
        onChange?.([...rows.values()]);
        if (refused !== undefined) throw refused;
        if ([...rows.values()].every((row) => SETTLED.has(row.state)) || over !== undefined) break;
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
    close: () => socket.close(),
  };
}

type Stand = Pick<WatchedMachine, 'state' | 'error'>;

/**
 * How each machine stands that has or should have a plugin, before it has spoken.
 * @param seq the hub's, before the publication: who reported later is heard, and timed
 */
async function standBefore(
  ctx: ClientContext,
  { name: plugin, version }: { name: string; version: string },
  seq: number,
): Promise<Map<string, Stand>> {
  const hub = await hubFor(ctx, 'author');
  try {
    const { events } = await hub.call('events', { query: { after: seq, limit: 1 } });
    const begun = events[0]?.at;
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
    silent: count('expected', 'fetching', 'verifying', 'installing', 'removing'),
    p50_ms: at(0.5),
    p99_ms: at(0.99),
    last_ms: times.at(-1) ?? null,
  };
}
