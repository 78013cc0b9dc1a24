import { lstat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { HaiveError } from '../domain/errors.ts';
import type { Revoked } from '../domain/plan/index.ts';
import { noteChanges } from './audit/log.ts';
import { writeAtomic } from './files/atomic-file.ts';
import { listDir, makeDirs, readFileOrNull, removeEmptyDir } from './files/file-port.ts';
import { tellOpenSessions } from './inbox.ts';
import { ensureRoot, type Machine } from './machine.ts';
import { endProcesses, processesUsing } from './processes/end-processes.ts';
import { type Receipts, readReceipts, type TreeReceipt, writeReceipts } from './receipts/index.ts';

/** Revoked versions are taken out of reach, not destroyed: somebody will want to look at what they did. */

export interface Quarantined {
  name: string;
  version: string;
  reason: string;
  /** Processes that ran from it and were ended. */
  ended: number;
  /** Folder it lies in now. */
  folder: string;
}

const FORMAT = 1;
const listPath = (m: Machine): string => join(m.paths.quarantine, 'revoked.json');

/**
 * Everything this machine was ever told is revoked, by digest: a hub that forgets it does not bring it back.
 * @throws HaiveError IO_ERROR when the list is not one
 */
export async function knownRevoked(m: Machine): Promise<Map<string, Revoked>> {
  const bytes = await readFileOrNull(listPath(m));
  if (bytes === null) return new Map();
  try {
    const value = JSON.parse(bytes.toString('utf8')) as { format: number; revoked: Revoked[] };
    if (value.format === FORMAT && Array.isArray(value.revoked))
      return new Map(value.revoked.map((r) => [r.digest, r]));
  } catch {
    // Told below.
  }
  throw new HaiveError('IO_ERROR', `${listPath(m)} is damaged`, {
    hint: 'Move it away; the next sync asks the hub again for what was revoked.',
  });
}

/** Adds to the list. The lock must be held. */
export async function rememberRevoked(m: Machine, revoked: readonly Revoked[]): Promise<Map<string, Revoked>> {
  const known = await knownRevoked(m);
  const fresh = revoked.filter((r) => !known.has(r.digest));
  if (fresh.length === 0) return known;
  for (const r of fresh) known.set(r.digest, r);
  await ensureRoot(m);
  await makeDirs(m.port, m.paths.quarantine);
  await writeAtomic(
    m.port,
    listPath(m),
    `${JSON.stringify({ format: FORMAT, revoked: [...known.values()] }, null, 1)}\n`,
  );
  return known;
}

/**
 * Moves every tree of a revoked digest that is not live out of reach, and ends what runs from it. The lock must be held, and the
 * live ones removed before. Safe to be stopped and run again.
 */
export async function quarantine(m: Machine, revoked: ReadonlyMap<string, Revoked>): Promise<Quarantined[]> {
  const receipts = await readReceipts(m);
  const next: Receipts = structuredClone(receipts);
  const doomed: (TreeReceipt & { name: string })[] = [];
  const stays = (name: string) => (tree: TreeReceipt) => {
    if (!revoked.has(tree.digest)) return true;
    doomed.push({ ...tree, name });
    return false;
  };
  for (const receipt of Object.values(next.plugins)) receipt.previous = receipt.previous.filter(stays(receipt.name));
  next.retired = next.retired.filter((tree) => stays(tree.name)(tree));
  const done: Quarantined[] = [];
  for (const tree of doomed) {
    const from = join(m.paths.root, tree.dir);
    const running = await processesUsing([from]);
    const reason = revoked.get(tree.digest)?.reason ?? '';
    // Before the move: a run that was stopped says it again.
    await tellOpenSessions(m, tree.digest, `${tree.name} ${tree.version}`, reason);
    const there = await lstat(from).catch(() => null);
    const folder = there === null ? '' : await moveAway(m, from);
    const ended = await endProcesses(running);
    done.push({ name: tree.name, version: tree.version, reason, ended, folder });
  }
  // Once, also when a run was stopped and does it again.
  const gone = done.map(({ name, version, reason }, i) => ({
    what: 'quarantine',
    target: name,
    from: `revoked: ${reason}`,
    before: { version, digest: doomed[i]?.digest, dir: doomed[i]?.dir },
    after: { ended: done[i]?.ended },
    result: 'done',
  }));
  const head = await noteChanges(m, gone, receipts.audit);
  if (head !== undefined) next.audit = head;
  // Last: a run that was stopped finds the entries again, and what was moved already is simply not there.
  if (doomed.length > 0) await writeReceipts(m, next);
  return done;
}

async function moveAway(m: Machine, from: string): Promise<string> {
  const parent = join(m.paths.quarantine, basename(dirname(from)));
  await makeDirs(m.port, parent);
  await m.port.chmod(m.paths.quarantine, 0o700);
  const taken = new Set((await listDir(parent)).map((entry) => entry.name));
  let name = basename(from);
  for (let n = 2; taken.has(name); n++) name = `${basename(from)}-${n}`;
  await m.port.rename(from, join(parent, name));
  await removeEmptyDir(m.port, dirname(from));
  return join(parent, name);
}
