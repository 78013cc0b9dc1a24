import type { SyncResult } from './index.ts';

const list = (items: readonly string[]): string =>
  items.length <= 4 ? items.join(', ') : `${items.slice(0, 3).join(', ')} and ${items.length - 3} more`;

/**
 * What a sync means to a person, as one line: what arrived or waits, and what to type. Null when there is nothing to say.
 */
export function describeSync(result: SyncResult): string | null {
  const parts: string[] = [];
  const { installed, updated, reinstalled, removed } = result.changed;
  const arrived = [
    ...installed.map((p) => `${p.name} ${p.version}`),
    ...updated.map((p) => `${p.name} ${p.from} → ${p.to}`),
    ...reinstalled.map((p) => `${p.name} ${p.version} again`),
  ];
  if (result.revoked.length > 0) {
    const what = result.revoked.map((r) => `${r.name} ${r.version} (${r.reason})`);
    parts.push(`REVOKED and unloaded: ${list(what)}; end and restart open sessions`);
  }
  const would = result.dryRun ? 'would be ' : '';
  if (arrived.length > 0) parts.push(`${would}installed: ${list(arrived)}`);
  if (removed.length > 0) parts.push(`${would}removed: ${list(removed)}`);
  const { switched } = result;
  if (switched !== null) parts.push(`${would}moved: all plugins, from the layout ${switched.from} to ${switched.to}`);
  if (result.reloadNeeded && (arrived.length > 0 || removed.length > 0 || switched !== null)) {
    parts.push('/reload-plugins brings it into an open session');
  }
  const waiting = result.waiting.filter((w) => w.why === 'policy' && w.to !== null && w.notify);
  if (waiting.length > 0) {
    const what = waiting.map((w) => (w.from === null ? `${w.name} ${w.to}` : `${w.name} ${w.from} → ${w.to}`));
    parts.push(`waiting: ${list(what)} (type /hv-sync or run \`hv sync\` to install)`);
  }
  const conflicts = result.edits.filter((e) => e.outcome === 'conflict');
  if (conflicts.length > 0) {
    const files = conflicts.map((e) => `${e.name}/${e.path}`);
    parts.push(`your edits stay, the new file lies beside: ${list(files)}`);
  }
  if (result.problems.length > 0) {
    parts.push(`not possible: ${list(result.problems.map((p) => `${p.name} (${p.code})`))}; see \`hv status\``);
  }
  if (result.expired !== null) parts.push(`${result.expired} \`hv doctor\` says more`);
  const { layoutRefused } = result;
  if (layoutRefused !== null) parts.push(`the layout stays as it is (${layoutRefused.code}); see \`hv status\``);
  return parts.length === 0 ? null : `hAIveMind: ${parts.join(' · ')}`;
}

export interface HookOutput {
  /** Shown to the user. */
  systemMessage: string;
  /** Given to the model. */
  hookSpecificOutput: { hookEventName: 'SessionStart'; additionalContext: string };
}

/** The SessionStart hook's output for a line; undefined when there is nothing to say. */
export function hookOutput(line: string | null): HookOutput | undefined {
  if (line === null) return undefined;
  return { systemMessage: line, hookSpecificOutput: { hookEventName: 'SessionStart', additionalContext: line } };
}
