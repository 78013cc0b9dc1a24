import { resolve } from 'node:path';
import { validateSource } from '../../../client/publish/validate.ts';
import { HAIVEMIND_VERSION } from '../../../contract/version.ts';
import { toSarif } from '../../../domain/findings/sarif.ts';
import type { ContextCost } from '../../../domain/version/context-cost.ts';
import { type ScaffoldComponent, scaffold, writeScaffold } from '../../../machine/scaffold/index.ts';
import { clean, type Style, table } from '../output.ts';
import type { Verb } from '../verb.ts';
import { argument, listOption } from './options.ts';
import { findingLines } from './publishing.ts';

export const validate: Verb = async (call) => {
  const { strict, fix, sarif } = call.options;
  const path = resolve(call.cwd, call.args[0] ?? '.');
  const result = await validateSource(await call.open(), path, { strict: strict === true, fix: fix === true });
  const exit = result.ok ? 0 : 65;
  if (sarif === true) {
    const log = toSarif(result.findings, HAIVEMIND_VERSION);
    return { json: log, text: JSON.stringify(log, null, 2), exit };
  }
  const { style } = call;
  const count = (severity: string): number => result.findings.filter((f) => f.severity === severity).length;
  const sum = `${count('error')} errors, ${count('warning')} warnings, ${count('note')} notes`;
  const { refused } = result;
  const loads = refused === null ? style.green('✓ valid') : style.yellow('! loads in Claude Code');
  const head = result.ok ? loads : style.red('✗ not valid');
  const lines = [
    ...result.fixed.map((f) => paintDiff(f.diff, style)),
    ...findingLines(result.findings, style),
    ...costLines(result.cost, style),
    `${head} (${sum})`,
    ...(refused === null ? [] : [style.red(`✗ hv publish refuses it: ${refused.code} ${clean(refused.message)}`)]),
  ];
  return { json: result, text: lines.join('\n'), exit };
};

function paintDiff(diff: string, style: Style): string {
  const paint = (line: string): string => {
    if (/^(---|\+\+\+) /.test(line)) return style.bold(line);
    return line.startsWith('-') ? style.red(line) : line.startsWith('+') ? style.green(line) : line;
  };
  // a diff shows the author's own text: only what steers a terminal is taken out, line by line
  return diff
    .trimEnd()
    .split('\n')
    .map((line) => paint(line.slice(0, 1) + clean(`|${line.slice(1)}`).slice(1)))
    .join('\n');
}

function costLines(cost: ContextCost, style: Style): string[] {
  if (cost.components.length === 0) return [];
  const row = (name: string, always: number, onUse: number): string[] => [name, String(always), String(onUse)];
  const rows = cost.components
    .slice(0, 10)
    .map((c) => row(`${c.kind} ${clean(c.name).slice(0, 60)}`, c.always, c.onUse));
  return [
    table(['context (tokens, about)', 'always', 'on use'], [...rows, row('together', cost.always, cost.onUse)], style),
  ];
}

export const create: Verb = async (call) => {
  const name = argument(call, 0, 'name');
  const { path, with: parts, description, template } = call.options;
  const dir = resolve(call.cwd, path ?? name);
  const files = scaffold(name, {
    components: listOption(parts, 'with') as ScaffoldComponent[] | undefined,
    description,
    template,
  });
  await writeScaffold(dir, files);
  const { style } = call;
  return {
    json: { name, path: dir, files: files.map((f) => f.path) },
    text: [
      `${style.green('✓')} Created ${dir}`,
      ...files.map((f) => `  ${f.path}`),
      style.dim(`Next: hv validate ${path ?? name} · hv publish ${path ?? `./${name}`} --groups …`),
    ].join('\n'),
  };
};
