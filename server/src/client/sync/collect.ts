import type { Machine } from '../../machine/machine.ts';
import { collectVersions } from '../../machine/processes/leases.ts';
import { readReceipts } from '../../machine/receipts/index.ts';
import { collectBlobs } from '../../machine/store/blob-store.ts';
import type { SyncMode } from './options.ts';

const COLLECT_EVERY_MS = 3600_000;
const collected = new Map<string, number>();

/** Trees and bytes that nobody can need any more go; a session's start is no time for that, and an agent need not look often. */
export async function collect(m: Machine, mode: SyncMode): Promise<void> {
  const now = m.clock().getTime();
  if (mode === 'session' || now - (collected.get(m.paths.root) ?? Number.NEGATIVE_INFINITY) < COLLECT_EVERY_MS) return;
  collected.set(m.paths.root, now);
  await collectVersions(m);
  const { plugins, retired } = await readReceipts(m);
  const trees = [...Object.values(plugins).flatMap((p) => [p, ...p.previous]), ...retired];
  await collectBlobs(
    m,
    trees.map((tree) => tree.digest),
  );
}
