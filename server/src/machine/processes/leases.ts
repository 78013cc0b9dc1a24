import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { backupFor } from '../change/keeps.ts';
import { releaseFiles } from '../confine.ts';
import { writeAtomic } from '../files/atomic-file.ts';
import { hashOnDisk } from '../files/content-file.ts';
import { listDir, makeDirs, readFileOrNull, removeEmptyDir, removeFile, removeTree } from '../files/file-port.ts';
import { type DiskFile, scanTree } from '../files/tree.ts';
import { ensureRoot, type Machine } from '../machine.ts';
import { type Receipts, readReceipts, type TreeReceipt, writeReceipts } from '../receipts/index.ts';
import { identityOf, livenessOf, type ProcessIdentity } from './process-identity.ts';

/** A running session's claim on the trees it may have loaded: they are not collected while it lives. */

interface LeaseFile extends ProcessIdentity {
  sessionId: string;
  dirs: string[];
}

export interface Lease {
  /** Trees in use, relative to the root. */
  dirs: string[];
  /** Gives the trees free; a process that dies does so by dying. */
  release(): Promise<void>;
}

/** A lease by another host or container cannot be looked at; a session is taken to be over after this long. */
const FOREIGN_LEASE_MS = 7 * 24 * 3600 * 1000;

/**
 * Takes a lease on every tree that is live now or was just before. Needs no lock.
 * @param session.pid the process whose life is the session's: its own, or the client's
 */
export async function takeLease(m: Machine, session: { pid: number; sessionId: string }): Promise<Lease> {
  await ensureRoot(m);
  await makeDirs(m.port, m.paths.leases);
  const identity = (await identityOf(session.pid)) ?? (await identityOf(process.pid));
  if (identity === null) return { dirs: [], release: async () => {} };
  const receipts = await readReceipts(m);
  const dirs = Object.values(receipts.plugins).flatMap((r) => [r.dir, ...r.previous.slice(0, 1).map((p) => p.dir)]);
  const path = join(m.paths.leases, `${identity.pid}-${randomBytes(4).toString('hex')}.json`);
  const lease: LeaseFile = { ...identity, sessionId: session.sessionId, dirs };
  await writeAtomic(m.port, path, JSON.stringify(lease), { fsync: false });
  return {
    dirs,
    async release() {
      await removeFile(m.port, path);
    },
  };
}

/** Trees that live sessions may be using. Leases of the dead are removed on the way. */
export async function leasedDirs(m: Machine): Promise<Set<string>> {
  const dirs = new Set<string>();
  for (const entry of await listDir(m.paths.leases)) {
    const path = join(m.paths.leases, entry.name);
    const bytes = await readFileOrNull(path);
    let lease: LeaseFile | null = null;
    try {
      lease = bytes === null ? null : (JSON.parse(bytes.toString('utf8')) as LeaseFile);
    } catch {
      // Half-written by a process that died; a live one replaces its file whole.
    }
    const liveness = lease === null ? 'dead' : await livenessOf(lease);
    const age = Date.now() - ((await stat(path).catch(() => null))?.mtimeMs ?? 0);
    const held = liveness === 'alive' || (liveness === 'unknown' && age < FOREIGN_LEASE_MS);
    // A temporary file may be one that is being written right now.
    if (!held && (lease !== null || age > 60_000)) await removeFile(m.port, path);
    if (held) for (const dir of lease?.dirs ?? []) dirs.add(dir);
  }
  return dirs;
}

/**
 * Removes trees that nobody can use any more: not live, not among the `keep` newest kept for rollback, not in a lease, and
 * not retired within the last `graceMs`. What a person changed in such a tree and the live one does not hold is kept
 * in `backups/edits`. The lock must be held and recovery done.
 * @param options.keep kept trees per plugin (2 by default)
 * @param options.graceMs milliseconds; a session may have started before it took its lease (an hour by default)
 * @param options.ignoreLeases for leaving: sessions keep what they have read
 * @returns the folders that were removed, relative to the root
 */
export async function collectVersions(
  m: Machine,
  options: { keep?: number; graceMs?: number; ignoreLeases?: boolean } = {},
): Promise<string[]> {
  const receipts = await readReceipts(m);
  const leased = options.ignoreLeases ? new Set<string>() : await leasedDirs(m);
  const oldest = m.clock().getTime() - (options.graceMs ?? 3600_000);
  const doomed: (TreeReceipt & { name: string })[] = [];
  const next: Receipts = { ...receipts, plugins: { ...receipts.plugins }, retired: [...receipts.retired] };
  const keep = options.keep ?? 2;
  for (const [name, receipt] of Object.entries(next.plugins)) {
    const extra = receipt.previous.slice(keep);
    if (extra.length === 0) continue;
    next.plugins[name] = { ...receipt, previous: receipt.previous.slice(0, keep) };
    next.retired.push(...extra.map((tree) => ({ ...tree, name, at: m.clock().toISOString() })));
  }
  const trees = next.retired.length;
  next.retired = next.retired.filter((tree) => {
    if (leased.has(tree.dir) || Date.parse(tree.at) > oldest) return true;
    doomed.push(tree);
    return false;
  });
  for (const tree of doomed) await keepEdits(m, receipts, tree);
  // Receipts first: a tree that is half gone must not be one that a rollback can choose.
  if (trees > receipts.retired.length || doomed.length > 0) await writeReceipts(m, next);
  return removeOrphans(m, next, leased);
}

/** Copies what a person changed or added in a tree, unless the live tree holds the same. */
async function keepEdits(m: Machine, receipts: Receipts, tree: TreeReceipt & { name: string }): Promise<void> {
  const live = receipts.plugins[tree.name];
  const ours = new Map(tree.extras.map((extra) => [extra.path, [extra.sha256]]));
  for (const file of tree.files)
    ours.set(file.path, [file.sha256, ...(file.overlay ? [file.confined ?? file.rendered ?? ''] : [])]);
  const edits: DiskFile[] = [];
  const disk = await scanTree(join(m.paths.root, tree.dir));
  await releaseFiles(m, tree, disk);
  for (const [path, there] of disk) {
    if (there.kind !== 'file' || ours.get(path)?.includes(there.sha256)) continue;
    const inLive = live === undefined ? null : await hashOnDisk(join(m.paths.root, live.dir, path));
    if (inLive !== null && (inLive === there.sha256 || inLive === there.onDisk)) continue;
    edits.push(there);
  }
  const folder = join(m.paths.root, await backupFor(m, tree.dir, edits));
  for (const { path, absolute, mode, sha256, bytes: inTree } of edits) {
    const to = join(folder, path);
    const bytes = (await hashOnDisk(to)) === sha256 ? null : (inTree ?? (await readFileOrNull(absolute)));
    if (bytes === null) continue;
    await makeDirs(m.port, dirname(to));
    await writeAtomic(m.port, to, bytes, { mode });
  }
}

async function removeOrphans(m: Machine, receipts: Receipts, leased: ReadonlySet<string>): Promise<string[]> {
  const known = new Set(leased);
  for (const { dir } of receipts.retired) known.add(dir);
  for (const receipt of Object.values(receipts.plugins)) {
    known.add(receipt.dir);
    for (const { dir } of receipt.previous) known.add(dir);
  }
  const removed: string[] = [];
  for (const plugin of await listDir(m.paths.versions)) {
    let stay = 0;
    for (const entry of await listDir(join(m.paths.versions, plugin.name))) {
      const dir = `versions/${plugin.name}/${entry.name}`;
      if (known.has(dir) || !entry.isDirectory()) {
        stay++;
        continue;
      }
      await removeTree(m.port, join(m.paths.root, dir));
      removed.push(dir);
    }
    if (stay === 0) await removeEmptyDir(m.port, join(m.paths.versions, plugin.name));
  }
  // As a change that is undone does: it cannot tell an empty folder from its own.
  await removeEmptyDir(m.port, m.paths.versions);
  return removed;
}
