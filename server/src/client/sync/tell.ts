import { HaiveError } from '../../domain/errors.ts';
import type { ClientContext } from '../context.ts';
import type { HubClient } from '../hub/hub-client.ts';
import { sendReport } from '../report/index.ts';
import { spool } from '../report/spool.ts';
import type { SyncOptions } from './options.ts';
import type { SyncResult } from './result.ts';

/** Tells the hub what came of a sync, of all plugins or only of some; a report that cannot go now goes with the next sync. */
export async function report(
  ctx: ClientContext,
  hub: HubClient,
  options: SyncOptions,
  signal: AbortSignal,
  result: SyncResult,
  only: readonly string[] | undefined,
): Promise<void> {
  options.onProgress?.({ step: 'report' });
  try {
    await sendReport(ctx, hub, { signal, only, readBack: readBackBy(result) });
  } catch (thrown) {
    await spool(ctx.machine, { call: 'report' });
    if (!(thrown instanceof HaiveError)) throw thrown;
    result.warnings.push(`The hub was not told of the result (${thrown.code}); it will be with the next sync`);
  }
}

/** Tells the hub that its plan was refused, for whoever looks after the fleet; the next one that is followed takes that back. */
export async function reportRefusal(
  ctx: ClientContext,
  hub: HubClient,
  signal: AbortSignal,
  refused: HaiveError,
): Promise<void> {
  // Whatever keeps it from being told, or from being remembered, is not told in place of the refusal.
  const heard = await orFalse(sendReport(ctx, hub, { signal, refused }));
  await orFalse(spool(ctx.machine, { call: 'report', ...(heard ? { refused: refused.message } : {}) }));
}

const orFalse = (work: Promise<unknown>): Promise<boolean> =>
  work.then(
    () => true,
    (thrown) => {
      if (!(thrown instanceof HaiveError)) throw thrown;
      return false;
    },
  );

/** The plugins that a sync wrote and read back, whole: nothing of the user's lies in them. */
function readBackBy({ changed, edits }: SyncResult): string[] {
  const edited = new Set(edits.map((edit) => edit.name));
  return [...changed.installed, ...changed.updated].map((p) => p.name).filter((name) => !edited.has(name));
}

/** The plugins that a sync moved. */
export function namesOf({ changed }: SyncResult): string[] {
  const moved = [...changed.installed, ...changed.updated, ...changed.reinstalled];
  return [...moved.map((p) => p.name), ...changed.removed];
}
