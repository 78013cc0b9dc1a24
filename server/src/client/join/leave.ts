import { join } from 'node:path';
import { LAUNCHER } from '../../domain/confine.ts';
import { HaiveError } from '../../domain/errors.ts';
import { recover } from '../../machine/change/transaction.ts';
import { readConfig, updateConfig } from '../../machine/config-file.ts';
import { removeEmptyDir, removeFile, removeTree, statOf } from '../../machine/files/file-port.ts';
import { leaveMachine } from '../../machine/leave.ts';
import { withLock } from '../../machine/processes/lock.ts';
import { type ClientContext, hubFor } from '../context.ts';
import { regain } from '../doctor/regain.ts';
import { forgetMachineKey } from '../hub/machine-key.ts';
import { updateTrust } from '../trust/publisher-keys.ts';
import { otherFolders } from './client-folders.ts';

export interface LeaveResult {
  /** The hub that was left; null when none had been joined. */
  hub: string | null;
  /** False when the hub could not be told: an operator removes the machine there. */
  hubTold: boolean;
  /** What a person put or made here, and nobody takes away: private memories, keys, things that `hv migrate` put aside. Paths. */
  kept: string[];
  /** Folders of Claude Code in which something of ours is left: the warnings tell why. */
  stay: string[];
  warnings: string[];
}

const JOINED_KEYS = [
  'hub_url',
  'hub_ca',
  'hub',
  'machine',
  'token',
  'groups',
  'capabilities',
  'role',
  'about',
  'plan',
  'claude_folders',
];

/**
 * Takes everything of ours off this machine, also out of folders that CLAUDE_CONFIG_DIR named, and tells the hub. What a person set
 * (login, the `plugins` block, the publisher's key) stays. Works with the hub down.
 * @throws HaiveError NOT_JOINED when there is nothing to leave, LOCKED, SETTINGS_INVALID, READ_ONLY, IO_ERROR
 */
export async function leaveHub(ctx: ClientContext): Promise<LeaveResult> {
  const { machine } = ctx;
  const warnings: string[] = [];
  const hub = ctx.config.hub_url ?? null;
  const { receipts, lock } = machine.paths;
  const others = await otherFolders(ctx);
  if (hub === null && others.length === 0 && statOf(receipts) === null && statOf(lock) === null) {
    throw new HaiveError('NOT_JOINED', 'This machine has joined no hub, and nothing of ours is on it');
  }
  warnings.push(...(await takeAway(ctx)));
  const stay: string[] = [];
  for (const other of others) {
    try {
      warnings.push(...(await takeAway(other.ctx)));
    } catch (thrown) {
      if (!(thrown instanceof HaiveError)) throw thrown;
      stay.push(other.name);
      warnings.push(
        `${thrown.code}: ${thrown.message}; what is ours in ${other.name} stays until \`${other.variable}hv leave\``,
      );
    }
  }
  const told = hub === null ? null : await tellHub(ctx);
  if (told !== null) {
    warnings.push(
      `The hub was not told (${told}). Run \`hv machines remove\` with an operator's token, or leave it be`,
    );
  }
  await forget(ctx, stay);
  const { memories, publisherKey, operatorKey, moved } = machine.paths;
  const kept = [memories, publisherKey, operatorKey, moved].filter((path) => statOf(path) !== null);
  return { hub, hubTold: hub !== null && told === null, kept, stay, warnings };
}

/** Takes all that is ours out of one of Claude Code's folders. @returns warnings */
async function takeAway(ctx: ClientContext): Promise<string[]> {
  const { machine } = ctx;
  const leave = async () => {
    ctx.config = await readConfig(machine);
    await regain(ctx);
    await recover(machine);
    // Whoever waits for the lock is to find no member any more.
    return leaveMachine(machine, () => forgetToken(ctx));
  };
  return (await withLock(machine, 'leave', leave, { waitMs: 30_000 })).warnings;
}

async function tellHub(ctx: ClientContext): Promise<string | null> {
  try {
    const hub = await hubFor(ctx, 'machine', 5_000);
    try {
      await hub.call('removeMachine', { params: { machine: 'me' } });
      return null;
    } finally {
      hub.close();
    }
  } catch (thrown) {
    if (thrown instanceof HaiveError) return thrown.code;
    throw thrown;
  }
}

/** From the file alone: the hub is still to be told with it. */
async function forgetToken({ machine, config }: ClientContext): Promise<void> {
  if (config.token === undefined) return;
  await updateConfig(machine, ({ token: _, ...raw }) => raw);
}

/** @param stay folders of Claude Code in which something of ours is left */
async function forget(ctx: ClientContext, stay: readonly string[]): Promise<void> {
  const { machine } = ctx;
  await updateTrust(machine, (trust) => {
    const { [ctx.config.hub?.id ?? '']: left, ...hubs } = trust.hubs;
    return left === undefined ? trust : { ...trust, hubs };
  });
  await forgetMachineKey(machine);
  let empty = false;
  ctx.config = await updateConfig(machine, (raw) => {
    for (const key of JOINED_KEYS) delete raw[key];
    if (stay.length > 0) raw.claude_folders = stay;
    empty = Object.keys(raw).every((key) => key === 'format');
    return raw;
  });
  await removeTree(machine.port, machine.paths.configLock);
  if (empty) await dropHome(ctx);
}

/** Nothing of a person's is in the configuration: it goes, and with it `hv` and the folder where nothing else is. */
async function dropHome(ctx: ClientContext): Promise<void> {
  const { paths, port } = ctx.machine;
  await removeFile(port, paths.config);
  for (const name of ['hv.mjs', 'hv', LAUNCHER]) await removeFile(port, join(paths.bin, name));
  await removeTree(port, paths.cache);
  await removeEmptyDir(port, paths.bin);
  await removeEmptyDir(port, paths.haivemindHome);
}
