import { lstat } from 'node:fs/promises';
import { resolve } from 'node:path';
import semver from 'semver';
import {
  type PublishResult,
  publishFolder,
  publishRegistered,
  type RegisterResult,
  registerPlugin,
} from '../../../client/publish/index.ts';
import { type PublishPreview, previewPublish } from '../../../client/publish/preview.ts';
import type { FirstSurface } from '../../../client/trust/acceptance.ts';
import { HaiveError } from '../../../domain/errors.ts';
import { type Finding, MENDED_BY_PUBLISHING } from '../../../domain/findings/index.ts';
import { parsePluginRef } from '../../../domain/names.ts';
import type { Change } from '../../../domain/translate/index.ts';
import { clean, type Style, shorten } from '../output.ts';
import type { Verb, VerbCall, VerbOutput } from '../verb.ts';
import { argument, listOption, publishProgress } from './options.ts';
import { surfaceLines, withheldLines } from './surface-text.ts';
import { watched } from './watching.ts';

const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );

const looksLikePath = (text: string): boolean => /^[./~]|[\\/]|\.zip$|^[A-Za-z]:/.test(text);

/** What is meant by the argument: a path where it looks like one or lies here, otherwise something registered. */
async function sourceOf(call: VerbCall, text: string): Promise<{ path: string } | { ref: string }> {
  const path = resolve(call.cwd, text);
  if (looksLikePath(text)) return { path };
  if (await exists(resolve(path, '.claude-plugin', 'plugin.json'))) return { path };
  parsePluginRef(text);
  return { ref: text };
}

export const register: Verb = async (call) => {
  const text = argument(call, 0, 'source');
  const source = /^(git\+)?https?:\/\//.test(text) ? { url: text } : { path: resolve(call.cwd, text) };
  const result = await registerPlugin(await call.open(), source, publishProgress(call));
  const said = result.created ? 'Registered' : 'Registered before, the same bytes:';
  return {
    json: result,
    text: [
      `${call.style.green('✓')} ${said} ${result.id}`,
      ...newKeyLines(result, call.style),
      ...changeSummary(result.changes, call.style),
      ...findingLines(result.findings.filter(leftToAuthor), call.style),
      call.style.dim(nextStep(result)),
    ].join('\n'),
  };
};

function nextStep({ name, version, status, may_publish }: RegisterResult): string {
  if (may_publish) return `Publish it with: hv publish ${name}@${version} --groups …`;
  return status === 'registered'
    ? `It waits for an operator, who looks at it with: hv review ${name}@${version}`
    : `It is ${status}.`;
}

export const publish: Verb = async (call) => {
  if (call.options.watch !== true) return publishOnce(call);
  if (call.options.dryRun === true) throw new HaiveError('USAGE', '--watch and --dry-run exclude each other');
  return watched(call, publishOnce);
};

async function publishOnce(call: VerbCall): Promise<VerbOutput> {
  const ctx = await call.open();
  const source = await sourceOf(call, argument(call, 0, 'plugin'));
  const { groups, all, quiet, dryRun, acceptSurface } = call.options;
  if (groups !== undefined && all === true) throw new HaiveError('USAGE', '--groups and --all exclude each other');
  const accept = acceptSurface === true || (dryRun === true ? undefined : askAcceptance(call));
  const target = { groups: listOption(groups, 'groups'), all: all === true, notify: quiet !== true, accept };
  if ('ref' in source) {
    const result = await publishRegistered(ctx, source.ref, target, dryRun === true);
    return {
      json: dryRun === true ? { ...result, dry_run: true } : result,
      text: publishedText(result, call.style, dryRun === true),
    };
  }
  if (dryRun === true) {
    const preview = await previewPublish(ctx, source.path, target);
    return { json: preview, text: previewText(preview, call.style) };
  }
  const result = await publishFolder(ctx, source.path, target, publishProgress(call));
  return {
    json: result,
    text: [
      publishedText(result, call.style, false),
      ...newKeyLines(result, call.style),
      ...changeSummary(result.changes, call.style),
      ...findingLines(result.findings.filter(leftToAuthor), call.style),
    ].join('\n'),
  };
}

/** Shows the first surface of a plugin that declares nothing and asks; undefined where nobody can answer. */
function askAcceptance(call: VerbCall): ((first: FirstSurface) => Promise<boolean>) | undefined {
  const { confirm, style } = call;
  if (confirm === undefined) return undefined;
  return ({ name, version, surface }) => {
    call.progress('');
    const lines = [
      `${style.bold(`${name} ${version}`)} declares nothing; on every machine that gets it, it has:`,
      ...surfaceLines(surface, style),
      'Publish it with that, as its declaration?',
    ];
    return confirm(lines.join('\n'));
  };
}

function publishedText(
  result: Pick<
    PublishResult,
    'name' | 'version' | 'groups' | 'machines' | 'instead' | 'held' | 'withheld' | 'changed_key' | 'revoked_content'
  >,
  style: Style,
  dry: boolean,
): string {
  if (result.held !== undefined) {
    const { reason, added, code } = result.held;
    return [
      style.yellow(`… ${result.name} ${result.version} waits for an operator: ${clean(reason)}`),
      ...surfaceLines(added, style, '  + '),
      ...code.map((path) => `  ~ ${clean(path)}`),
      style.dim(`An operator lets it go with: hv approve ${result.name}@${result.version}`),
      ...revokedContentLines(result, style),
    ].join('\n');
  }
  const to = result.groups.includes('*') ? 'everybody' : result.groups.join(', ');
  const head = dry ? style.dim('would publish') : `${style.green('✓')} Published`;
  const said = `${head} ${style.bold(`${result.name} ${result.version}`)} to ${to}: ${reachText(result)}`;
  return [
    said,
    ...withheldLines(result.withheld, `${result.name}@${result.version}`, style),
    ...changedKeyLines(result, style),
    ...revokedContentLines(result, style),
  ].join('\n');
}

function revokedContentLines(
  { name, version, revoked_content: revoked }: Pick<PublishResult, 'name' | 'version' | 'revoked_content'>,
  style: Style,
): string[] {
  if (revoked === undefined) return [];
  return [
    style.yellow(`! it has the content of ${name} ${revoked.version}, which was revoked: ${clean(revoked.reason)}`),
    style.dim(`  If that is not meant: hv revoke ${name}@${version}`),
  ];
}

function changedKeyLines({ name, changed_key }: Pick<PublishResult, 'name' | 'changed_key'>, style: Style): string[] {
  if (changed_key === undefined) return [];
  const { keyid, before, version } = changed_key;
  return [
    style.yellow(
      `! it is signed by ${keyid}, ${name} ${version} by ${before}: machines that know that key refuse this one`,
    ),
    style.dim(`  until somebody runs there: hv trust add ${name} ${keyid}`),
    style.dim(
      '  Publish with the key of before (~/.haivemind/keys/publisher.pem); `hv trust rotate` where it lies changes it everywhere.',
    ),
  ];
}

function newKeyLines({ new_key: made }: Pick<RegisterResult, 'new_key'>, style: Style): string[] {
  if (made === undefined) return [];
  return [
    style.yellow(`! a key was made to sign it: ${made.file}`),
    style.dim('  Back it up: machines that have this version take later ones signed by it, and by no other.'),
  ];
}

function reachText({
  version,
  machines,
  instead = [],
}: Pick<PublishResult, 'version' | 'machines' | 'instead'>): string {
  if (instead.length === 0) return machines.length === 0 ? 'no machine fits yet' : machineText(machines);
  const others = instead.map((other) => {
    const why = semver.gt(other.version, version) ? ', which is newer' : '';
    return `${machineText(other.machines)} should have ${other.version}${why}`;
  });
  return [machines.length === 0 ? 'no machine gets it' : machineText(machines), ...others].join('; ');
}

function machineText(machines: readonly string[]): string {
  const some = machines.slice(0, 6).join(', ');
  return `${machines.length} machine${machines.length === 1 ? '' : 's'} (${some}${machines.length > 6 ? ', …' : ''})`;
}

function previewText(preview: PublishPreview, style: Style): string {
  const { difference, machines } = preview;
  const { name, version, groups } = preview;
  const lines = [
    groups.length === 0
      ? style.yellow(`! ${name} ${version} names no target: publish it with --groups a,b or --all`)
      : publishedText({ ...preview, machines: machines ?? [] }, style, true),
    ...(machines === null ? [style.yellow('! this hub is older than `hv` and cannot tell which machines')] : []),
    ...(preview.may_be_held === true
      ? [style.dim('Where it does more than the version before, it waits for an operator (`hv approve`).')]
      : []),
    ...(preview.surface === undefined ? [] : surfaceLines(preview.surface, style)),
    ...(preview.must_accept
      ? [style.yellow('! it declares nothing: publish with --accept-surface, or declare this as haivemind.permissions')]
      : []),
    style.dim(`digest ${preview.digest}`),
    ...changeLines(preview.changes, style),
    ...findingLines(preview.findings.filter(leftToAuthor), style),
  ];
  if (difference === null) lines.push('The registry has no version of it yet.');
  else {
    const rows = [
      ...difference.added.map((path) => `  ${style.green('+')} ${path}`),
      ...difference.changed.map((path) => `  ${style.yellow('~')} ${path}`),
      ...difference.removed.map((path) => `  ${style.red('-')} ${path}`),
    ];
    lines.push(`Against ${difference.against}:`, ...(rows.length === 0 ? ['  the same files'] : rows));
  }
  return lines.join('\n');
}

/** Findings that translation does not mend: those it does are among the changes. */
const leftToAuthor = (finding: Finding): boolean => finding.fix !== MENDED_BY_PUBLISHING;

function changeSummary(changes: readonly Change[], style: Style): string[] {
  if (changes.length === 0) return [];
  const files = [...new Set(changes.map((c) => c.file))];
  const where = `${changes.length} place${changes.length === 1 ? '' : 's'} in ${shorten(files.join(', '), 120)}`;
  return [style.dim(`Translated to what Claude Code loads: ${where}. \`hv publish DIR --dry-run\` shows each.`)];
}

function changeLines(changes: readonly Change[], style: Style): string[] {
  if (changes.length === 0) return [];
  const lines = ['Translated to what Claude Code loads:'];
  for (const change of changes) {
    lines.push(`  ${change.file}: ${clean(change.why)}`);
    if (change.before !== '') lines.push(style.red(`    - ${shorten(change.before, 160)}`));
    if (change.after !== '') lines.push(style.green(`    + ${shorten(change.after, 160)}`));
  }
  return lines;
}

/** Findings as `file:line severity CODE message (fix)`. */
export function findingLines(findings: readonly Finding[], style: Style): string[] {
  return findings.map((f) => {
    const where = `${f.file || 'plugin'}${f.line === null ? '' : `:${f.line}`}`;
    const paint = f.severity === 'error' ? style.red : f.severity === 'warning' ? style.yellow : style.dim;
    return `${where} ${paint(f.severity)} ${f.code} ${clean(f.message)}${f.fix === '' ? '' : style.dim(` (${clean(f.fix)})`)}`;
  });
}
