import type * as z from 'zod';
import type { StatusReport } from '../../contract/schemas.ts';
import { HAIVEMIND_VERSION } from '../../contract/version.ts';
import { HaiveError } from '../../domain/errors.ts';
import { inspect, type PluginOnDisk } from '../../machine/drift.ts';
import { readReceipts } from '../../machine/receipts/index.ts';
import type { ClientContext } from '../context.ts';
import type { HubClient } from '../hub/hub-client.ts';
import { reportSent } from './spool.ts';

type Report = z.output<typeof StatusReport>;

interface About {
  only?: readonly string[] | undefined;
  readBack?: readonly string[] | undefined;
  refused?: HaiveError | undefined;
  after?: number | undefined;
}

/**
 * What this machine has, as the hub wants to hear it. Hashes what is on disk.
 * @param about.only news of these plugins; the hub keeps what it heard of the others
 * @param about.readBack plugins that were just installed, and read back while that was done
 * @param about.refused why this machine does not follow the hub's plan
 * @param about.after what the hub took is of then, milliseconds: this is later, whatever the clock says
 */
export async function makeReport(ctx: ClientContext, about: About = {}): Promise<Report> {
  const { machine } = ctx;
  const asOf = Math.max(machine.clock().getTime(), (about.after ?? -1) + 1);
  const names = about.only === undefined ? undefined : new Set(about.only);
  const looked = inspect(machine, { only: names, readBack: new Set(about.readBack) });
  const [receipts, onDisk] = await Promise.all([readReceipts(machine), looked]);
  const byName = new Map(onDisk.map((p) => [p.name, p]));
  return {
    counter: ctx.config.plan?.counter ?? 0,
    haivemind_version: HAIVEMIND_VERSION,
    as_of: asOf,
    partial: names !== undefined,
    removed: [...(names ?? [])].filter((name) => receipts.plugins[name] === undefined),
    plugins: Object.values(receipts.plugins).flatMap((receipt) => {
      if (names !== undefined && !names.has(receipt.name)) return [];
      const disk = byName.get(receipt.name);
      const error = receipt.error ?? damage(disk);
      return {
        name: receipt.name,
        version: receipt.version,
        digest: receipt.digest,
        state: error !== undefined ? 'failed' : disk?.state === 'disabled' ? 'disabled' : receipt.state,
        install_path: receipt.dir,
        ...(error === undefined ? {} : { error }),
        ...(disk !== undefined && disk.edited.length + disk.missing.length > 0 ? { edited: true } : {}),
      };
    }),
    ...(about.refused === undefined ? {} : { refused: { code: about.refused.code, message: about.refused.message } }),
    holds: Object.entries(receipts.holds).map(([name, hold]) => ({ name, version: hold.version })),
  };
}

function damage(disk: PluginOnDisk | undefined): { code: string; message: string } | undefined {
  if (disk === undefined) return { code: 'IO_ERROR', message: 'The plugin is not where the receipt says' };
  if (disk.state !== 'missing' && disk.state !== 'damaged') return undefined;
  const what = [
    ...disk.missing.map((path) => `${path} is missing`),
    ...disk.unexecutable.map((path) => `${path} is not executable any more`),
  ]
    .slice(0, 3)
    .join(', ');
  return { code: 'IO_ERROR', message: what || `The plugin's files are ${disk.state}` };
}

/** Another process may tell what it changed while this one still looks: what was read before that is read again, a few times. */
const MOST_LOOKS = 4;

/**
 * Tells the hub what this machine has.
 * @param options.only @param options.readBack @param options.refused as makeReport
 * @throws HaiveError of the call
 */
export async function sendReport(
  ctx: ClientContext,
  hub: HubClient,
  options: { timeoutMs?: number; signal?: AbortSignal | undefined } & About = {},
): Promise<void> {
  const { only, readBack, refused, ...call } = options;
  let about: About = { only, readBack, refused };
  for (let looks = 1; ; looks++) {
    try {
      await hub.call('report', { params: { machine: 'me' }, body: await makeReport(ctx, about), ...call });
      break;
    } catch (thrown) {
      const after = laterReport(thrown);
      if (after === undefined || looks === MOST_LOOKS) throw thrown;
      // Who told it later follows a plan, or has told of the refusal itself; unless later than now, by a clock that was set back since.
      if (refused !== undefined && after <= ctx.machine.clock().getTime()) throw thrown;
      about = { only, refused, after };
    }
  }
  if (only === undefined) await reportSent(ctx.machine);
}

/** Of when the report is that the hub took in the place of ours; undefined where it refuses for another reason. */
function laterReport(thrown: unknown): number | undefined {
  if (!(thrown instanceof HaiveError) || thrown.code !== 'REPORT_OUTDATED') return undefined;
  const as_of = thrown.details?.as_of;
  return Number.isSafeInteger(as_of) ? (as_of as number) : undefined;
}
