import { toHaiveError } from '../errors.ts';
import { type Finding, MENDED_BY_PUBLISHING, sortFindings } from '../findings/index.ts';
import { checkPath, checkPathSet } from '../safe-path.ts';
import { translate } from '../translate/index.ts';
import type { SourceFile } from '../version/package.ts';
import { validateComponents } from './components.ts';
import { validateHooks } from './hooks.ts';
import { checkLfsPointers } from './lfs-pointers.ts';
import { checkLineEnds } from './line-ends.ts';
import { validateManifest } from './manifest.ts';
import { validateServers } from './mcp.ts';
import { checkNamesClaimed } from './names-claimed.ts';
import { Subject } from './subject.ts';
import { checkUnsatisfiable } from './unsatisfiable.ts';

const CHECKS = [
  validatePaths,
  validateManifest,
  checkUnsatisfiable,
  validateHooks,
  validateServers,
  validateComponents,
  checkNamesClaimed,
  checkLineEnds,
  checkLfsPointers,
];

/**
 * Says what is wrong with a plugin as its author has it, errors first. Never throws. An error is what Claude Code
 * refuses, or what makes a component not work; what translation mends is a warning.
 * @param translated what `translate` makes of the files, for whoever has it already
 */
export function validatePlugin(files: readonly SourceFile[], translated = translate(files)): Finding[] {
  const given = inspect(files);
  if (translated.changes.length === 0) return sortFindings(given);
  const after = new Set(inspect(translated.files).map(identity));
  const findings = given.map((finding): Finding => {
    if (finding.severity === 'note' || after.has(identity(finding))) return finding;
    return { ...finding, severity: 'warning', fix: MENDED_BY_PUBLISHING };
  });
  return sortFindings(findings);
}

/** The same finding on another line is still the same. */
function identity(finding: Finding): string {
  return JSON.stringify([finding.code, finding.file, finding.message]);
}

function inspect(files: readonly SourceFile[]): Finding[] {
  const subject = new Subject(files);
  for (const check of CHECKS) {
    try {
      check(subject);
    } catch (thrown) {
      const message = `The check stopped: ${toHaiveError(thrown).message}`;
      subject.error(
        'VALIDATION_FAILED',
        '',
        undefined,
        message,
        'Report this; the plugin may be nested or sized beyond reason.',
      );
    }
  }
  return subject.findings;
}

function validatePaths(subject: Subject): void {
  const paths: string[] = [];
  for (const path of subject.files.keys()) {
    try {
      paths.push(checkPath(path));
    } catch (thrown) {
      const error = toHaiveError(thrown);
      subject.registryRule(error.code, path, undefined, error.message, error.hint);
    }
  }
  try {
    checkPathSet(paths);
  } catch (thrown) {
    const error = toHaiveError(thrown);
    subject.registryRule(error.code, '', undefined, error.message, error.hint);
  }
}
