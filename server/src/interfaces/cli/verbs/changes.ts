import { resolve } from 'node:path';
import { installPlugin, updatePlugins } from '../../../client/install/index.ts';
import { removePlugin } from '../../../client/install/remove.ts';
import { rollbackPlugin } from '../../../client/install/rollback.ts';
import { syncFrozen } from '../../../client/sync/frozen.ts';
import { type SyncResult, syncMachine } from '../../../client/sync/index.ts';
import { LOCK_NAME } from '../../../domain/desired/lockfile.ts';
import { ERRORS, type ErrorCode, HaiveError } from '../../../domain/errors.ts';
import { askLoadedBehind } from '../ask-loaded.ts';
import { clean, warnings } from '../output.ts';
import type { Verb, VerbCall, VerbOutput } from '../verb.ts';
import { argument, listOption, syncProgress } from './options.ts';
import { syncJson, syncLines } from './sync-text.ts';

export const install: Verb = async (call) => {
  const { style } = call;
  const result = await installPlugin(await call.open(), argument(call, 0, 'plugin'), {
    machines: listOption(call.options.machines, 'machines'),
    confirmed: call.options.yes === true,
    force: call.options.force === true,
    discardEdits: call.options.discardEdits === true,
    onProgress: syncProgress(call),
  });
  const { sync, ...answer } = result;
  await askLoadedBehind(call, sync?.reloadNeeded === true);
  const refused = answer.machines.length > 0 && answer.machines.every((m) => m.problem !== null);
  const ordered = sync === null || refused || answer.machines.length > 1;
  const lines = ordered
    ? [
        `${style.green('✓')} ${answer.name} ${answer.version} is wanted on:`,
        ...answer.machines.map((m) =>
          m.problem === null
            ? `  ${m.machine} ${m.version ?? answer.version}`
            : style.red(`  ${m.machine}: ${clean(m.problem)}`),
        ),
      ]
    : [`${style.green('✓')} ${answer.name} ${answer.version} is installed`];
  lines.push(...warnings(answer.warnings, style));
  if (sync !== null) lines.push(...syncLines(sync, style));
  const exit = (sync === null || !ordered ? 0 : exitOf(sync)) || (refused ? 69 : 0);
  return {
    json: { ...answer, sync: sync === null ? null : syncJson(sync) },
    text: lines.join('\n'),
    ...(exit === 0 ? {} : { exit }),
  };
};

export const update: Verb = async (call) => {
  const force = call.options.force === true;
  const result = await updatePlugins(await call.open(), call.rest, {
    confirmed: call.options.yes === true,
    force,
    discardEdits: call.options.discardEdits === true,
    onProgress: syncProgress(call),
  });
  await askLoadedBehind(call, result.reloadNeeded && !result.dryRun);
  return { json: syncJson(result), text: syncLines(result, call.style).join('\n'), exit: exitOf(result) };
};

export const remove: Verb = async (call) => {
  const machines = listOption(call.options.machines, 'machines');
  const result = await removePlugin(await call.open(), argument(call, 0, 'plugin'), {
    machines,
    purge: call.options.purge === true,
  });
  const { style } = call;
  const lines =
    machines === undefined
      ? [`${style.green('✓')} Removed ${result.removed.join(', ') || result.name}`]
      : [
          `${style.green('✓')} ${[result.name, ...result.along].join(', ')} leaves ${result.machines.join(', ') || 'no machine'}`,
          ...(result.removed.length === 0 ? [] : [`  gone from this one: ${result.removed.join(', ')}`]),
        ];
  return { json: result, text: [...lines, ...warnings(result.warnings, style)].join('\n') };
};

export const rollback: Verb = async (call) => {
  const ref = argument(call, 0, 'plugin');
  const done = await rollbackPlugin(await call.open(), ref, call.options.to);
  const { name, from, to, pinned, hubTold, warnings: notes } = done;
  const { style } = call;
  const freed = `hv ${pinned ? 'install' : 'update'} ${name}`;
  return {
    json: { name, from, to, pinned, hub_told: hubTold, warnings: notes },
    text: [
      `${style.green('✓')} ${name} ${from} → ${to}`,
      style.dim(`It stays there until \`${freed}\`. Open sessions take it up with /reload-plugins.`),
      ...warnings(notes, style),
    ].join('\n'),
  };
};

export const sync: Verb = async (call) => {
  if (call.options.frozen === true) return frozen(call);
  if (call.options.lock !== undefined) throw new HaiveError('USAGE', '--lock goes with --frozen');
  const result = await syncMachine(await call.open(), {
    mode: 'explicit',
    dryRun: call.options.dryRun === true,
    force: call.options.force === true,
    discardEdits: call.options.discardEdits === true,
    onProgress: syncProgress(call),
  });
  await askLoadedBehind(call, result.reloadNeeded && !result.dryRun);
  const { problems, layoutRefused } = result;
  const told = layoutRefused === null ? problems : [...problems, { ...layoutRefused, where: 'machine' as const }];
  const exit = exitOf({ problems: told });
  return { json: syncJson(result), text: syncLines(result, call.style).join('\n'), exit };
};

async function frozen(call: VerbCall): Promise<VerbOutput> {
  const { dryRun, force, lock } = call.options;
  if (dryRun === true || force === true) throw new HaiveError('USAGE', '--frozen goes with --lock only');
  const file = resolve(call.cwd, lock ?? LOCK_NAME);
  const result = await syncFrozen(await call.open(), file, syncProgress(call));
  return { json: syncJson(result), text: syncLines(result, call.style).join('\n') };
}

/** What came and was refused here is a failure; what the hub could not plan is its operator's affair. */
function exitOf(result: Pick<SyncResult, 'problems'>): number {
  const refused = result.problems.find((p) => p.where === 'machine');
  return refused === undefined ? 0 : (ERRORS[refused.code as ErrorCode]?.exit ?? 70);
}
