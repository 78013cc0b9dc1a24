import { isDeepStrictEqual } from 'node:util';
import { HaiveError } from '../../domain/errors.ts';
import { applyChange } from '../change/transaction.ts';
import { statOf } from '../files/file-port.ts';
import type { Machine } from '../machine.ts';
import { entryOf, type LooseReceipt, type Receipt, readReceipts, updateReceipts } from '../receipts/index.ts';
import { getRecord } from '../store/blob-store.ts';
import { isLaidEarlier, LOOSE_RULES } from './index.ts';
import { looseAsOfNow } from './plan.ts';

/** What one plugin cannot have, or lacks for now: it stays as it is, and keeps no other from being laid out. */
const STAYS = ['NAME_CLASH', 'LAYOUT_UNSUPPORTED', 'BLOB_MISSING', 'HASH_MISMATCH', 'POLICY_REFUSED'];

/**
 * Lays out again what an earlier program put outside the trees otherwise than this one does: copies that no part asks for any more go.
 * What fails keeps nothing else from going on, unless it leaves a change half made. The lock must be held and `recover` done.
 * @param again also what an earlier run could not have: each such plugin is read whole for it, too much for every start of a session
 * @returns what was done and what could not be, for people
 * @throws HaiveError FORMAT_UNSUPPORTED, READ_ONLY, DISK_FULL, IO_ERROR
 */
export async function alignLoose(m: Machine, again: boolean): Promise<string[]> {
  const { layout, plugins } = await readReceipts(m);
  if (layout !== 'loose') return [];
  const laid: string[] = [];
  const said: string[] = [];
  const marks: Marks = new Map();
  const due = Object.values(plugins).filter(isLaidEarlier);
  for (const receipt of due.filter(({ loose }) => again || loose?.tried !== LOOSE_RULES)) {
    try {
      if (await isAsOfNow(m, receipt)) marks.set(receipt.name, 'rules');
      else if (await layAgain(m, receipt)) laid.push(receipt.name);
      else marks.set(receipt.name, 'tried');
    } catch (thrown) {
      const error = passable(m, thrown);
      if (STAYS.includes(error.code)) marks.set(receipt.name, 'tried');
      said.push(`${receipt.name} stays as an earlier program laid it out: ${error.code}: ${error.message}`);
    }
  }
  await note(m, marks).catch((thrown: unknown) => passable(m, thrown));
  if (laid.length > 0) said.push(`Laid out again, as this program does: ${laid.join(', ')}; restart open sessions`);
  return said;
}

/** What is found out about plugins, by name: they are as today's rules say, or those cannot be had. */
type Marks = Map<string, 'rules' | 'tried'>;

async function note(m: Machine, marks: Marks): Promise<void> {
  const { plugins } = await readReceipts(m);
  const news = [...marks].filter(([name, mark]) => plugins[name]?.loose?.[mark] !== LOOSE_RULES);
  if (news.length === 0) return;
  await updateReceipts(m, ({ plugins: all }) => {
    for (const [name, mark] of news) Object.assign(all[name]?.loose ?? {}, { [mark]: LOOSE_RULES });
  });
}

/** A failure that others need not wait for: revocations come with the plan. @throws the rest */
function passable(m: Machine, thrown: unknown): HaiveError {
  if (thrown instanceof HaiveError && statOf(m.paths.journal) === null) return thrown;
  throw thrown;
}

async function isAsOfNow(m: Machine, { name, loose }: Receipt): Promise<boolean> {
  const now = await looseAsOfNow(m, await readReceipts(m), name);
  return isDeepStrictEqual(plain(now), plain(loose));
}

/** Without what is of the change that wrote it. */
const plain = (loose: LooseReceipt | undefined) => ({
  ...loose,
  rules: undefined,
  tried: undefined,
  files: loose?.files.map(({ over: _, ...file }) => file),
});

/** With edits carried over, as an update does. */
async function layAgain(m: Machine, receipt: Receipt): Promise<boolean> {
  const kept = await getRecord(m, receipt.digest);
  if (kept === null) return false;
  const install = [{ entry: entryOf(receipt), record: kept.record, keyid: receipt.keyid }];
  await applyChange(m, { install, remove: [], reason: 'sync' });
  return true;
}
