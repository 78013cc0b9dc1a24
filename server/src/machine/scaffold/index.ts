import { dirname, join } from 'node:path';
import { toolNamePart } from '../../domain/client-facts.ts';
import { errnoOf, HaiveError } from '../../domain/errors.ts';
import { checkPluginName } from '../../domain/names.ts';
import { checkPath } from '../../domain/safe-path.ts';
import { withDeclaration } from '../../domain/surface/declare.ts';
import { MANIFEST_PATH, MCP_PATH } from '../../domain/version/file-types.ts';
import type { SourceFile } from '../../domain/version/package.ts';
import {
  type FilePort,
  fileError,
  listDir,
  makeDirs,
  realFilePort,
  statOf,
  withFileErrors,
} from '../files/file-port.ts';
import { SCAFFOLD_PARTS } from './parts.ts';
import { TEMPLATES } from './templates.ts';

export const SCAFFOLD_COMPONENTS = ['commands', 'agents', 'skills', 'hooks', 'mcp'] as const;
export type ScaffoldComponent = (typeof SCAFFOLD_COMPONENTS)[number];

export interface ScaffoldOptions {
  /** Parts to have; the template's own ones are there anyway. Commands where there is no template either. */
  components?: readonly ScaffoldComponent[] | undefined;
  /** `basic`, or a built-in plugin to start from. */
  template?: string | undefined;
  description?: string | undefined;
}

/** What `template` may be. */
export const SCAFFOLD_TEMPLATES = ['basic', 'elasticsearch-ops', 'incident-response'] as const;

/**
 * The files of a new plugin, which validates without a finding and publishes as it stands.
 * @throws HaiveError NAME_INVALID, NAME_RESERVED, USAGE
 */
export function scaffold(name: string, options: ScaffoldOptions): SourceFile[] {
  checkPluginName(name);
  const { template = 'basic', description = '' } = options;
  const components = options.components ?? (template === 'basic' ? ['commands'] : []);
  for (const component of components) {
    if (SCAFFOLD_COMPONENTS.includes(component)) continue;
    throw new HaiveError('USAGE', `There is no component ${JSON.stringify(component)}`, {
      hint: `Choose among ${SCAFFOLD_COMPONENTS.join(', ')}.`,
    });
  }
  const files =
    template === 'basic' ? basicFiles(name, description.trim()) : templateFiles(name, template, description);
  for (const component of new Set(components)) {
    const parts = SCAFFOLD_PARTS[component](name);
    if (files.some((f) => isOf(component, f.path))) continue;
    for (const part of parts) files.push(file(part.path, part.text, part.executable));
  }
  return withDeclaration(files).sort((a, b) => (a.path < b.path ? -1 : 1));
}

const isOf = (component: ScaffoldComponent, path: string): boolean =>
  component === 'mcp' ? path === MCP_PATH : path.startsWith(`${component}/`);

function basicFiles(name: string, given: string): SourceFile[] {
  const description = given || `What ${name} does, in one sentence`;
  const manifest = { name, version: '0.1.0', description, author: { name: 'Your name' }, keywords: [] };
  return [file(MANIFEST_PATH, json(manifest)), file('README.md', readme(name, description))];
}

/** A built-in plugin under a new name: whatever calls its tools, commands or agents by the old one calls them by the new. */
function templateFiles(name: string, template: string, given: string): SourceFile[] {
  const parts = Object.hasOwn(TEMPLATES, template) ? TEMPLATES[template] : undefined;
  if (parts === undefined) {
    throw new HaiveError('USAGE', `There is no template ${JSON.stringify(template.slice(0, 60))}`, {
      hint: `Choose among ${SCAFFOLD_TEMPLATES.join(', ')}.`,
    });
  }
  const tools = `mcp__plugin_${toolNamePart(name)}_`;
  return parts.map(({ path, text, executable }) => {
    if (path === MANIFEST_PATH) return file(path, renamedManifest(name, text, given.trim()));
    const renamed = text.replaceAll(`mcp__plugin_${template}_`, tools).replaceAll(template, name);
    return path === 'README.md' ? file(path, `${renamed.trimEnd()}\n\n${steps()}`) : file(path, renamed, executable);
  });
}

/** The template's manifest without what was true of the built-in plugin alone. */
function renamedManifest(name: string, text: string, given: string): string {
  const { haivemind: _groups, ...manifest } = JSON.parse(text) as Record<string, unknown>;
  const description = given === '' ? manifest.description : given;
  return json({ ...manifest, name, version: '0.1.0', description, author: { name: 'Your name' } });
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
  await makeDirs(port, dir).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOTDIR') throw occupied(dir);
    throw fileError(error, dir);
  });
  if (!statOf(dir)?.isDirectory() || (await listDir(dir)).length > 0) throw occupied(dir);
  for (const { path, bytes, executable } of files) {
    const target = join(dir, ...path.split('/'));
    await makeDirs(port, dirname(target));
    await port.writeFile(target, bytes, { mode: executable ? 0o755 : 0o644, exclusive: true });
  }
}

function occupied(dir: string): HaiveError {
  return new HaiveError('PATH_OCCUPIED', `${dir} is not an empty folder`, { hint: 'Choose another name or folder.' });
}

function file(path: string, text: string, executable = false): SourceFile {
  return { path, bytes: Buffer.from(text), executable };
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

function readme(name: string, description: string): string {
  return `# ${name}\n\n${description}\n\n${steps()}`;
}

const steps = (): string => `- Check it: \`hv validate .\`
- Offer it to groups of machines: \`hv publish . --groups GROUP\`, or to all: \`hv publish . --all\`
- After a change, raise \`version\` in \`.claude-plugin/plugin.json\` and publish again.
`;
