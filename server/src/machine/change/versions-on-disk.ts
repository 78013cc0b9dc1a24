import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import compare from 'semver/functions/compare.js';
import { HaiveError } from '../../domain/errors.ts';
import type { Machine } from '../machine.ts';
import { readReceipts, type TreeReceipt } from '../receipts/index.ts';

/**
 * Where a rollback would lead: the version named, or the newest kept one that is older than what is live. Without a name it never leads
 * forwards.
 * @param seen the version that was live when it was asked for: that is what one wants to get away from, also where another process
 *   has updated the plugin since
 * @throws HaiveError NOT_INSTALLED, ROLLBACK_UNAVAILABLE
 */
export async function planRollback(m: Machine, name: string, to?: string, seen?: string): Promise<TreeReceipt> {
  const receipt = (await readReceipts(m)).plugins[name];
  if (receipt === undefined) throw new HaiveError('NOT_INSTALLED', `${name} is not installed on this machine`);
  const kept: TreeReceipt[] = [];
  for (const tree of receipt.previous) {
    const there = await lstat(join(m.paths.root, tree.dir)).catch(() => null);
    if (there?.isDirectory()) kept.push(tree);
  }
  const away = seen ?? receipt.version;
  const target =
    to === undefined
      ? kept.filter((tree) => compare(tree.version, away) < 0).sort((a, b) => compare(b.version, a.version))[0]
      : kept.find((tree) => tree.version === to);
  if (target !== undefined) return target;
  const have = kept.map((tree) => tree.version).join(', ') || 'none';
  const named =
    to === receipt.version ? `${name} ${to} is what is installed already` : `${name} ${to} is not kept here`;
  const what = to === undefined ? `Nothing older than ${name} ${away} is kept here` : named;
  throw new HaiveError('ROLLBACK_UNAVAILABLE', what, {
    hint: `Kept on this machine: ${have}. \`hv rollback ${name} --to VERSION\` brings one of them, or any other from the hub.`,
    details: { kept: kept.map((tree) => tree.version) },
  });
}
