import { readFile } from 'node:fs/promises';
import { HaiveError } from '../domain/errors.ts';
import { againstLock, type Locked, lockText, parseLock } from '../domain/lockfile.ts';
import { fileError } from '../machine/file-port.ts';
import { readReceipts } from '../machine/receipts.ts';
import { type ClientContext, hubFor } from './context.ts';
import type { HubClient } from './hub-client.ts';
import { fetchPlan } from './plan.ts';
import { type SyncProgress, type SyncResult, syncMachine } from './sync.ts';

/** This machine's set as a lockfile's text. */
export async function lockMachine(ctx: ClientContext): Promise<{ text: string; plugins: Locked[] }> {
  const text = lockText(Object.values((await readReceipts(ctx.machine)).plugins));
  return { text, plugins: parseLock(text, 'the lockfile') };
}

/**
 * Makes this machine's set exactly the locked one: what differs is asked for (or excluded) at the hub, so that it stays, then synced.
 * @throws HaiveError LOCK_INVALID, LOCK_MISMATCH (the hub has other bytes of a locked version, or the set cannot be had), VERSION_NOT_FOUND,
 * PLUGIN_NOT_FOUND, NOT_ELIGIBLE and those of syncMachine. Nothing was asked for when a locked version cannot be had.
 */
export async function syncFrozen(
  ctx: ClientContext,
  file: string,
  onProgress?: (progress: SyncProgress) => void,
): Promise<SyncResult> {
  const text = await readFile(file, 'utf8').catch((cause) => {
    if (cause.code === 'ENOENT')
      throw new HaiveError('LOCK_INVALID', `There is no lockfile ${file}`, {
        hint: 'Write one with `hv lock` on a machine that has the set, or name another with --lock FILE.',
      });
    throw fileError(cause, file, 'read');
  });
  const locked = parseLock(text, file);
  const hub = await hubFor(ctx, 'machine');
  try {
    const { plan } = await fetchPlan(ctx, hub, { fresh: true });
    const difference = againstLock(locked, plan.plugins);
    for (const wanted of difference.install) await checkBytes(hub, wanted);
    for (const { name, version } of difference.install) {
      await hub.call('clearOverride', { params: { machine: 'me', name }, query: {} });
      await hub.call('install', { params: { id: name }, body: { version } });
    }
    for (const name of difference.exclude) {
      await hub.call('setOverride', { params: { machine: 'me', name }, body: { kind: 'exclude' } });
    }
  } finally {
    hub.close();
  }
  const result = await syncMachine(ctx, { mode: 'explicit', ...(onProgress === undefined ? {} : { onProgress }) });
  const left = againstLock(locked, Object.values((await readReceipts(ctx.machine)).plugins));
  if (left.install.length === 0 && left.exclude.length === 0) return result;
  const names = [...left.install.map((p) => `${p.name}@${p.version}`), ...left.exclude.map((name) => `no ${name}`)];
  const why = result.problems.map((p) => `${p.name}: ${p.message}`).join('; ');
  throw new HaiveError(
    'LOCK_MISMATCH',
    `The locked set cannot be had here: ${names.join(', ')}${why === '' ? '' : ` (${why})`}`,
    {
      details: { install: left.install, exclude: left.exclude },
    },
  );
}

/** @throws HaiveError LOCK_MISMATCH, PLUGIN_NOT_FOUND, VERSION_NOT_FOUND */
async function checkBytes(hub: HubClient, { name, version, digest }: Locked): Promise<void> {
  const there = await hub.call('info', { params: { id: `${name}@${version}` } });
  if (there.digest === digest) return;
  throw new HaiveError('LOCK_MISMATCH', `This hub's ${name}@${version} has other bytes than the locked ones`, {
    details: { name, version, locked: digest, hub: there.digest },
  });
}
