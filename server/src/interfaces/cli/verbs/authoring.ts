import { resolve } from 'node:path';
import { HaiveError } from '../../../domain/errors.ts';
import { validatePlugin } from '../../../domain/validate/index.ts';
import { readPlugin } from '../../../machine/read-plugin.ts';
import { type ScaffoldComponent, scaffold, writeScaffold } from '../../../machine/scaffold.ts';
import type { Verb } from '../verb.ts';
import { argument, listOption } from './options.ts';
import { findingLines } from './publishing.ts';

export const validate: Verb = async (call) => {
  const { config } = await call.open();
  const maxBytes = config.plugins.max_plugin_size_mb * 1024 * 1024;
  const findings = validatePlugin(await readPlugin(resolve(call.cwd, call.args[0] ?? '.'), { maxBytes }));
  const count = (severity: string): number => findings.filter((f) => f.severity === severity).length;
  const ok = count('error') === 0;
  const sum = `${count('error')} errors, ${count('warning')} warnings, ${count('note')} notes`;
  const head = ok ? call.style.green('✓ valid') : call.style.red('✗ not valid');
  return {
    json: { ok, findings },
    text: [...findingLines(findings, call.style), `${head} (${sum})`].join('\n'),
    exit: ok ? 0 : 65,
  };
};

export const create: Verb = async (call) => {
  const name = argument(call, 0, 'name');
  const { path, components, description, template } = call.options;
  const dir = resolve(call.cwd, path ?? name);
  const files = scaffold(name, {
    components: (listOption(components, 'components') ?? ['commands']) as ScaffoldComponent[],
    ...(description === undefined ? {} : { description }),
    ...(template === undefined ? {} : { template }),
  });
  if (files.length === 0) throw new HaiveError('INTERNAL', 'The template is empty');
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
