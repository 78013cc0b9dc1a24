import { resolve } from 'node:path';
import { withheldInWords } from '../../domain/approval.ts';
import { errnoOf, HaiveError } from '../../domain/errors.ts';
import { recover } from '../../machine/change/transaction.ts';
import { inspect } from '../../machine/drift.ts';
import { endMove, type MovedThings, movedSets, putAside, takeAway } from '../../machine/moved-away.ts';
import { withLock } from '../../machine/processes/lock.ts';
import { readPlugin } from '../../machine/read-plugin.ts';
import { writeScaffold } from '../../machine/scaffold/index.ts';
import type { ClientContext } from '../context.ts';
import { installPlugin } from '../install/index.ts';
import { type PublishProgress, type PublishTarget, publishFolder } from '../publish/index.ts';
import { checkLoaded } from '../report/loaded.ts';
import { syncMachine } from '../sync/index.ts';
import type { Migration } from './plan.ts';

export interface MigrateResult {
  /** The plugin's folder. */
  folder: string;
  /** Null where it was only written. */
  published: { id: string; groups: string[]; machines: string[] } | null;
  /** What `hv backups restore` takes; null where nothing was taken away. */
  backup: string | null;
  /** Own things that were changed meanwhile, and stay. */
  stay: string[];
  warnings: string[];
}

/**
 * Writes the plugin's folder. One that holds the same already is left as it is.
 * @throws HaiveError NOT_FOUND when nothing can move, PATH_OCCUPIED, READ_ONLY, DISK_FULL, IO_ERROR
 */
export async function writeMigration(ctx: ClientContext, plan: Migration, folder: string): Promise<void> {
  if (plan.files.length === 0) {
    throw new HaiveError('NOT_FOUND', 'Nothing of this machine can move into a plugin', {
      hint: 'Run `hv migrate` to see why.',
    });
  }
  if (await holdsTheSame(plan, folder)) return;
  await writeScaffold(folder, plan.files, ctx.machine.port);
}

async function holdsTheSame(plan: Migration, folder: string): Promise<boolean> {
  try {
    const there = await readPlugin(folder, { maxBytes: 64 * 1024 * 1024 });
    const wanted = new Map(plan.files.map((f) => [f.path, f.bytes]));
    return there.length === wanted.size && there.every((f) => wanted.get(f.path)?.equals(f.bytes) === true);
  } catch (thrown) {
    if (errnoOf(thrown) === undefined && !(thrown instanceof HaiveError)) throw thrown;
    return false;
  }
}

/**
 * Writes the plugin, publishes it, installs it here, makes sure that it is there and loads, and only then puts the own things that it
 * replaces aside and takes them away. Whatever fails before that leaves them where they are.
 * @throws HaiveError NOT_JOINED, NOT_ELIGIBLE where operators must approve it first, and those of publishing and installing
 */
export async function migrate(
  ctx: ClientContext,
  plan: Migration,
  target: PublishTarget,
  options: { folder: string; onProgress?: (progress: PublishProgress) => void },
): Promise<MigrateResult> {
  if (ctx.config.token === undefined) {
    throw new HaiveError('NOT_JOINED', 'This machine has joined no hub: the plugin could not be installed here', {
      hint: 'Paste the join line that the hub prints at its start, or only write the folder with --write.',
    });
  }
  const folder = resolve(options.folder);
  await writeMigration(ctx, plan, folder);
  const published = await publishFolder(ctx, folder, target, options.onProgress);
  const { id, name, version, groups, machines, held, withheld } = published;
  if (held !== undefined) throw mustWait(published, held.reason);
  const installed = await installPlugin(ctx, `${name}@${version}`, { confirmed: true }).catch((thrown) => {
    throw withheld === undefined ? thrown : mustWait(published, withheldInWords(withheld), thrown);
  });
  await makeSure(ctx, name);
  const backup = await withLock(ctx.machine, 'migrate', async () => {
    await recover(ctx.machine);
    return await putAside(ctx.machine, name, thingsOf(plan));
  });
  const { stay, warnings } = await finishMigrations(ctx);
  const occupied = (text: string): boolean => text.startsWith('PATH_OCCUPIED');
  const before = (installed.sync?.warnings ?? []).filter((text) => !occupied(text));
  return {
    folder,
    published: { id, groups, machines },
    backup: `migrate/${backup}`,
    stay,
    warnings: [...before, ...warnings],
  };
}

function mustWait({ name, version }: { name: string; version: string }, why: string, cause?: unknown): HaiveError {
  return new HaiveError('NOT_ELIGIBLE', `${name} ${version} is not in use here yet, it must be approved: ${why}`, {
    hint: `Your own things stay as they are. After \`hv approve ${name}@${version}\` run the same \`hv migrate\` again.`,
    cause,
  });
}

/** @throws HaiveError NOT_ELIGIBLE when it is not whole, or Claude Code does not load it */
async function makeSure(ctx: ClientContext, name: string): Promise<void> {
  const here = (await inspect(ctx.machine, { only: new Set([name]) })).find((plugin) => plugin.name === name);
  const failed = (await checkLoaded(ctx))?.failed.find((plugin) => plugin.name === name);
  if (here?.state === 'verified' && failed === undefined) return;
  const why = failed?.errors[0] ?? `it is ${here?.state ?? 'not here'}`;
  throw new HaiveError('NOT_ELIGIBLE', `${name} was published, but is not in use here: ${why}`, {
    hint: 'Your own things stay as they are. Mend that, and run `hv migrate --publish` again.',
  });
}

/**
 * Takes away what a migration put aside, also one that was stopped in the middle, and gives the plugins the bare commands whose places
 * are free now.
 * @throws HaiveError LOCKED, SETTINGS_INVALID, and those of files and of syncMachine
 */
export async function finishMigrations(
  ctx: ClientContext,
): Promise<{ finished: string[]; stay: string[]; warnings: string[] }> {
  const { machine } = ctx;
  const stay: string[] = [];
  const warnings: string[] = [];
  const finished: string[] = [];
  for (const { id, state } of await movedSets(machine)) {
    if (state.state === 'done') continue;
    stay.push(
      ...(await withLock(machine, 'migrate', async () => {
        await recover(machine);
        return await takeAway(machine, state);
      })),
    );
    const sync = await syncMachine(ctx, { mode: 'explicit', only: [state.plugin], reason: 'install', force: true });
    warnings.push(...sync.warnings);
    await withLock(machine, 'migrate', () => endMove(machine, id, state));
    finished.push(state.plugin);
  }
  return { finished, stay, warnings };
}

function thingsOf({ things }: Migration): MovedThings {
  return {
    files: things.flatMap((thing) => thing.files),
    hooks: things.flatMap(({ kind, event = '', value }) => (kind === 'hook' ? [{ event, group: value }] : [])),
    servers: things.flatMap(({ kind, name, value }) => (kind === 'server' ? [{ name, value }] : [])),
  };
}
