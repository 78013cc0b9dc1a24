import { listPlugins, pluginInfo, searchPlugins } from '../../../client/hub/registry.ts';
import { ComponentKind, VersionStatus } from '../../../contract/schemas.ts';
import { clean, shorten, table } from '../output.ts';
import type { Verb } from '../verb.ts';
import { argument, choiceOption, countOption, listOption } from './options.ts';
import { surfaceLines } from './surface-text.ts';

const groupText = (groups: readonly string[]): string => (groups.includes('*') ? 'all' : groups.join(','));

/** An import says its origin percent-encoded. */
function originText(origin: string | null | undefined): string {
  try {
    return decodeURI(origin ?? '');
  } catch {
    return origin ?? '';
  }
}

export const list: Verb = async (call) => {
  const { options, style } = call;
  const { plugins, next } = await listPlugins(await call.open(), {
    installed_only: options.installed === true ? true : undefined,
    machine_group: options.group,
    capability_filter: listOption(options.capabilities, 'capabilities')?.join(','),
    status: choiceOption(options.status, 'status', VersionStatus.options),
    author: options.author,
    component: choiceOption(options.component, 'component', ComponentKind.options),
    limit: countOption(options.limit, 'limit'),
    after: options.after,
  });
  const rows = plugins.map((p) => [
    style.bold(p.name),
    p.version,
    p.status === 'published' ? groupText(p.groups) || '-' : style.yellow(p.status),
    String(p.installed_count),
    shorten(p.description, 60),
  ]);
  const text =
    rows.length === 0
      ? 'No plugin fits.'
      : table(['NAME', 'VERSION', 'GROUPS', 'ON', 'DESCRIPTION'], rows, style) +
        (next === null ? '' : `\n${style.dim(`More: hv list --after ${next}`)}`);
  return { json: { plugins, next }, text };
};

export const search: Verb = async (call) => {
  const { options, style } = call;
  const keywords = listOption(options.keywords, 'keywords');
  const limit = countOption(options.limit, 'limit');
  const group = options.group as string | undefined;
  const component = choiceOption(options.component, 'component', ComponentKind.options);
  const { results, weak, backend, note } = await searchPlugins(await call.open(), {
    search_query: call.rest.join(' '),
    ...(group === undefined ? {} : { machine_group: group }),
    ...(options.author === undefined ? {} : { author: options.author }),
    ...(component === undefined ? {} : { component }),
    ...(options.installed === true ? { installed_only: true } : {}),
    ...(keywords === undefined ? {} : { keywords }),
    ...(limit === undefined ? {} : { limit }),
  });
  const rows = results.map((r) => [
    style.bold(r.name),
    r.version,
    r.score.toFixed(2),
    shorten(r.description, 50),
    style.dim(shorten(r.reason, 60)),
  ]);
  return {
    json: { results, weak, backend, ...(note === undefined ? {} : { note }) },
    text:
      rows.length === 0
        ? 'Nothing fits. Other words may: technical terms, synonyms.'
        : (weak ? `${style.yellow('Nothing fits well; the nearest:')}\n` : '') +
          table(['NAME', 'VERSION', 'SCORE', 'DESCRIPTION', 'WHY'], rows, style),
  };
};

export const info: Verb = async (call) => {
  const { style } = call;
  const p = await pluginInfo(await call.open(), argument(call, 0, 'plugin'));
  const kinds = new Map<string, number>();
  for (const file of p.files) kinds.set(file.type, (kinds.get(file.type) ?? 0) + 1);
  const field = (name: string, value: string): string[] =>
    value === '' ? [] : [`${style.dim(name.padEnd(13))} ${clean(value)}`];
  const needs = p.dependencies.map((d) => `${d.name} ${d.range}${d.kind === 'optional' ? ' (optional)' : ''}`);
  const lines = [
    `${style.bold(p.name)} ${p.version}${p.status === 'published' ? '' : ` ${style.yellow(p.status)}`}`,
    ...(p.description === '' ? [] : [clean(p.description)]),
    ...(p.status_reason ? field(p.status, p.status_reason) : []),
    ...field('id', p.id),
    ...field('author', p.author),
    ...field('publisher', `${p.publisher}${p.imported ? ' (imported by the hub)' : ''}`),
    ...field('from', originText(p.origin)),
    ...field('published to', groupText(p.groups)),
    ...field('may go to', p.machine_groups.join(', ')),
    ...field('capabilities', p.required_capabilities.join(', ')),
    ...field('needs', needs.join(', ')),
    ...field('files', [...kinds].map(([kind, n]) => `${n} ${kind}`).join(', ')),
    ...(p.surface === undefined ? [] : surfaceLines(p.surface, style)),
    ...field('digest', p.digest),
    ...field(
      'versions',
      p.versions.map((v) => (v.status === 'published' ? v.version : `${v.version} (${v.status})`)).join(', '),
    ),
    ...field('installed on', p.installed_on.map((m) => `${m.machine} ${m.version}`).join(', ')),
    ...field(
      'here',
      p.here === null ? 'not installed' : `${p.here.version}${p.here.held ? ' (held by a rollback)' : ''}`,
    ),
  ];
  if (call.options.files === true) {
    const rows = p.files.map((f) => [f.path, f.type, String(f.size), f.executable ? 'x' : '']);
    lines.push('', table(['PATH', 'TYPE', 'BYTES', ''], rows, style));
  }
  return { json: p, text: lines.join('\n') };
};
