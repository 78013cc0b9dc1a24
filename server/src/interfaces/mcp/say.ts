import type { Advice } from '../../client/advice.ts';
import type { PluginInfo } from '../../client/hub/registry.ts';
import type { InstallResult } from '../../client/install/index.ts';
import type { RemoveResult } from '../../client/install/remove.ts';
import type { RollbackResult } from '../../client/install/rollback.ts';
import type { StatusResult } from '../../client/status.ts';
import type { SyncResult } from '../../client/sync/index.ts';
import { describeSync } from '../../client/sync/notice.ts';
import { problemText } from '../../client/sync/result.ts';
import type { Reply } from '../../contract/endpoints.ts';

/** The text of each answer: short, for a model that reads it to a person. The same facts travel as data beside it. */

const MAX_ROWS = 50;
const RELOAD = 'Type /reload-plugins to use it in this session.';
const UNLOAD = 'Type /reload-plugins so that this session lets go of it too.';

/** A line each, cut where there are too many. */
export function rows(lines: readonly string[]): string {
  const shown = lines.slice(0, MAX_ROWS);
  const left = lines.length - shown.length;
  return [...shown, ...(left > 0 ? [`… and ${left} more`] : [])].join('\n');
}

const plugin = (p: Reply<'list'>['plugins'][number]): string => {
  const status = p.status === 'published' ? '' : ` [${p.status}]`;
  return `${p.name} ${p.version}${status}: ${p.description}`;
};

export function list(plugins: Reply<'list'>['plugins'], more: boolean): string {
  if (plugins.length === 0) return 'No plugin fits.';
  return `${rows(plugins.map(plugin))}${more ? '\nThere are more; raise `limit` or search.' : ''}`;
}

export function found(results: Reply<'search'>['results'], words: string, weak: boolean): string {
  if (results.length === 0) return `Nothing found for "${words}". Try other keywords and synonyms.`;
  const head = weak ? 'Nothing fits well; the nearest (other keywords may find more):\n' : '';
  return head + rows(results.map((hit) => `${plugin(hit)}${hit.reason === '' ? '' : ` (${hit.reason})`}`));
}

export function info(p: PluginInfo): string {
  const needs = p.dependencies.map((d) => `${d.name}@${d.range}${d.kind === 'optional' ? ' (optional)' : ''}`);
  const lines = [
    `${p.name} ${p.version} (${p.status}), by ${p.author}: ${p.description}`,
    `published to: ${p.groups.includes('*') ? 'every machine' : p.groups.join(', ') || 'nobody'}`,
    ...(p.required_capabilities.length === 0 ? [] : [`needs capabilities: ${p.required_capabilities.join(', ')}`]),
    ...(needs.length === 0 ? [] : [`needs plugins: ${needs.join(', ')}`]),
    `files: ${p.files.length}; versions: ${p.versions
      .slice(0, 10)
      .map((v) => v.version)
      .join(', ')}`,
    `installed on ${p.installed_on.length} machines; here: ${p.here?.version ?? 'not installed'}`,
  ];
  return lines.join('\n');
}

export function status(s: StatusResult): string {
  if (s.machine === null)
    return 'This machine has joined no hub: paste the join line that the hub prints at its start.';
  const refuses = s.hub?.error == null ? '' : ` The hub answers, and cannot be followed: ${s.hub.error}`;
  const away = s.hub?.reachable === false ? ` The hub is away (${s.hub.error ?? 'no answer'}).` : refuses;
  const head = `${s.machine.name}: ${s.plugins.length} plugins, ${s.in_step ? 'in step' : 'not in step'}.${away}`;
  const lines = s.plugins.map((p) => {
    const notes = [
      ...(p.shown_from === null ? [] : [`shown from ${p.shown_from} by \`hv dev\`; \`hv dev --stop\` ends it`]),
      ...(p.available === null ? [] : [`${p.available} is available`]),
      ...(p.held ? ['held by a rollback'] : []),
      ...(p.pinned ? ['pinned; installing it without a version frees it'] : []),
      ...(p.edited.length === 0 ? [] : [`${p.edited.length} files edited`]),
      ...(p.missing.length === 0 ? [] : [`${p.missing.length} files missing`]),
      ...(p.unexecutable.length === 0 ? [] : [`not executable any more: ${p.unexecutable.join(', ')}`]),
      ...(p.notice === null ? [] : [p.notice]),
      ...(p.error === null ? [] : [`${p.error.code}: ${p.error.message}`]),
    ];
    return `${p.name} ${p.version} ${p.state}${notes.length === 0 ? '' : ` (${notes.join(', ')})`}`;
  });
  const problems = s.problems.map(problemText);
  return [head, rows([...lines, ...problems])].filter((part) => part !== '').join('\n');
}

/** Machines as they last reported, those that are not in step in detail. */
export function fleet(machines: Reply<'fleet'>['machines']): string {
  const behind = machines.filter((m) => !m.in_step);
  const lines = behind.slice(0, 50).map((m) => {
    const off = m.plugins.filter((p) => p.drift || p.state === 'failed');
    const what = off.map((p) => {
      const why = p.error === null ? '' : `, ${p.error.code}: ${p.error.message}`;
      return `${p.name} ${p.installed ?? 'absent'} of ${p.desired ?? 'none'} (${p.state}${why})`;
    });
    const refused = m.refused ? [`follows no plan of this hub: ${m.refused.code}: ${m.refused.message}`] : [];
    const problems = [...refused, ...m.problems.map((p) => `${p.name}: ${p.code}: ${p.message}`)];
    return `${m.name}, ${m.online ? 'online' : `last seen ${m.last_seen ?? 'never'}`}: ${[...what, ...problems].join('; ')}`;
  });
  return [`${machines.length} machines, ${behind.length} not in step.`, rows(lines)]
    .filter((part) => part !== '')
    .join('\n');
}

export function why(w: {
  name: string;
  machine: string;
  wanted: string | null;
  installed: string | null;
  reasons: string[];
}): string {
  const head = `${w.name} on ${w.machine}: ${w.wanted === null ? 'not wanted' : `wanted ${w.wanted}`}, installed ${w.installed ?? 'none'}.`;
  return [head, ...w.reasons.map((reason) => `- ${reason}`)].join('\n');
}

/** What a sync did, as every tool that changes this machine answers it; nothing for calls about other machines. */
export function applied(result: SyncResult | null) {
  return {
    installed: result === null ? [] : [...result.changed.installed, ...result.changed.reinstalled],
    updated: result?.changed.updated ?? [],
    removed: result?.changed.removed ?? [],
    waiting: (result?.waiting ?? []).map(({ name, from, to, why }) => ({ name, from, to, why })),
    edit_conflicts: (result?.edits ?? []).filter((e) => e.outcome === 'conflict').map((e) => `${e.name}/${e.path}`),
    problems:
      result === null ? [] : [...result.problems, ...(result.layoutRefused === null ? [] : [result.layoutRefused])],
    warnings: result?.warnings ?? [],
    reload_needed: result?.reloadNeeded ?? false,
  };
}

export function synced(result: SyncResult): string {
  const line =
    describeSync(result) ?? (result.dryRun ? 'Nothing would change.' : 'Nothing to do: this machine is in step.');
  return [line, ...result.warnings].join('\n');
}

export function installed({ name, machines, warnings, sync }: InstallResult): string {
  const alone = machines.length === 1 && machines[0]?.problem === null && sync !== null;
  const lines = machines.map((m) => `${m.machine}: ${m.problem ?? m.version ?? 'nothing'}`);
  const told = alone ? [] : [`${name} goes to ${machines.length} machines`, rows(lines)];
  const said = sync === null ? '' : synced(sync);
  return [...told, said, ...warnings.filter((one) => !said.includes(one))].filter((part) => part !== '').join('\n');
}

export function removed(result: RemoveResult): string {
  const here = result.removed.length === 0 ? '' : ` Gone from this machine: ${result.removed.join(', ')}. ${UNLOAD}`;
  const told = result.machines.length === 0 ? '' : ` Machines: ${result.machines.join(', ')}.`;
  const along = result.along.length === 0 ? '' : ` With it: ${result.along.join(', ')}.`;
  return [`${result.name} was removed.${along}${here}${told}`, ...result.warnings].join('\n');
}

export function rolledBack(result: RollbackResult): string {
  const hub = result.hubTold ? '' : ' The hub is away and is told with the next sync.';
  const head = `${result.name} ${result.from} → ${result.to}, held there until it is installed again.${hub} ${RELOAD}`;
  return [head, ...result.warnings].join('\n');
}

export function created(path: string, files: readonly string[]): string {
  return `Made ${path}\n${rows(files)}\nEdit the files, then register_plugin and publish_plugin.`;
}

export function recommended(advised: Advice): string {
  const head =
    advised.recommendations.length === 0
      ? ['Nothing to recommend.']
      : advised.weak
        ? ['Nothing fits well; the nearest:']
        : [];
  return [...head, advice(advised)].filter((part) => part !== '').join('\n');
}

export function advice({ recommendations, unused, popular }: Advice): string {
  const lines = [
    ...recommendations.map((r) => `recommended: ${plugin(r)} (${r.reason})`),
    ...unused.map((u) => `unused: ${u.name} ${u.text}`),
    ...(popular.length === 0
      ? []
      : [`most used: ${popular.map((p) => `${p.name} on ${p.machines} machines`).join(', ')}`]),
  ];
  return rows(lines);
}
