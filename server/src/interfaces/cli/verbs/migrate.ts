import { resolve } from 'node:path';
import { finishMigrations, migrate, writeMigration } from '../../../client/migrate/migrate.ts';
import { type Migration, planMigration } from '../../../client/migrate/plan.ts';
import { HaiveError } from '../../../domain/errors.ts';
import { clean, type Style, table, warnings } from '../output.ts';
import type { Verb, VerbCall, VerbOutput } from '../verb.ts';
import { listOption, publishProgress } from './options.ts';

export const migrateVerb: Verb = async (call) => {
  const { options, style } = call;
  const groups = listOption(options.groups, 'groups');
  if (options.write === true && options.publish === true)
    throw new HaiveError('USAGE', '--write and --publish exclude each other; --publish writes too');
  if (options.publish !== true && (groups !== undefined || options.all === true))
    throw new HaiveError('USAGE', '--groups and --all go with --publish');
  if (options.publish === true && (groups === undefined) !== (options.all === true))
    throw new HaiveError('USAGE', 'Give --groups a,b or --all, one of them', { hint: 'Who should have the plugin?' });
  const ctx = await call.open();
  const { finished, stay } = await finishMigrations(ctx);
  const before = finished.map((name) => `Finished the migration to ${name} that was stopped`);
  const plan = await planMigration(ctx, {
    name: call.args[0],
    only: listOption(options.only, 'only'),
    userConfig: options.userConfig === true,
  });
  const folder = resolve(call.cwd, options.path ?? plan.name);
  const shown = { name: plan.name, moved: plan.moved, left: plan.left, asks: plan.asks };
  if (options.write === true) {
    await writeMigration(ctx, plan, folder);
    const done = `${style.green('✓')} ${folder}; your own things stay as they are`;
    return output({ ...shown, folder, written: true }, [...before, ...planLines(plan, style), done]);
  }
  if (options.publish !== true) {
    const next =
      plan.moved.length === 0
        ? []
        : [style.dim(`Nothing was changed. hv migrate ${plan.name} --publish --groups … does it.`)];
    return output({ ...shown, dry_run: true, finished }, [
      ...before,
      ...warnings(staying(stay), style),
      ...planLines(plan, style),
      ...next,
    ]);
  }
  return await publish(call, plan, folder, { groups, all: options.all === true });
};

async function publish(
  call: VerbCall,
  plan: Migration,
  folder: string,
  target: { groups?: string[] | undefined; all: boolean },
): Promise<VerbOutput> {
  const { style } = call;
  const done = await migrate(await call.open(), plan, target, { folder, onProgress: publishProgress(call) });
  const to = done.published?.groups.includes('*') === true ? 'every machine' : done.published?.groups.join(', ');
  return output({ name: plan.name, moved: plan.moved, left: plan.left, asks: plan.asks, ...done }, [
    ...planLines(plan, style),
    `${style.green('✓')} ${done.published?.id} is published to ${to} and installed here`,
    `${style.green('✓')} What it replaces is put aside: hv backups restore ${done.backup} brings it back`,
    ...warnings([...staying(done.stay), ...done.warnings], style),
    ...(plan.asks.length === 0
      ? []
      : [`Set ${plan.asks.join(', ')}: claude plugin configure ${plan.name}@collective, on each machine`]),
  ]);
}

const staying = (stay: readonly string[]): string[] => stay.map((what) => `${what} was changed meanwhile and stays`);

function planLines({ name, moved, left }: Migration, style: Style): string[] {
  const lines: string[] = [];
  if (moved.length > 0) {
    const rows = moved.map((m) => [m.kind, clean(m.name), clean(m.becomes)]);
    lines.push(style.bold(`Moves into the plugin ${name}`), table(['KIND', 'NAME', 'AFTERWARDS'], rows, style));
  } else lines.push('Nothing can move into a plugin.');
  if (left.length > 0) {
    const rows = left.map((l) => [l.kind, clean(l.name), clean(l.why)]);
    lines.push(style.bold('Stays'), table(['KIND', 'NAME', 'WHY'], rows, style));
  }
  return lines;
}

const output = (json: unknown, lines: string[]): VerbOutput => ({ json, text: lines.join('\n') });
