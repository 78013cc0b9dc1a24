import { intersects, minVersion, Range } from 'semver';
import { isJsonObject } from '../json/read.ts';
import { MANIFEST_PATH } from '../version/file-types.ts';
import type { Dependency } from '../version/manifest.ts';
import { parseManifest } from '../version/manifest.ts';
import type { Subject } from './subject.ts';

/** Dependencies that no registry can satisfy: on an empty range, on two ranges that exclude each other. */
export function checkUnsatisfiable(subject: Subject): void {
  const { manifest } = subject;
  if (!isJsonObject(manifest) || manifest.name === undefined) return;
  let dependencies: Dependency[];
  try {
    dependencies = parseManifest(Buffer.from(JSON.stringify({ ...manifest, version: '0.0.0' }))).dependencies;
  } catch {
    return; // said already
  }
  const seen = new Map<string, string>();
  for (const { name, range, kind } of dependencies) {
    if (kind === 'optional') continue;
    const before = seen.get(name);
    seen.set(name, range);
    if (isEmpty(range)) tell(subject, `No version of ${name} can be in ${range.slice(0, 80)}.`, 'Correct the range.');
    else if (before !== undefined && !intersects(before, range))
      tell(
        subject,
        `${name} is wanted in ${before.slice(0, 60)} and in ${range.slice(0, 60)}: no version is in both.`,
        'Keep one range.',
      );
  }
}

function isEmpty(range: string): boolean {
  try {
    return minVersion(new Range(range)) === null;
  } catch {
    return false; // not a range at all: reported where the manifest is read
  }
}

function tell(subject: Subject, message: string, fix: string): void {
  subject.error('DEPENDENCY_UNSATISFIABLE', MANIFEST_PATH, { json: ['dependencies'] }, message, fix);
}
