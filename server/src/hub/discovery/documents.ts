import { namedPaths } from '../../domain/version/file-types.ts';
import { parseFrontMatter } from '../../domain/version/front-matter.ts';
import { decodeBlob, readBlobs } from '../../storage/queries/blobs.ts';
import { filesOf, type PluginFileRow } from '../../storage/queries/plugins.ts';
import type { Store } from '../../storage/store.ts';
import type { CatalogueVersion } from '../registry/snapshot.ts';
import type { SearchComponent, SearchDocument } from './document.ts';

/** Longer files are no descriptions. */
const MAX_FILE = 64 * 1024;
const MAX_FILES = 200;
/** How much of each file's text is searched, and of all together, in characters. */
const MAX_TEXT = 2_000;
const MAX_BODY = 20_000;

/** What the catalogue alone tells of a version: no component descriptions, no text. */
export function documentOf(version: CatalogueVersion): SearchDocument {
  const manifest = JSON.parse(version.manifest) as Record<string, unknown>;
  const haivemind = manifest.haivemind as { use_cases?: unknown } | undefined;
  return {
    name: version.name,
    description: version.description,
    keywords: texts(manifest.keywords),
    useCases: texts(haivemind?.use_cases),
    components: serversOf(manifest),
    body: '',
  };
}

/** The document with its components and texts, read from the version's files. */
export async function readDocument(store: Store, version: CatalogueVersion): Promise<SearchDocument> {
  const document = documentOf(version);
  const files = (await filesOf(store.read, version.id)).filter(isDescribing).slice(0, MAX_FILES);
  const hashes = files.map((f) => f.sha256);
  const blobs = new Map((await readBlobs(store.read, hashes)).map((b) => [b.sha256, b]));
  const components: SearchComponent[] = [...document.components];
  let body = '';
  for (const file of files) {
    const blob = blobs.get(file.sha256);
    if (blob === undefined) continue;
    const source = (await decodeBlob(blob)).toString('utf8');
    const { name, description, text } = readMarkdown(source);
    const component = componentAt(file);
    if (component !== undefined) components.push({ ...component, name: name ?? component.name, description });
    if (body.length < MAX_BODY) body += ` ${text.slice(0, MAX_TEXT)}`;
  }
  return { ...document, components, body: body.trim() };
}

function isDescribing(file: PluginFileRow): boolean {
  if (file.size > MAX_FILE) return false;
  return componentAt(file) !== undefined || /^readme\.md$/i.test(file.path);
}

/** The component that a file is: a command's or agent's Markdown, a skill's SKILL.md. */
function componentAt({ path, type }: PluginFileRow): Pick<SearchComponent, 'kind' | 'name'> | undefined {
  if (!path.toLowerCase().endsWith('.md')) return undefined;
  if (type === 'command' || type === 'agent') {
    return { kind: type, name: path.replace(/^.*\//, '').replace(/\.md$/i, '') };
  }
  if (type !== 'skill' || !/(^|\/)SKILL\.md$/.test(path)) return undefined;
  return { kind: 'skill', name: path.split('/').at(-2) ?? 'skill' };
}

function readMarkdown(source: string): { name: string | undefined; description: string; text: string } {
  try {
    const { data, body } = parseFrontMatter(source);
    const description = typeof data.description === 'string' ? data.description : '';
    return { name: typeof data.name === 'string' ? data.name : undefined, description, text: body };
  } catch {
    // Validation tells the author of broken front matter; its words can still be found.
    return { name: undefined, description: '', text: source };
  }
}

/** The names of MCP servers that the manifest itself lists. */
function serversOf(manifest: Record<string, unknown>): SearchComponent[] {
  const { mcpServers } = manifest;
  if (typeof mcpServers !== 'object' || mcpServers === null || namedPaths(mcpServers).length > 0) return [];
  return Object.keys(mcpServers).map((name) => ({ kind: 'mcp', name, description: '' }));
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((v) => typeof v === 'string') : [];
}
