import { join } from 'node:path';
import { HaiveError } from '../domain/errors.ts';
import { MANIFEST_PATH } from '../domain/file-types.ts';
import { checkPluginName } from '../domain/names.ts';
import type { SourceFile } from '../domain/package.ts';
import { checkPath } from '../domain/safe-path.ts';
import { errnoOf, type FilePort, listDir, realFilePort, withFileErrors } from './file-port.ts';
import { SCAFFOLD_PARTS } from './scaffold-parts.ts';

export const SCAFFOLD_COMPONENTS = ['commands', 'agents', 'skills', 'hooks', 'mcp'] as const;
export type ScaffoldComponent = (typeof SCAFFOLD_COMPONENTS)[number];

export interface ScaffoldOptions {
  components: readonly ScaffoldComponent[];
  /** Only `basic` for now. */
  template?: string;
  description?: string;
}

/**
 * The files of a new plugin, which validates without a finding and publishes as it stands.
 * @throws HaiveError NAME_INVALID, NAME_RESERVED, USAGE
 */
export function scaffold(name: string, options: ScaffoldOptions): SourceFile[] {
  checkPluginName(name);
  const template = options.template ?? 'basic';
  if (template !== 'basic') {
    throw new HaiveError('USAGE', `There is no template ${JSON.stringify(template)}`, {
      hint: 'Use the template basic.',
    });
  }
  for (const component of options.components) {
    if (SCAFFOLD_COMPONENTS.includes(component)) continue;
    throw new HaiveError('USAGE', `There is no component ${JSON.stringify(component)}`, {
      hint: `Choose among ${SCAFFOLD_COMPONENTS.join(', ')}.`,
    });
  }
  const description = options.description?.trim() || `What ${name} does, in one sentence`;
  const files: SourceFile[] = [
    file(MANIFEST_PATH, manifest(name, description)),
    file('README.md', readme(name, description)),
  ];
  for (const component of new Set(options.components)) {
    for (const part of SCAFFOLD_PARTS[component](name)) files.push(file(part.path, part.text, part.executable));
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/**
 * Writes a new plugin into a folder that does not exist or is empty.
 * @throws HaiveError PATH_OCCUPIED, READ_ONLY, DISK_FULL, IO_ERROR
 */
export async function writeScaffold(
  dir: string,
  files: readonly SourceFile[],
  port: FilePort = withFileErrors(realFilePort()),
): Promise<void> {
  for (const { path } of files) checkPath(path);
  await port.mkdir(dir, { recursive: true }).catch((error: unknown) => {
    if (errnoOf(error) === 'EEXIST' || errnoOf(error) === 'ENOTDIR') throw occupied(dir);
    throw error;
  });
  if ((await listDir(dir)).length > 0) throw occupied(dir);
  for (const { path, bytes, executable } of files) {
    const target = join(dir, ...path.split('/'));
    await port.mkdir(join(target, '..'), { recursive: true });
    await port.writeFile(target, bytes, { mode: executable ? 0o755 : 0o644, exclusive: true });
  }
}

function occupied(dir: string): HaiveError {
  return new HaiveError('PATH_OCCUPIED', `${dir} is not an empty folder`, { hint: 'Choose another name or folder.' });
}

function file(path: string, text: string, executable = false): SourceFile {
  return { path, bytes: Buffer.from(text), executable };
}

function manifest(name: string, description: string): string {
  const value = { name, version: '0.1.0', description, author: { name: 'Your name' }, keywords: [] };
  return `${JSON.stringify(value, null, 2)}\n`;
}

function readme(name: string, description: string): string {
  return `# ${name}

${description}

- Check it: \`hv validate .\`
- Offer it to groups of machines: \`hv publish . --groups GROUP\`, or to all: \`hv publish . --all\`
- After a change, raise \`version\` in \`.claude-plugin/plugin.json\` and publish again.
`;
}
