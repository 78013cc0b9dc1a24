import { listBackups, restoreBackup } from '../../../client/backups.ts';
import { localEdits, repairPlugin } from '../../../client/install/edits.ts';
import { checkLoaded } from '../../../client/report/loaded.ts';
import { HaiveError } from '../../../domain/errors.ts';
import { parsePluginRef } from '../../../domain/names.ts';
import { clean, type Style, table, warnings } from '../output.ts';
import type { Verb } from '../verb.ts';
import { argument, syncProgress } from './options.ts';
import { surface } from './trust.ts';

export const diff: Verb = async (call) => {
  const { style } = call;
  const [first, second] = call.args;
  if (first !== undefined && second !== undefined) {
    return surface({ ...call, args: betweenVersions(first, second) });
  }
  const result = await localEdits(await call.open(), argument(call, 0, 'plugin'));
  const lines = result.edits.flatMap(({ path, kind, conflict, overlay, diff: text }) => [
    style.bold(`${kind} ${clean(path)}${conflict ? ' (conflict)' : overlay ? ' (overlay of this machine)' : ''}`),
    ...(text === '' ? [style.dim('  not text')] : text.split('\n').map((line) => coloured(line, style))),
  ]);
  const { unexecutable } = result;
  lines.push(...unexecutable.map((path) => style.bold(`not executable any more ${clean(path)}`)));
  if (lines.length === 0) lines.push(`${result.name} ${result.version} is as it was published.`);
  return { json: result, text: lines.join('\n') };
};

/** What a version can do against another, as `hv surface NAME FROM TO` takes it. @throws HaiveError USAGE, NAME_INVALID */
function betweenVersions(first: string, second: string): string[] {
  const [from, to] = [parsePluginRef(first), parsePluginRef(second)];
  if (from.range && to.range && from.name === to.name) return [from.name, from.range, to.range];
  throw new HaiveError('USAGE', 'Two exact versions of one plugin are compared', {
    hint: 'hv diff NAME@1.0.0 NAME@1.1.0',
  });
}

function coloured(line: string, style: Style): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
  const plain = line.replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, '');
  if (plain.startsWith('+')) return style.green(plain);
  return plain.startsWith('-') ? style.red(plain) : plain;
}

export const repair: Verb = async (call) => {
  const [name, ...paths] = call.rest;
  if (name === undefined) throw new HaiveError('USAGE', 'A plugin is missing');
  const keep = call.options.keep === true;
  const result = await repairPlugin(await call.open(), name, paths, { keep, onProgress: syncProgress(call) });
  const { style } = call;
  const done = keep ? 'your edit stays' : 'as published';
  const lines = [
    `${style.green('✓')} ${name} ${result.version}${keep || result.edited.length > 0 ? '' : ' is as it was published'}`,
    ...result.paths.map((path) => `  ${clean(path)}: ${done}`),
    ...(keep ? [] : result.edited.map((path) => style.yellow(`~ ${clean(path)} stays as it was edited here`))),
    ...result.overlaid.map((path) =>
      style.yellow(
        `~ ${clean(path)} is this machine's own (overlay); ${clean(`hv repair ${name} ${path}`)} takes it away`,
      ),
    ),
    ...warnings(result.warnings, style),
  ];
  return { json: result, text: lines.join('\n') };
};

export const backups: Verb = async (call) => {
  const [action = 'list'] = call.args;
  const { style } = call;
  if (action === 'list') {
    const rows = await listBackups(await call.open());
    const text = table(
      ['BACKUP', 'MADE', 'FILES'],
      rows.map((row) => [row.id, row.at, row.files.map(clean).join(', ')]),
      style,
    );
    return { json: rows, text: rows.length === 0 ? 'No backups.' : text };
  }
  if (action === 'restore') {
    const result = await restoreBackup(await call.open(), argument(call, 1, 'backup'));
    const next = result.id.startsWith('edits/') ? 'Run `hv repair NAME` to lay them over the plugin.' : '';
    const lines = result.written.map((path) => `${style.green('✓')} ${path}`);
    lines.push(
      ...warnings(
        (result.stay ?? []).map((path) => `${path} holds something else now and stays`),
        style,
      ),
    );
    return { json: result, text: [...lines, ...(next === '' ? [] : [style.dim(next)])].join('\n') };
  }
  throw new HaiveError('USAGE', `hv backups ${action} is not known`, { hint: 'Use list or restore.' });
};

export const loaded: Verb = async (call) => {
  const { style } = call;
  const result = await checkLoaded(await call.open());
  if (result === null) return { json: null, text: 'Claude Code could not be asked.' };
  const lines = [
    ...result.loaded.map((name) => `${style.green('✓')} ${name} is loaded`),
    ...result.failed.map(({ name, version, errors, backTo, left }) => {
      const then = left ? 'it stays' : backTo === null ? 'it was taken away' : `${backTo} is back`;
      return style.red(`✗ ${name} ${version}: ${clean(errors[0] ?? '')}; ${then}`);
    }),
  ];
  return { json: result, text: lines.join('\n'), exit: result.failed.length > 0 ? 69 : 0 };
};
