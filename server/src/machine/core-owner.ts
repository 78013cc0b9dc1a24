import { CORE } from '../domain/names.ts';
import { enabledKey, STOCK_CORE_KEY } from './claude/marketplace.ts';
import { getKeyText, setKey } from './claude/settings-edit.ts';
import { readText, writeText } from './files/text-file.ts';
import type { Machine } from './machine.ts';
import { readReceipts, updateReceipts } from './receipts/index.ts';

const ENABLED = 'enabledPlugins';

/**
 * Hands the core to the collective again where somebody has enabled the stock client's as well since the join; leaving gives
 * it back. The lock must be held and recovery done. Where the collective's is not enabled, the person chose so and it stays.
 * @returns whether settings.json was changed
 * @throws HaiveError SETTINGS_INVALID, READ_ONLY, DISK_FULL, IO_ERROR
 */
export async function keepCoreOwner(m: Machine): Promise<boolean> {
  const where = m.paths.settings;
  const receipts = await readReceipts(m);
  const text = receipts.plugins[CORE] === undefined ? null : await readText(where);
  if (text === null) return false;
  const enabled = (key: string) => getKeyText(text, [ENABLED, key], where) === 'true';
  if (!enabled(enabledKey(CORE)) || !enabled(STOCK_CORE_KEY)) return false;
  const notes = structuredClone(receipts.notes.settings);
  const now = setKey(text, [ENABLED, STOCK_CORE_KEY], false, notes, where);
  // The note first: after a crash between the two, leaving finds `true` and has nothing to give back.
  await updateReceipts(m, (kept) => {
    kept.notes.settings = notes;
  });
  await writeText(m, where, text, now);
  return true;
}
