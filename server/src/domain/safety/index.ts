import { toHaiveError } from '../errors.ts';
import type { Finding } from '../findings/index.ts';
import { readJson } from '../json/read.ts';
import { classifier, MANIFEST_PATH } from '../version/file-types.ts';
import type { SourceFile } from '../version/package.ts';
import { findCommands, placesOfCommands } from './commands.ts';
import { findOverrides } from './instructions.ts';
import { findSecrets } from './secrets.ts';
import { isAllowed, placeOf, type Sighting, type TextFile, textFiles } from './text-file.ts';
import { findHiddenText } from './unicode.ts';

const MAX_FINDINGS = 200;
const MAX_PER_CHECK = 20;
const FOR_MODELS = new Set(['command', 'agent', 'skill']);

/**
 * What a reviewer of the plugin wants to know: secrets, hidden text, downloads that are run, unpinned packages, texts that
 * set a model's rules aside. Reads only, bounded in time and size; never throws.
 */
export async function scanPlugin(files: readonly SourceFile[]): Promise<Finding[]> {
  const manifest = readJson(files.find((f) => f.path === MANIFEST_PATH)?.bytes) ?? {};
  const typeOf = classifier(manifest);
  const places = placesOfCommands(manifest);
  const findings: Finding[] = [];
  for (const file of textFiles(files)) {
    if (findings.length >= MAX_FINDINGS) break;
    const isForModels = FOR_MODELS.has(typeOf(file.path)) && /\.md$/i.test(file.path);
    const checks: ((file: TextFile) => Sighting[] | Promise<Sighting[]>)[] = [
      findSecrets,
      findHiddenText,
      (f) => findCommands(f, places),
      ...(isForModels ? [findOverrides] : []),
    ];
    for (const check of checks) findings.push(...(await run(check, file)));
  }
  return findings.slice(0, MAX_FINDINGS);
}

async function run(check: (file: TextFile) => Sighting[] | Promise<Sighting[]>, file: TextFile): Promise<Finding[]> {
  try {
    const seen = (await check(file)).slice(0, MAX_PER_CHECK).filter((s) => !isAllowed(file.text, s.offset));
    return seen.map(({ offset, ...rest }) => ({ ...rest, file: file.path, ...placeOf(file.text, offset) }));
  } catch (thrown) {
    const message = `The safety scan stopped here: ${toHaiveError(thrown).message}`.slice(0, 200);
    return [
      {
        code: 'SCAN_FAILED',
        severity: 'note',
        file: file.path,
        line: null,
        column: null,
        message,
        fix: 'Report this.',
      },
    ];
  }
}
