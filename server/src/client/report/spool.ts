import { join } from 'node:path';
import * as z from 'zod';
import { ERRORS, HaiveError } from '../../domain/errors.ts';
import { writeAtomic } from '../../machine/files/atomic-file.ts';
import { listDir, makeDirs, readFileOrNull, removeFile } from '../../machine/files/file-port.ts';
import { ensureRoot, type Machine } from '../../machine/machine.ts';
import { readReceipts } from '../../machine/receipts/index.ts';
import { type HubClient, hubIsAway } from '../hub/hub-client.ts';

/** What this machine could not tell the hub yet; told in order before the next plan is asked for. */
const Item = z.discriminatedUnion('call', [
  z.object({ call: z.literal('hold'), name: z.string(), version: z.string() }),
  z.object({ call: z.literal('uninstall'), name: z.string() }),
  /** Only a reminder: the report itself is made when it is sent. `refused`: the refusal of a plan that the hub heard of already. */
  z.object({ call: z.literal('report'), refused: z.string().optional() }),
]);
export type SpoolItem = z.output<typeof Item>;

/** Keeps a message for later. The lock must be held. @returns the name that `unspool` takes */
export async function spool(m: Machine, item: SpoolItem): Promise<string> {
  await ensureRoot(m);
  await makeDirs(m.port, m.paths.spool);
  const stamp = String(m.clock().getTime()).padStart(15, '0');
  const subject = 'name' in item ? `-${item.name}` : '';
  const name = item.call === 'report' ? 'report.json' : `${stamp}-${item.call}${subject}.json`;
  await writeAtomic(m.port, join(m.paths.spool, name), JSON.stringify(item));
  return name;
}

/** Forgets a message, told or of no use any more; without harm where a sync has told it meanwhile. */
export async function unspool(m: Machine, name: string): Promise<void> {
  await removeFile(m.port, join(m.paths.spool, name));
}

/** The names of messages that say that this plugin was removed, as `unspool` takes them. */
export async function keptRemovals(m: Machine, plugin: string): Promise<string[]> {
  const names = (await listDir(m.paths.spool)).map((entry) => entry.name);
  return names.filter((name) => /^[0-9]+-(.*)$/.exec(name)?.[1] === `uninstall-${plugin}.json`);
}

/** A change that failed before anything of it was made. */
export interface FailedAttempt {
  what: 'install' | 'update' | 'remove' | 'rollback';
  name: string;
  version: string;
  code: string;
}

const FAILED = /^(install|update|remove|rollback)~([A-Z_]+)~([^~@]+)@([^~]+)\.failed$/;

/** Keeps a failure for the history: all in the name of a file, which is what a full disk still takes. The lock must be held. */
export async function spoolFailure(m: Machine, { what, name, version, code }: FailedAttempt): Promise<void> {
  await makeDirs(m.port, m.paths.spool);
  await m.port.writeFile(join(m.paths.spool, `${what}~${code}~${name}@${version}.failed`), '');
}

/** What these names of files say. */
export function readFailures(names: readonly string[]): FailedAttempt[] {
  return names.flatMap((file) => {
    const [, what, code = '', name = '', version = ''] = FAILED.exec(file) ?? [];
    return what === undefined ? [] : [{ what: what as FailedAttempt['what'], name, version, code }];
  });
}

/** Takes them away, once they are written down. */
export async function forgetFailures(m: Machine, names: readonly string[]): Promise<void> {
  for (const name of names) await removeFile(m.port, join(m.paths.spool, name));
}

export interface Told {
  warnings: string[];
  reportDue: boolean;
  news: boolean;
  refused?: string | undefined;
  failures: string[];
}

/**
 * Tells the hub what was kept, oldest first. What the hub refuses is dropped with a warning, since asking again would not help.
 * @returns warnings, whether a report is due, whether the hub heard something that may change the plan, which refusal it heard of
 * before, and files of failures that this machine's history does not have yet
 * @throws HaiveError when the hub is away, in trouble, or does not take this machine's word; the rest stays kept
 */
export async function flushSpool(
  m: Machine,
  hub: HubClient,
  options: { timeoutMs?: number; signal?: AbortSignal | undefined } = {},
): Promise<Told> {
  const told: Told = { warnings: [], reportDue: false, news: false, failures: [] };
  for (const name of (await listDir(m.paths.spool)).map((e) => e.name).sort()) {
    if (FAILED.test(name)) told.failures.push(name);
    if (!name.endsWith('.json')) continue;
    const path = join(m.paths.spool, name);
    const item = await readItem(path);
    if (item?.call === 'report') {
      told.reportDue = true;
      told.refused = item.refused;
      continue;
    }
    try {
      if (item !== null && (await stillSo(m, item))) {
        await tell(hub, item, options);
        told.news = true;
      }
    } catch (thrown) {
      if (!(thrown instanceof HaiveError) || hubIsAway(thrown)) throw thrown;
      if (isUnheard(thrown, name, m.clock())) throw thrown;
      told.warnings.push(
        `The hub refused what happened here while it was away (${name}): ${thrown.code}: ${thrown.message}`,
      );
    }
    await removeFile(m.port, path);
    told.reportDue = true;
  }
  return told;
}

/** After that it is the message that a hub cannot take, and not the hour. */
const TROUBLE_MS = 24 * 60 * 60 * 1000;

/** Whether a message was not even heard: the hub does not take this machine's word at all, or is in trouble. */
function isUnheard({ http }: HaiveError, name: string, now: Date): boolean {
  if (http === ERRORS.TOKEN_INVALID.http || http === ERRORS.PROTOCOL_MISMATCH.http) return true;
  // Of either sign: the clock may have been wrong when it was kept.
  return http >= ERRORS.INTERNAL.http && Math.abs(now.getTime() - Number.parseInt(name, 10)) < TROUBLE_MS;
}

/** Forgets the reminder of a report once it was sent. */
export async function reportSent(m: Machine): Promise<void> {
  await removeFile(m.port, join(m.paths.spool, 'report.json'));
}

/** Whether a message is worth telling: not a hold that was lifted, or never came to be. */
async function stillSo(m: Machine, item: SpoolItem): Promise<boolean> {
  return item.call !== 'hold' || (await readReceipts(m)).holds[item.name]?.version === item.version;
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
