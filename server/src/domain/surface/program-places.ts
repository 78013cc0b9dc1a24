import { isJsonObject, type JsonObject } from '../json/read.ts';
import { foldPath } from '../safe-path.ts';
import { namedPaths } from '../version/file-types.ts';

/** Where the client reads programs from, beside hooks and MCP servers. Pure. */

export const PROGRAM_FILES = ['.lsp.json', 'monitors/monitors.json', 'settings.json'];
export const PROGRAM_KEYS = ['lspServers', 'monitors', 'settings', 'binaries', 'channels', 'workflows'];
/** Keys below `experimental` that bring only looks, texts and tests. */
const HARMLESS = ['themes', 'outputStyles', 'evals', 'syntaxHighlighting'];

/** Parts of a manifest that hold programs or name the files that do, by their key: `monitors`, `experimental.monitors`. */
export function programParts(manifest: JsonObject): Map<string, unknown> {
  const { experimental } = manifest;
  const further = isJsonObject(experimental) ? Object.entries(experimental) : [];
  return new Map([
    ...PROGRAM_KEYS.filter((key) => manifest[key] !== undefined).map((key): [string, unknown] => [key, manifest[key]]),
    ...further
      .filter(([key]) => !HARMLESS.includes(key))
      .map(([key, part]): [string, unknown] => [`experimental.${key}`, part]),
  ]);
}

/** Paths of JSON files with programs: the default ones, which need not be there, and those that the manifest names. */
export function programPaths(manifest: JsonObject): string[] {
  return [...new Set([...PROGRAM_FILES, ...[...programParts(manifest).values()].flatMap(namedPaths)])];
}

/** Whether a file is a workflow's script: in the default folder, or where the manifest says. */
export function workflowScripts(manifest: JsonObject): (path: string) => boolean {
  const parts = programParts(manifest);
  const named = ['workflows', 'experimental.workflows'].flatMap((key) => namedPaths(parts.get(key)));
  const places = ['workflows', ...named].map(foldPath);
  return (given) => {
    const path = foldPath(given);
    return /\.[cm]?js$/.test(path) && places.some((p) => p === '' || path === p || path.startsWith(`${p}/`));
  };
}

/** Scripts that a file of hooks loads into the client itself, which may start any program; as paths inside the plugin. */
export function hookModules(path: string, value: unknown): string[] {
  const folder = path.slice(0, path.lastIndexOf('/') + 1);
  const modules = isJsonObject(value) ? [value.modules].flat() : [];
  return namedPaths(modules.map((module) => (typeof module === 'string' ? folder + module : module)));
}
