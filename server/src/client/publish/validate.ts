import { realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type ErrorCode, HaiveError, toHaiveError } from '../../domain/errors.ts';
import { type Finding, hasErrors, sortFindings } from '../../domain/findings/index.ts';
import { applyPolicy } from '../../domain/findings/policy.ts';
import { unifiedDiff } from '../../domain/merge/text-diff.ts';
import { scanPlugin } from '../../domain/safety/index.ts';
import { translate } from '../../domain/translate/index.ts';
import { validatePlugin } from '../../domain/validate/index.ts';
import { type ContextCost, contextCost } from '../../domain/version/context-cost.ts';
import { packPlugin, type SourceFile } from '../../domain/version/package.ts';
import { writeAtomic } from '../../machine/files/atomic-file.ts';
import type { ClientContext } from '../context.ts';
import { authorPolicy, readAuthorFiles } from './author-files.ts';

export interface ValidateOptions {
  /** Warnings count as errors, as in `claude plugin validate --strict`. */
  strict?: boolean;
  /** Apply what is safe to apply, in place. */
  fix?: boolean;
}

export interface FileFix {
  file: string;
  /** Unified diff, or what was done where no text changed. */
  diff: string;
}

export interface ValidateResult {
  ok: boolean;
  findings: Finding[];
  cost: ContextCost;
  /** What `fix` changed. */
  fixed: FileFix[];
  /** Why publishing would refuse what Claude Code would load; null where it would not, or the findings say so themselves. */
  refused: { code: ErrorCode; message: string } | null;
}

/** All findings on a plugin's files under a policy: validation and safety scan. */
export async function allFindings(ctx: ClientContext, files: readonly SourceFile[]): Promise<Finding[]> {
  const found = [...validatePlugin(files), ...(await scanPlugin(files))];
  return sortFindings(applyPolicy(found, authorPolicy(ctx)));
}

/**
 * Checks a plugin's folder or zip; with `fix`, mends a folder first as far as that is safe.
 * @throws HaiveError NOT_FOUND, USAGE (fix of a zip), PLUGIN_TOO_LARGE, PATH_UNSAFE, ARCHIVE_INVALID, READ_ONLY, DISK_FULL
 */
export async function validateSource(
  ctx: ClientContext,
  path: string,
  options: ValidateOptions = {},
): Promise<ValidateResult> {
  const read = await readAuthorFiles(ctx, path);
  let { files } = read;
  let fixed: FileFix[] = [];
  if (options.fix === true) {
    if (!(await stat(path)).isDirectory()) throw new HaiveError('USAGE', 'Only a folder can be mended, not a zip');
    const mended = mend(files);
    fixed = mended.fixed;
    await writeChanged(ctx, path, files, mended.files);
    files = mended.files;
  }
  const findings = sortFindings([...(await allFindings(ctx, files)), ...applyPolicy(read.findings, authorPolicy(ctx))]);
  const bad = options.strict === true && findings.some((f) => f.severity === 'warning');
  const refused = hasErrors(findings) ? null : refusalOf(ctx, files);
  return { ok: !hasErrors(findings) && !bad, findings, cost: contextCost(files), fixed, refused };
}

function refusalOf(ctx: ClientContext, files: readonly SourceFile[]): ValidateResult['refused'] {
  try {
    packPlugin(files, { maxBytes: ctx.config.plugins.max_plugin_size_mb * 1024 * 1024, now: ctx.clock() });
    return null;
  } catch (thrown) {
    const { code, message } = toHaiveError(thrown);
    return { code, message };
  }
}

/** Translation, line ends of scripts, and the executable bit on those that are run by themselves. */
function mend(given: readonly SourceFile[]): { files: SourceFile[]; fixed: FileFix[] } {
  const before = new Map(given.map((f) => [f.path, f]));
  const found = validatePlugin(given);
  const scripts = new Set(
    found.flatMap((f) => (f.code === 'SCRIPT_NOT_EXECUTABLE' ? [/^Run `chmod \+x ([^`]+)`/.exec(f.fix)?.[1]] : [])),
  );
  const ofWindows = new Set(found.flatMap((f) => (f.code === 'SCRIPT_LINE_ENDS' ? [f.file] : [])));
  const fixed: FileFix[] = [];
  const files = translate(given).files.map((file) => {
    const old = before.get(file.path);
    const runs = scripts.has(file.path) && !file.executable;
    if (old !== undefined && !old.bytes.equals(file.bytes))
      fixed.push({
        file: file.path,
        diff: unifiedDiff(file.path, old.bytes.toString('utf8'), file.bytes.toString('utf8')),
      });
    if (runs) fixed.push({ file: file.path, diff: `chmod +x ${file.path}\n` });
    const mended = runs ? { ...file, executable: true } : file;
    if (!ofWindows.has(file.path)) return mended;
    fixed.push({ file: file.path, diff: `CRLF to LF in ${file.path}\n` });
    // Every byte is a character of latin1.
    return { ...mended, bytes: Buffer.from(file.bytes.toString('latin1').replaceAll('\r\n', '\n'), 'latin1') };
  });
  return { files, fixed };
}

async function writeChanged(
  ctx: ClientContext,
  folder: string,
  before: readonly SourceFile[],
  after: readonly SourceFile[],
): Promise<void> {
  const known = new Map(before.map((f) => [f.path, f]));
  for (const file of after) {
    const old = known.get(file.path);
    if (old === undefined) continue;
    const changed = !old.bytes.equals(file.bytes) || file.executable !== old.executable;
    if (!changed) continue;
    // a link stays one: what it leads to is mended
    const target = await realpath(join(folder, ...file.path.split('/')));
    if (!old.bytes.equals(file.bytes)) await writeAtomic(ctx.machine.port, target, file.bytes);
    if (file.executable && !old.executable) await ctx.machine.port.chmod(target, (await stat(target)).mode | 0o111);
  }
}
