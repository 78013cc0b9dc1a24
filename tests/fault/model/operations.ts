import * as fc from 'fast-check';

/** What can be done to a machine, and what a person would say the machine then holds. Knows nothing of how it is done. */

export const NAMES = ['a', 'b', 'c', 'd'] as const;
export const VERSIONS = ['1.0.0', '2.0.0', '3.0.0'] as const;
const LINES = 4;

export type Operation =
  | { kind: 'install' | 'rollback'; name: string; version: string }
  /** Removed with all that the person wrote in it; repaired: what was published comes back, the edits are kept aside. */
  | { kind: 'remove' | 'repair'; name: string }
  /** Everything wanted, and nothing else, in one change. */
  | { kind: 'sync'; wanted: Record<string, string> }
  | { kind: 'line'; name: string; line: number; token: string }
  | { kind: 'add' | 'replace'; name: string; token: string }
  | { kind: 'delete'; name: string }
  /** The person's own key in settings.json. */
  | { kind: 'key'; token: string }
  | { kind: 'collect' };

interface Plugin {
  version: string;
  lines: Record<number, string>;
  added: string[];
  /** The content of `data.txt` where the person replaced it; null where it was deleted. */
  data?: string | null;
}

export interface Model {
  plugins: Record<string, Plugin>;
  keys: string[];
  /** What the person wrote in plugins that were repaired since: it must still be somewhere. */
  archived: string[];
}

export const EMPTY: Model = { plugins: {}, keys: [], archived: [] };

/** The file that versions change at its end and people at its start. */
export function bodyOf(name: string, version: string, lines: Record<number, string> = {}): string {
  const text = Array.from({ length: 9 }, (_, n) => lines[n] ?? `${name} line ${n}${n === 7 ? ` of ${version}` : ''}`);
  return `${text.join('\n')}\n`;
}

/** A version's files as published. */
export function filesOf(name: string, version: string): Record<string, string> {
  return { 'commands/x.md': bodyOf(name, version), 'data.txt': `data of ${name}`, [`only-${version}.txt`]: version };
}

/** What the files of the live plugins must be, and the person's keys. */
export function view(model: Model): { plugins: Record<string, Record<string, string>>; keys: string[] } {
  const plugins: Record<string, Record<string, string>> = {};
  for (const [name, plugin] of Object.entries(model.plugins)) {
    const files: Record<string, string> = {
      ...filesOf(name, plugin.version),
      'commands/x.md': bodyOf(name, plugin.version, plugin.lines),
    };
    if (plugin.data === null) delete files['data.txt'];
    else if (plugin.data !== undefined) files['data.txt'] = plugin.data;
    for (const token of plugin.added) files[`notes/${token}.txt`] = token;
    plugins[name] = files;
  }
  return { plugins, keys: [...model.keys].sort() };
}

function put(model: Model, name: string, version: string): void {
  const there = model.plugins[name];
  if (there === undefined) model.plugins[name] = { version, lines: {}, added: [] };
  else there.version = version;
}

function setAside(model: Model, name: string): void {
  const plugin = model.plugins[name];
  if (plugin === undefined) return;
  model.archived.push(...Object.values(plugin.lines), ...plugin.added);
  if (typeof plugin.data === 'string') model.archived.push(plugin.data);
}

/** The machine after an operation. */
export function apply(before: Model, operation: Operation): Model {
  const model = structuredClone(before);
  const plugin = 'name' in operation ? model.plugins[operation.name] : undefined;
  switch (operation.kind) {
    case 'install':
      put(model, operation.name, operation.version);
      break;
    case 'rollback':
      if (plugin !== undefined) plugin.version = operation.version;
      break;
    case 'remove':
      delete model.plugins[operation.name];
      break;
    case 'repair':
      setAside(model, operation.name);
      if (plugin !== undefined) model.plugins[operation.name] = { version: plugin.version, lines: {}, added: [] };
      break;
    case 'sync':
      for (const name of Object.keys(model.plugins)) {
        if (operation.wanted[name] === undefined) delete model.plugins[name];
      }
      for (const [name, version] of Object.entries(operation.wanted)) put(model, name, version);
      break;
    case 'line':
      if (plugin !== undefined) plugin.lines[operation.line] = operation.token;
      break;
    case 'add':
      plugin?.added.push(operation.token);
      break;
    case 'replace':
      if (plugin !== undefined) plugin.data = operation.token;
      break;
    case 'delete':
      if (plugin !== undefined) plugin.data = null;
      break;
    case 'key':
      model.keys.push(operation.token);
      break;
    case 'collect':
      break;
  }
  return model;
}

const name = fc.constantFrom(...NAMES);
const version = fc.constantFrom(...VERSIONS);
/** Long enough never to come twice, so that what is found is what was written. */
const token = fc.stringMatching(/^t[0-9a-z]{14}$/);
const wanted = fc.dictionary(name, version, { noNullPrototype: true });

export const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('install' as const), name, version }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('rollback' as const), name, version }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('remove' as const, 'repair' as const), name }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('sync' as const), wanted }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('line' as const), name, line: fc.nat(LINES - 1), token }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('add' as const, 'replace' as const), name, token }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), name }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('key' as const), token }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'collect' as const }) },
);
