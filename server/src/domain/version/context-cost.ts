import { HaiveError } from '../errors.ts';
import { readJson } from '../json/read.ts';
import { type Component, componentsOf } from './components.ts';
import { MANIFEST_PATH } from './file-types.ts';
import { parseFrontMatter } from './front-matter.ts';
import type { SourceFile } from './package.ts';

/** What one component takes of a model's context, in tokens (estimated). */
export interface ComponentCost {
  kind: 'command' | 'agent' | 'skill';
  file: string;
  name: string;
  /** In every session: name and description, from which the model chooses. */
  always: number;
  /** More when it is used: its text. */
  onUse: number;
}

export interface ContextCost {
  /** In every session, all components together. Tools of MCP servers are known only when these run, and not counted. */
  always: number;
  /** If every component were used once. */
  onUse: number;
  components: ComponentCost[];
}

const HEAD = 1024 * 1024;

/** The context cost of a plugin's commands, agents and skills, dearest first. Never throws. */
export function contextCost(files: readonly SourceFile[]): ContextCost {
  const manifest = readJson(files.find((f) => f.path === MANIFEST_PATH)?.bytes) ?? {};
  const plugin = typeof manifest.name === 'string' ? manifest.name : '';
  const byPath = new Map(files.map(({ path, bytes }) => [path, bytes]));
  const components = componentsOf(manifest, [...byPath.keys()]).map((component): ComponentCost => {
    const text = byPath.get(component.file)?.subarray(0, HEAD).toString('utf8') ?? '';
    const { name, description, body, hidden } = read(component, text, plugin);
    const always = hidden ? 0 : tokens(`${plugin}:${name}: ${description}`);
    return { kind: component.kind, file: component.file, name, always, onUse: tokens(body) };
  });
  components.sort((a, b) => b.always + b.onUse - a.always - a.onUse || (a.file < b.file ? -1 : 1));
  const sum = (key: 'always' | 'onUse') => components.reduce((total, c) => total + c[key], 0);
  return { always: sum('always'), onUse: sum('onUse'), components };
}

function read(component: Component, text: string, plugin: string) {
  const byPlace = component.name.replaceAll('/', ':') || plugin;
  try {
    const { data, body } = parseFrontMatter(text);
    const name = component.namesItself && typeof data.name === 'string' ? data.name : byPlace;
    const hidden = data['disable-model-invocation'] === true;
    return { name, description: String(data.description ?? ''), body, hidden };
  } catch (thrown) {
    if (!(thrown instanceof HaiveError)) throw thrown;
    return { name: byPlace, description: '', body: text, hidden: false };
  }
}

/** About four letters a token; other scripts about one character. */
function tokens(text: string): number {
  let wide = 0;
  for (const c of text) if ((c.codePointAt(0) ?? 0) > 0x2e7f) wide += 1;
  return Math.ceil((text.length - wide) / 4) + wide;
}
