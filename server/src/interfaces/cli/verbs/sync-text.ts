import compare from 'semver/functions/compare.js';
import type { SyncResult } from '../../../client/sync/index.ts';
import { leavingText, problemText } from '../../../client/sync/result.ts';
import { toHaiveError } from '../../../domain/errors.ts';
import { clean, type Style, warnings } from '../output.ts';

/** A sync's result as lines for people. */
export function syncLines(result: SyncResult, style: Style): string[] {
  const { installed, updated, reinstalled, removed } = result.changed;
  const mark = result.dryRun ? style.dim('would ') : '';
  const lines = [
    ...installed.map((p) => `${mark}${style.green('+')} ${p.name} ${p.version}`),
    ...updated.map(
      (p) => `${mark}${compare(p.to, p.from) < 0 ? style.yellow('↓') : style.green('↑')} ${p.name} ${p.from} → ${p.to}`,
    ),
    ...reinstalled.map((p) => `${mark}${style.green('=')} ${p.name} ${p.version} (again)`),
    ...removed.map((name) => `${mark}${style.red('-')} ${name}`),
  ];
  const { switched } = result;
  if (switched !== null) lines.push(`${mark}${style.green('=')} all plugins: layout ${switched.from} → ${switched.to}`);
  for (const { name, version, reason, ended, folder } of result.revoked) {
    const processes = ended === 0 ? '' : `, ${ended} process${ended === 1 ? '' : 'es'} ended`;
    lines.push(style.red(`✗ ${name} ${version} was revoked (${clean(reason)})${processes}; it lies in ${folder}`));
  }
  if (result.revoked.length > 0) lines.push(style.red('End and restart open sessions: they may have it in memory.'));
  for (const wait of result.waiting) {
    const from = wait.from === null ? 'not installed' : wait.from;
    const detail = wait.why === 'policy' ? 'waits; `hv sync` installs it' : clean(wait.detail);
    lines.push(`${style.yellow('…')} ${wait.name} ${from} → ${wait.to ?? 'removed'}: ${detail}`);
  }
  const { problems, layoutRefused } = result;
  for (const problem of layoutRefused === null ? problems : [...problems, layoutRefused]) {
    lines.push(style.red(`! ${clean(problemText(problem))}`));
  }
  for (const edit of result.edits) {
    lines.push(style.yellow(`~ ${edit.name}/${clean(edit.path)}: ${EDIT_TEXT[edit.outcome]}`));
  }
  lines.push(...warnings([...result.warnings, ...result.leaving.map(leavingText)], style));
  if (lines.length === 0) lines.push('In step with the hub.');
  if (result.reloadNeeded) lines.push(style.dim('Open sessions take it up with /reload-plugins.'));
  return lines;
}

const EDIT_TEXT = {
  kept: 'your edit stays',
  merged: 'your edits were merged with the new version',
  conflict: 'your file stays, the new one lies beside it as .hv-new',
  overlaid: "this machine's own file (overlay) lies on the published one; see hv diff",
  returned: 'you had deleted it; the new version changed it, so it is back',
};

/** The same as JSON. */
export function syncJson(result: SyncResult): Record<string, unknown> {
  const { changed, waiting, problems, warnings: notes, edits, notModified, reloadNeeded, dryRun, counter } = result;
  return {
    changed,
    waiting: waiting.map(({ name, from, to, why, detail }) => ({ name, from, to, why, detail })),
    problems,
    layout_refused: result.layoutRefused,
    layout_switched: result.switched,
    warnings: notes,
    edits,
    leaving: result.leaving,
    revoked: result.revoked,
    not_modified: notModified,
    reload_needed: reloadNeeded,
    dry_run: dryRun,
    counter,
  };
}

/** An error inside a result that is itself no failure. */
export function errorJson(thrown: unknown): { code: string; message: string; hint: string } {
  const { code, message, hint } = toHaiveError(thrown);
  return { code, message, hint };
}
