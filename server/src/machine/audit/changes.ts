import type { LocalChange } from '../../domain/local-audit.ts';
import type { Receipt, Receipts } from '../receipts/index.ts';

/** What a change did, as the audit log says it: plugins, layout, holds. @param reason of the transaction */
export function changesBetween(prev: Receipts, next: Receipts, reason: string): LocalChange[] {
  const names = new Set([...Object.keys(prev.plugins), ...Object.keys(next.plugins)]);
  const found: LocalChange[] = [];
  for (const name of [...names].sort()) {
    const [before, after] = [prev.plugins[name], next.plugins[name]];
    if (before === after || JSON.stringify(before) === JSON.stringify(after)) continue;
    const { origin, keyid } = (after ?? before) as Receipt;
    const from = after === undefined ? null : `${origin}, signed by ${keyid}`;
    found.push({
      ...{ what: whatOf(before, after, reason), target: name, from },
      ...{ before: stateOf(before), after: stateOf(after), result: 'done' },
    });
  }
  if (prev.layout !== next.layout) found.push(change('layout', 'plugins.layout', prev.layout, next.layout));
  for (const name of new Set([...Object.keys(prev.holds), ...Object.keys(next.holds)])) {
    const [before, after] = [prev.holds[name]?.digest, next.holds[name]?.digest];
    if (before !== after) found.push(change(after === undefined ? 'release' : 'hold', name, before, after));
  }
  // Nothing of these, and yet something was written: what others took away was put back.
  return found.length > 0 ? found : [change('repair', 'marketplace', null, null)];
}

const change = (what: string, target: string, before: unknown, after: unknown): LocalChange => ({
  ...{ what, target, from: null, before: before ?? null, after: after ?? null, result: 'done' },
});

function whatOf(before: Receipt | undefined, after: Receipt | undefined, reason: string): string {
  if (reason === 'rollback' || reason === 'leave') return reason;
  if (before === undefined) return 'install';
  if (after === undefined) return 'remove';
  return before.digest === after.digest ? 'change' : 'update';
}

const stateOf = (receipt: Receipt | undefined) =>
  receipt === undefined ? null : { version: receipt.version, digest: receipt.digest, dir: receipt.dir };
