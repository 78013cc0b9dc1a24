import { dirname, join } from 'node:path';
import { HaiveError } from '../domain/errors.ts';
import { applyChange } from './change/transaction.ts';
import { MARKETPLACE } from './claude/marketplace.ts';
import { getKeyText, removeKey } from './claude/settings-edit.ts';
import { stopDev } from './dev-override.ts';
import { listDir, removeEmptyDir, removeFile, removeTree } from './files/file-port.ts';
import { readText, writeText } from './files/text-file.ts';
import { scanTree } from './files/tree.ts';
import { removeStrays } from './loose/strays.ts';
import { type Machine, madeDirs } from './machine.ts';
import { collectVersions } from './processes/leases.ts';
import { noFileNotes, readReceipts } from './receipts/index.ts';

export interface LeaveMachineResult {
  removed: string[];
  warnings: string[];
}

/**
 * Takes everything of ours out of `~/.claude`: where only we wrote, it is as before, byte for byte. What a person
 * changed or added (edits in plugin trees, overlays) stays in our folder, and a warning says where. The lock must be held
 * and `recover` done; when this returns the lock's file is gone too.
 * @param beforeUnlock what has to be so before anybody else gets the lock
 * @throws HaiveError SETTINGS_INVALID, READ_ONLY, DISK_FULL, IO_ERROR, and what `beforeUnlock` throws
 */
export async function leaveMachine(m: Machine, beforeUnlock = async () => {}): Promise<LeaveMachineResult> {
  const { paths, port } = m;
  await stopDev(m);
  const names = Object.keys((await readReceipts(m)).plugins);
  const made = await madeDirs(m);
  const { removed, warnings } = await applyChange(m, { install: [], remove: names, reason: 'leave' });
  warnings.push(...(await forgivingly(() => forgetMarketplace(m), 'our marketplace stays in it')));
  warnings.push(...(await forgivingly(() => removeStrays(m, warnings), 'what is ours in it stays')));
  // Sessions that still run keep what they have read; edits go to backups/edits first.
  await collectVersions(m, { keep: 0, graceMs: -1, ignoreLeases: true });
  const { blobs, records, versions, receipts, live, spool, leases, marketplace, backups, plan, liveLock } = paths;
  const { inbox, told, memoriesLock } = paths;
  for (const dir of [
    blobs,
    records,
    versions,
    spool,
    leases,
    liveLock,
    inbox,
    told,
    memoriesLock,
    dirname(marketplace),
  ])
    await removeTree(port, dir);
  for (const entry of await listDir(backups)) {
    if (entry.name !== 'edits') await removeTree(port, join(backups, entry.name));
    if (entry.isFile()) await removeFile(port, join(backups, entry.name));
  }
  for (const dir of [join(backups, 'edits'), backups, paths.overlays]) await removeEmptyDir(port, dir);
  await removeTree(port, paths.quarantine);
  await forgetCodeCaches(m);
  const left = [...(await scanTree(paths.overlays)).keys(), ...(await scanTree(backups)).keys()];
  for (const file of [receipts, live, plan, paths.seen, paths.inboxRevision, paths.audit, paths.auditBefore])
    await removeFile(port, file);
  await beforeUnlock();
  // Last, because sessions that still run count as long as this machine is a member.
  await removeTree(port, paths.usage);
  if (left.length > 0) {
    await removeTree(port, paths.lock);
    await removeFile(port, paths.made);
    warnings.push(`${left.length} file(s) that were changed on this machine stay in ${paths.root}`);
    return { removed, warnings };
  }
  for (const entry of await listDir(paths.root)) {
    if (entry.isFile() && entry.name.endsWith('.hv-tmp')) await removeFile(port, join(paths.root, entry.name));
  }
  await removeTree(port, paths.lock);
  await removeFile(port, paths.made);
  await removeEmptyDir(port, paths.root);
  for (const dir of made.reverse()) await removeEmptyDir(port, join(dirname(paths.claudeDir), dir));
  return { removed, warnings };
}

/** Our MCP server leaves V8 code caches in the folder that the client gives the core plugin for its data. */
async function forgetCodeCaches(m: Machine): Promise<void> {
  const data = join(m.paths.claudeDir, 'plugins', 'data', `haivemind-core-${MARKETPLACE}`);
  for (const entry of await listDir(data)) {
    if (entry.isFile() && entry.name.endsWith('.v8')) await removeFile(m.port, join(data, entry.name));
  }
}

/** Sessions note the marketplaces they have seen, and nothing takes ours out of that list when its folder goes. */
async function forgetMarketplace(m: Machine): Promise<void> {
  const where = m.paths.knownMarketplaces;
  const text = await readText(where);
  const entry = text === null ? undefined : getKeyText(text, [MARKETPLACE], where);
  if (text === null || entry === undefined) return;
  const { source } = JSON.parse(entry) as { source?: { path?: string } };
  if (source?.path !== m.paths.root) return;
  await writeText(m, where, text, removeKey(text, [MARKETPLACE], noFileNotes(), where));
}

/** A file of others that nobody can read keeps no one from leaving. @returns a warning then */
async function forgivingly(edit: () => Promise<void>, then: string): Promise<string[]> {
  try {
    await edit();
    return [];
  } catch (error) {
    if (!(error instanceof HaiveError) || error.code !== 'SETTINGS_INVALID') throw error;
    return [`${error.code}: ${error.message}; ${then}`];
  }
}
