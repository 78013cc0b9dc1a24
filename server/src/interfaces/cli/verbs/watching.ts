import { ask } from '../../../client/hub/registry.ts';
import { requireMayPublish } from '../../../client/publish/may-publish.ts';
import { openWatcher, type WatchedMachine, type WatchResult } from '../../../client/publish/watch.ts';
import { formatError } from '../../../domain/errors.ts';
import { clean, type Style, table } from '../output.ts';
import type { VerbCall, VerbOutput } from '../verb.ts';

/** Without any news for so long the machines that have not spoken count as silent. */
const QUIET_MS = 30_000;

/** Runs a publication and follows it until every connected machine has it; ends with 1 when one failed. */
export async function watched(call: VerbCall, publish: (call: VerbCall) => Promise<VerbOutput>): Promise<VerbOutput> {
  const ctx = await call.open();
  // Who may not publish may perhaps not listen either; the refusal of publishing says what to do instead.
  await ask(ctx, 'author', requireMayPublish);
  const watcher = await openWatcher(ctx);
  try {
    const output = await publish(call);
    const published = output.json as { name: string; version: string; machines: string[]; held?: unknown };
    if (published.held !== undefined) return output;
    const result = await watcher.follow(published, {
      timeoutMs: QUIET_MS,
      onChange: (machines) => call.progress(counts(machines)),
    });
    const { lost } = result;
    const watch = { ...result, lost: lost && { code: lost.code, message: lost.message } };
    return {
      json: { ...published, watch },
      text: [output.text, ...watchLines(result, call.style)].join('\n'),
      exit: result.failed > 0 ? 1 : (lost?.exit ?? 0),
    };
  } finally {
    watcher.close();
  }
}

function counts(machines: readonly WatchedMachine[]): string {
  const by = new Map<string, number>();
  for (const { state } of machines) by.set(state, (by.get(state) ?? 0) + 1);
  return [...by].map(([state, n]) => `${n} ${state}`).join(' · ');
}

const LOST =
  'It is published; whether the silent machines have it is not known: `hv status --fleet` tells once the hub is back.';

function watchLines(result: WatchResult, style: Style): string[] {
  const rows = result.machines.map((m) => [
    style.bold(m.machine),
    paint(m.state, style),
    m.ms === null ? '' : `${(m.ms / 1000).toFixed(2)} s`,
    m.error === null ? '' : clean(`${m.error.code}: ${m.error.message}`),
  ]);
  const seconds = (ms: number | null): string => (ms === null ? '-' : `${(ms / 1000).toFixed(2)} s`);
  const { verified, failed, waiting, offline, silent } = result;
  const others = Object.entries({ failed, waiting, offline, silent }).flatMap(([what, n]) =>
    n > 0 ? [`${n} ${what}`] : [],
  );
  const lost = result.lost === null ? [] : [style.yellow(`! ${clean(formatError(result.lost))}`), LOST];
  return [
    ...lost,
    ...(rows.length > 0 ? [table(['MACHINE', 'STATE', 'AFTER', ''], rows, style)] : []),
    `${[`${verified} verified`, ...others].join(', ')} · p50 ${seconds(result.p50_ms)}, p99 ${seconds(result.p99_ms)}, last ${seconds(result.last_ms)}`,
  ];
}

function paint(state: WatchedMachine['state'], style: Style): string {
  if (state === 'verified' || state === 'loaded') return style.green(state);
  return state === 'failed' ? style.red(state) : style.yellow(state);
}
