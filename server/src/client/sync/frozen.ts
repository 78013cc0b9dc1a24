import { readFile } from 'node:fs/promises';
import {
  againstLock,
  isAsLocked,
  type LockDifference,
  type Locked,
  lockMismatch,
  lockText,
  parseLock,
} from '../../domain/desired/lockfile.ts';
import { HaiveError, toHaiveError } from '../../domain/errors.ts';
import { updateConfig } from '../../machine/config-file.ts';
import { fileError } from '../../machine/files/file-port.ts';
import { type Receipts, readReceipts } from '../../machine/receipts/index.ts';
import type { ClientContext } from '../context.ts';
import { dropHolds, putHolds } from '../install/said-before.ts';
import { type SyncProgress, type SyncResult, syncMachine } from './index.ts';
import type { Order } from './options.ts';

/** This machine's set as a lockfile's text. */
export async function lockMachine(ctx: ClientContext): Promise<{ text: string; plugins: Locked[] }> {
  const text = lockText(Object.values((await readReceipts(ctx.machine)).plugins));
  return { text, plugins: parseLock(text, 'the lockfile') };
}

/**
 * Makes this machine's set exactly the locked one: what differs is asked for (or excluded) at the hub, so that it stays, then synced.
 * @throws HaiveError LOCK_INVALID, LOCK_MISMATCH (the hub has other bytes of a locked version, or the set cannot be had), VERSION_NOT_FOUND,
 * PLUGIN_NOT_FOUND, NOT_ELIGIBLE, STATUS_FORBIDS, METHOD_NOT_ALLOWED (an older hub) and those of syncMachine. Nothing is ordered,
 * installed or removed after any of them; where the hub cannot be told any more that this machine did not take the set, the hint says
 * that the order waits.
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
  const order = setOrder(ctx, locked);
  const progress = onProgress === undefined ? {} : { onProgress };
  const result = await syncMachine(ctx, { mode: 'explicit', whole: locked, order, ...progress });
  const left = await notAsLocked(ctx, locked);
  if (!isAsLocked(left)) throw lockMismatch(left, result.warnings);
  return { ...result, warnings: [...order.warnings, ...result.warnings] };
}

/** The order of the set, and how it is taken back; `warnings` are the hub's. */
function setOrder(ctx: ClientContext, locked: readonly Locked[]): Order & { warnings: string[] } {
  let seq: number | null = null;
  let holds: Receipts['holds'] = {};
  const warnings: string[] = [];
  return {
    warnings,
    async give(hub) {
      const told = await hub
        .call('orderSet', { params: { machine: 'me' }, body: { plugins: [...locked] } })
        .catch(ofOlderHub);
      seq = told.seq;
      warnings.push(...told.warnings);
      holds = await dropHolds(ctx, told.installed);
    },
    async takeBack(hub, failure) {
      if (seq === null || isAsLocked(await notAsLocked(ctx, locked))) return;
      try {
        await hub.call('takeBackSet', { params: { machine: 'me' }, query: { seq } });
      } catch {
        const { code, message } = toHaiveError(failure);
        const hint = 'The hub could not be told: it wants the set here, and the next sync goes on with it.';
        throw new HaiveError(code, message, { cause: failure, hint });
      }
      await putHolds(ctx, holds);
      await askAnew(ctx);
    },
  };
}

/** Another process that has the plan of the order already, and waits for the lock, asks again. */
async function askAnew({ machine }: ClientContext): Promise<void> {
  await updateConfig(machine, (raw) => (raw.plan === undefined ? raw : { ...raw, plan: { ...raw.plan, etag: '' } }));
}

function ofOlderHub(thrown: unknown): never {
  if (!(thrown instanceof HaiveError) || thrown.code !== 'METHOD_NOT_ALLOWED') throw thrown;
  const { code, message } = thrown;
  const hint = 'The hub is older than this program, and takes no set as a whole: update it first.';
  throw new HaiveError(code, message, { cause: thrown, hint });
}

const notAsLocked = async ({ machine }: ClientContext, locked: readonly Locked[]): Promise<LockDifference> =>
  againstLock(locked, Object.values((await readReceipts(machine)).plugins));
