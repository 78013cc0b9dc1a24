import { adviceBeside } from '../../../client/advice.ts';
import { runDoctor } from '../../../client/doctor/doctor.ts';
import { machineStatus, type StatusResult, type StatusRow } from '../../../client/status.ts';
import { LAYOUT_KEY } from '../../../client/sync/layout-wish.ts';
import { problemText } from '../../../client/sync/result.ts';
import { clean, type Style, table, warnings } from '../output.ts';
import type { Verb } from '../verb.ts';
import { statusOfFleet } from './fleet-status.ts';
import { syncProgress } from './options.ts';
import { adviceLines } from './recommend.ts';

export const status: Verb = async (call) => {
  const { style } = call;
  const { machine: named, fleet, outOfStep } = call.options;
  if (named !== undefined || fleet === true || outOfStep === true) return statusOfFleet(call);
  const ctx = await call.open();
  const result = await machineStatus(ctx, call.args[0]);
  const whole = call.args[0] === undefined && result.hub?.reachable === true && result.hub.error === null;
  const advice = whole ? await adviceBeside(ctx) : null;
  const { machine, hub, plugins, problems } = result;
  const lines: string[] = [];
  if (machine === null) lines.push('This machine has not joined a hub.', style.dim('Join with: hv join URL --token T'));
  else {
    const groups = machine.groups.length === 0 ? '' : ` (${machine.groups.join(', ')})`;
    lines.push(
      `${style.bold(machine.name)}${groups} · ${linkText(hub, style)} · ${result.in_step ? style.green('in step') : style.yellow('not in step')}`,
    );
    if (hub?.reachable === true && hub.error !== null) lines.push(style.red(`! ${clean(hub.error)}`));
    const { layout, layout_wanted: next } = result;
    const refused = problems.some((problem) => problem.name === LAYOUT_KEY);
    if (layout !== next && !refused) lines.push(`layout ${layout}; \`hv sync\` goes over to ${next}`);
  }
  if (plugins.length > 0) {
    const rows = plugins.map((row) => [row.name, row.version, paint(row, style), note(row)]);
    lines.push(table(['PLUGIN', 'VERSION', 'STATE', ''], rows, style));
  } else if (machine !== null) lines.push('No plugins.');
  for (const row of plugins) {
    for (const { path, take_published, keep_mine } of row.conflicts) {
      lines.push(style.yellow(`! ${row.name}/${clean(path)}: an update met your edit; both are kept`));
      lines.push(
        style.dim(`  ${clean(keep_mine)}   (yours stays)   or   ${clean(take_published)}   (the published one)`),
      );
    }
  }
  if (call.args[0] !== undefined) {
    for (const row of plugins) {
      for (const path of row.edited) lines.push(style.yellow(`~ ${path} was edited here`));
      for (const path of row.overlaid) lines.push(style.yellow(`~ ${clean(path)} is this machine's own (overlay)`));
      for (const path of row.missing) lines.push(style.red(`- ${path} is gone`));
      for (const path of row.unexecutable) lines.push(style.red(`! ${clean(path)} is not executable any more`));
      if (row.previous.length > 0) lines.push(style.dim(`rollback can go to: ${row.previous.join(', ')}`));
    }
  }
  lines.push(...warnings(problems.map(problemText), style), ...adviceLines(advice, style));
  const { recommendations = [], unused = [], popular = [] } = advice ?? {};
  return {
    json: { ...result, recommendations, unused, popular, machine: machine?.name ?? null, machine_details: machine },
    text: lines.join('\n'),
  };
};

function linkText(hub: StatusResult['hub'], style: Style): string {
  if (hub?.reachable !== true) return style.yellow(`${hub?.url ?? 'no hub'} does not answer`);
  if (hub.error === null) return hub.url;
  const what = hub.error.startsWith('TOKEN_INVALID') ? "refuses this machine's token" : 'cannot be followed';
  return style.red(`${hub.url} ${what}`);
}

function paint(row: StatusRow, style: Style): string {
  if (row.state === 'verified' || row.state === 'loaded') return style.green(row.state);
  return row.state === 'failed' || row.state === 'missing' || row.state === 'damaged'
    ? style.red(row.state)
    : style.yellow(row.state);
}

const shownText = (from: string): string => `shown from ${clean(from)} by \`hv dev\` (\`hv dev --stop\` ends it)`;

function note(row: StatusRow): string {
  const parts = [
    ...(row.shown_from === null ? [] : [shownText(row.shown_from)]),
    ...(row.held ? ['held by a rollback'] : []),
    ...(row.pinned ? [`pinned; \`hv install ${row.name}\` frees it`] : []),
    ...(row.available !== null && row.state !== 'waiting' ? [`${row.available} waits`] : []),
    ...(row.edited.length > 0 ? [`${row.edited.length} file(s) edited here`] : []),
    ...(row.overlaid.length > 0 ? [`${row.overlaid.length} file(s) of this machine's overlay`] : []),
    ...(row.missing.length > 0 ? [`${row.missing.length} file(s) gone`] : []),
    ...(row.unexecutable.length > 0
      ? [`${row.unexecutable.length} file(s) not executable any more; \`hv repair ${row.name}\` mends it`]
      : []),
    ...(row.error === null ? [] : [`${row.error.code}: ${clean(row.error.message)}`]),
    ...(row.notice === null ? [] : [clean(row.notice)]),
  ];
  return parts.join('; ');
}

export const doctor: Verb = async (call) => {
  const { style } = call;
  const fix = call.options.fix === true;
  const { ok, checks, fixed, failed } = await runDoctor(await call.open(), { fix, onProgress: syncProgress(call) });
  const advice = (fix: string): string => (fix === '' ? '' : style.dim(` → ${clean(fix)}`));
  const mark = { ok: style.green('✓'), warn: style.yellow('!'), fail: style.red('✗') };
  const lines = [
    ...fixed.map((text) => `${style.green('fixed')} ${clean(text)}`),
    ...failed.map(({ message, fix }) => `${style.red('failed')} ${clean(message)}${advice(fix)}`),
    ...checks.map((c) => `${mark[c.result]} ${c.check}: ${clean(c.message)}${advice(c.fix)}`),
  ];
  return { json: { ok, checks, fixed, failed }, text: lines.join('\n'), exit: ok ? 0 : 1 };
};
