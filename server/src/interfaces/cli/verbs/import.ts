import { type ImportedPlugin, importMarketplace } from '../../../client/import/import.ts';
import { HaiveError } from '../../../domain/errors.ts';
import { leaveGitHook } from '../../environment.ts';
import { clean, type Style } from '../output.ts';
import type { Verb } from '../verb.ts';
import { argument, listOption } from './options.ts';
import { surfaceLines } from './surface-text.ts';

export const importVerb: Verb = async (call) => {
  const source = argument(call, 0, 'source');
  const { publish, groups, all, quiet, only, dryRun, acceptSurface } = call.options;
  if (groups !== undefined && all === true) throw new HaiveError('USAGE', '--groups and --all exclude each other');
  if (publish !== true && (groups !== undefined || all === true))
    throw new HaiveError('USAGE', '--groups and --all want --publish');
  if (publish !== true && acceptSurface === true) throw new HaiveError('USAGE', '--accept-surface wants --publish');
  const accept = acceptSurface === true;
  const target = { groups: listOption(groups, 'groups'), all: all === true, notify: quiet !== true, accept };
  leaveGitHook();
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
      ...report.plugins.flatMap((p) => [
        line(p, dryRun === true, style),
        ...surfaceOf(p, publish === true, style),
        ...(publish === true ? standingOf(p, style) : []),
      ]),
      `${ok ? style.green('✓') : style.yellow('!')} ${sum} (${from})`,
    ].join('\n'),
    exit: ok ? 0 : 65,
  };
};

/** What is accepted with it, under a plugin that is or would be published. */
function surfaceOf({ surface, code }: ImportedPlugin, publish: boolean, style: Style): string[] {
  const isAsked = publish && surface !== null && (code === null || code === 'SURFACE_UNACCEPTED');
  return isAsked ? surfaceLines(surface, style, '    ') : [];
}

/** Why not all that was asked to be published reaches everybody, and who changes that. */
function standingOf({ name, version, held, deprecated }: ImportedPlugin, style: Style): string[] {
  const ref = `${clean(name)}@${version}`;
  const waits = `    … waits for an operator: ${clean(held ?? '')}: hv approve ${ref}`;
  const stays = `    deprecated, and not offered again by importing it: hv deprecate ${ref} --undo`;
  return [...(held === null ? [] : [style.yellow(waits)]), ...(deprecated ? [style.dim(stays)] : [])];
}

function line(plugin: ImportedPlugin, dry: boolean, style: Style): string {
  const { name, version, status, published, changes, warnings, code, message } = plugin;
  const what = `${clean(name)}${version === null ? '' : ` ${version}`}`;
  const notes = [
    ...(published ? ['published'] : []),
    ...(changes > 0 ? [`${changes} translated`] : []),
    ...(warnings > 0 ? [`${warnings} warnings`] : []),
  ];
  const done = dry ? style.dim('would import') : style.green(status);
  const mark = status === 'failed' ? style.red('failed') : status === 'imported' ? done : style.dim(status);
  // Its message would say once more what stands below it.
  const why =
    code === null
      ? ''
      : ` ${code} ${code === 'SURFACE_UNACCEPTED' ? 'accept it with --accept-surface' : clean(message ?? '')}`;
  return `${mark} ${what}${notes.length > 0 ? style.dim(` (${notes.join(', ')})`) : ''}${why}`;
}
