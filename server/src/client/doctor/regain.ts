import { journalIsDamaged } from '../../machine/change/journal.ts';
import { putJournalAside, regainReceipts } from '../../machine/receipts/regain.ts';
import type { ClientContext } from '../context.ts';
import { cachedPlan } from '../sync/plan.ts';

/**
 * Finds out again what is installed where receipts.json was deleted or damaged, or the journal of a change. The lock must be held.
 * @returns what was done, for people; nothing where both are whole
 * @throws HaiveError SETTINGS_INVALID, READ_ONLY, DISK_FULL, IO_ERROR
 */
export async function regain(ctx: ClientContext): Promise<string[]> {
  const { machine, config } = ctx;
  const plan = (await cachedPlan(ctx))?.plan.plugins ?? [];
  const halfway = await journalIsDamaged(machine);
  const found = await regainReceipts(machine, { layout: config.plugins.layout, plan, halfway });
  // Last: as long as it lies there, a run after one that failed knows that the receipts are to be doubted.
  const journal = await putJournalAside(machine);
  const done = journal === null ? [] : [`journal.json was damaged and lies in ${journal}`];
  if (found === null) return done;
  const { aside, plugins, unknown } = found;
  const was = halfway ? 'did not fit what is here' : 'was damaged';
  const lost = aside === null ? 'receipts.json was gone' : `receipts.json ${was} and lies in ${aside}`;
  const here =
    plugins.length === 0
      ? 'nothing is known to be installed, and a sync brings what the plan wants'
      : `${plugins.join(', ')} stay as they are`;
  done.push(`${lost}; ${here}; rollbacks that held a version are forgotten`);
  if (unknown.length > 0) {
    done.push(
      `what was edited in ${unknown.join(', ')} cannot be told any more: it stays for now, and what the new version lacks is kept in ${machine.paths.backups}/edits when it goes`,
    );
  }
  return done;
}
