import { join } from 'node:path';
import * as z from 'zod';
import { HaiveError } from '../domain/errors.ts';
import { writeAtomic } from '../machine/atomic-file.ts';
import { listDir, makeDirs, readFileOrNull, removeFile } from '../machine/file-port.ts';
import { ensureRoot, type Machine } from '../machine/machine.ts';
import { type HubClient, hubIsAway } from './hub-client.ts';

/** What this machine could not tell the hub yet; told in order before the next plan is asked for. */
const Item = z.discriminatedUnion('call', [
  z.object({ call: z.literal('hold'), name: z.string(), version: z.string() }),
  z.object({ call: z.literal('uninstall'), name: z.string() }),
  /** Only a reminder: the report itself is made when it is sent. */
  z.object({ call: z.literal('report') }),
]);
export type SpoolItem = z.output<typeof Item>;

/** Keeps a message for later. The lock must be held. */
export async function spool(m: Machine, item: SpoolItem): Promise<void> {
  await ensureRoot(m);
  await makeDirs(m.port, m.paths.spool);
  const stamp = String(m.clock().getTime()).padStart(15, '0');
  const subject = 'name' in item ? `-${item.name}` : '';
  const name = item.call === 'report' ? 'report.json' : `${stamp}-${item.call}${subject}.json`;
  await writeAtomic(m.port, join(m.paths.spool, name), JSON.stringify(item));
}

/**
 * Tells the hub what was kept, oldest first. What the hub refuses is dropped with a warning, since asking again would not help.
 * @returns warnings, and whether a report is due
 * @throws HaiveError when the hub is away; the rest stays kept
 */
export async function flushSpool(
  m: Machine,
  hub: HubClient,
  options: { timeoutMs?: number; signal?: AbortSignal | undefined } = {},
): Promise<{ warnings: string[]; reportDue: boolean }> {
  const warnings: string[] = [];
  let reportDue = false;
  for (const name of (await listDir(m.paths.spool)).map((e) => e.name).sort()) {
    if (!name.endsWith('.json')) continue;
    const path = join(m.paths.spool, name);
    const item = await readItem(path);
    if (item?.call === 'report') {
      reportDue = true;
      continue;
    }
    try {
      if (item !== null) await tell(hub, item, options);
    } catch (thrown) {
      if (hubIsAway(thrown) || !(thrown instanceof HaiveError)) throw thrown;
      warnings.push(
        `The hub refused what happened here while it was away (${name}): ${thrown.code}: ${thrown.message}`,
      );
    }
    await removeFile(m.port, path);
    reportDue = true;
  }
  return { warnings, reportDue };
}

/** Forgets the reminder of a report once it was sent. */
export async function reportSent(m: Machine): Promise<void> {
  await removeFile(m.port, join(m.paths.spool, 'report.json'));
}

async function readItem(path: string): Promise<SpoolItem | null> {
  try {
    return Item.parse(JSON.parse((await readFileOrNull(path))?.toString('utf8') ?? ''));
  } catch {
    return null;
  }
}

async function tell(
  hub: HubClient,
  item: SpoolItem,
  options: { timeoutMs?: number; signal?: AbortSignal | undefined },
): Promise<void> {
  const call = { signal: options.signal, ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }) };
  if (item.call === 'hold') {
    const params = { machine: 'me', name: item.name };
    await hub.call('setOverride', { ...call, params, body: { kind: 'hold', range: item.version } });
  } else if (item.call === 'uninstall') {
    await hub.call('uninstall', { ...call, params: { id: item.name }, body: {} });
  }
}
