import { isDeepStrictEqual } from 'node:util';
import { HaiveError } from '../domain/errors.ts';
import { getRecord } from './blob-store.ts';
import { isLaidEarlier, LOOSE_RULES } from './loose/index.ts';
import type { Machine } from './machine.ts';
import { looseAsOfNow } from './plan-loose.ts';
import { entryOf, type LooseReceipt, type Receipt, readReceipts, updateReceipts } from './receipts.ts';
import { applyChange } from './transaction.ts';

/** What one plugin cannot have, or lacks for now: it stays as it is, and keeps no other from being laid out. */
const STAYS = ['NAME_CLASH', 'LAYOUT_UNSUPPORTED', 'BLOB_MISSING', 'HASH_MISMATCH', 'POLICY_REFUSED'];

/**
 * Lays out again what an earlier program put outside the trees otherwise than this one does: copies that no part asks for any more go.
 * The lock must be held and `recover` done.
 * @returns what was done and what could not be, for people
 * @throws HaiveError SETTINGS_INVALID, READ_ONLY, DISK_FULL, IO_ERROR
 */
export async function alignLoose(m: Machine): Promise<string[]> {
  const { layout, plugins } = await readReceipts(m);
  if (layout !== 'loose') return [];
  const laid: string[] = [];
  const same: string[] = [];
  const said: string[] = [];
  for (const receipt of Object.values(plugins).filter(isLaidEarlier)) {
    try {
      if (await isAsOfNow(m, receipt)) same.push(receipt.name);
      else if (await layAgain(m, receipt)) laid.push(receipt.name);
    } catch (thrown) {
      if (!(thrown instanceof HaiveError) || !STAYS.includes(thrown.code)) throw thrown;
      said.push(`${receipt.name} stays as an earlier program laid it out: ${thrown.code}: ${thrown.message}`);
    }
  }
  if (same.length > 0) await updateReceipts(m, ({ plugins: all }) => mark(same.map((name) => all[name]?.loose)));
  if (laid.length > 0) said.push(`Laid out again, as this program does: ${laid.join(', ')}; restart open sessions`);
  return said;
}

function mark(all: readonly (LooseReceipt | undefined)[]): void {
  for (const loose of all) if (loose !== undefined) loose.rules = LOOSE_RULES;
}

async function isAsOfNow(m: Machine, { name, loose }: Receipt): Promise<boolean> {
  const now = await looseAsOfNow(m, await readReceipts(m), name);
  return isDeepStrictEqual(plain(now), plain(loose));
}

/** Without what is of the change that wrote it. */
const plain = (loose: LooseReceipt | undefined) => ({
  ...loose,
  rules: undefined,
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
