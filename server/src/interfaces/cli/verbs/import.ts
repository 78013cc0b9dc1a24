import { type ImportedPlugin, importMarketplace } from '../../../client/import/import.ts';
import { HaiveError } from '../../../domain/errors.ts';
import { clean, type Style } from '../output.ts';
import type { Verb } from '../verb.ts';
import { argument, listOption } from './options.ts';

export const importVerb: Verb = async (call) => {
  const source = argument(call, 0, 'source');
  const { publish, groups, all, quiet, only, dryRun } = call.options;
  if (groups !== undefined && all === true) throw new HaiveError('USAGE', '--groups and --all exclude each other');
  if (publish !== true && (groups !== undefined || all === true))
    throw new HaiveError('USAGE', '--groups and --all want --publish');
  const target = { groups: listOption(groups, 'groups'), all: all === true, notify: quiet !== true };
  const report = await importMarketplace(
    await call.open(),
    source,
    call.cwd,
    { only: listOption(only, 'only'), publish: publish === true ? target : undefined, dryRun: dryRun === true },
    (done, total, name) => call.progress(`${done} of ${total} ${clean(name)}`),
  );
  const ok = report.plugins.every((p) => p.code === null);
  const { style } = call;
  const done = dryRun === true ? 'would be imported' : 'imported';
  const sum = `${report.imported} ${done}, ${report.unchanged} unchanged, ${report.failed} failed`;
  const from = `${clean(report.origin)}${report.commit === null ? '' : ` at ${report.commit.slice(0, 12)}`}`;
  return {
    json: { ok, dry_run: dryRun === true, ...report },
    text: [
      ...report.plugins.map((p) => line(p, style)),
      `${ok ? style.green('✓') : style.yellow('!')} ${sum} (${from})`,
    ].join('\n'),
    exit: ok ? 0 : 65,
  };
};

function line(plugin: ImportedPlugin, style: Style): string {
  const { name, version, status, published, changes, warnings, code, message } = plugin;
  const what = `${clean(name)}${version === null ? '' : ` ${version}`}`;
  const notes = [
    ...(published ? ['published'] : []),
    ...(changes > 0 ? [`${changes} translated`] : []),
    ...(warnings > 0 ? [`${warnings} warnings`] : []),
  ];
  const mark =
    status === 'failed' ? style.red('failed') : status === 'imported' ? style.green(status) : style.dim(status);
  const why = code === null ? '' : ` ${code} ${clean(message ?? '')}`;
  return `${mark} ${what}${notes.length > 0 ? style.dim(` (${notes.join(', ')})`) : ''}${why}`;
}
