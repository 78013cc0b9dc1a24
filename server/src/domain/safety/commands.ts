import type { FindingCode } from '../findings/codes.ts';
import { isJsonObject, type JsonObject } from '../json/read.ts';
import { programPaths } from '../surface/program-places.ts';
import { HOOKS_PATH, MANIFEST_PATH, MCP_PATH, namedPaths } from '../version/file-types.ts';
import { shellFaults } from './shell.ts';
import type { Sighting, TextFile } from './text-file.ts';

const SCRIPT = /\.(?:sh|bash|zsh)$/i;
const SHEBANG = /^#!.*\b(?:ba|z|da|k)?sh\b/;
const MAX_LINES = 20_000;

/** The JSON files in which a plugin declares hooks, servers and other programs. */
export function placesOfCommands(manifest: JsonObject): Set<string> {
  const places = new Set([HOOKS_PATH, MCP_PATH, MANIFEST_PATH, ...programPaths(manifest)]);
  for (const key of ['hooks', 'mcpServers'])
    if (!isJsonObject(manifest[key])) for (const p of namedPaths(manifest[key])) places.add(p);
  return places;
}

/** Commands of hooks and servers, in the places given, and the lines of its shell scripts. */
export function findCommands(file: TextFile, places: ReadonlySet<string>): Sighting[] {
  if (places.has(file.path)) return inJson(file);
  const isScript = SCRIPT.test(file.path) || (file.raw.startsWith('#!') && SHEBANG.test(file.text.slice(0, 200)));
  return isScript ? inScript(file) : [];
}

function inJson(file: TextFile): Sighting[] {
  let value: unknown;
  try {
    value = JSON.parse(file.text.replace(/^\uFEFF/, ''));
  } catch {
    return [];
  }
  const found: Sighting[] = [];
  const stack: { value: unknown; depth: number }[] = [{ value, depth: 0 }];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    if (next.depth > 12 || typeof next.value !== 'object' || next.value === null) continue;
    const node = next.value as JsonObject;
    if (typeof node.command === 'string') {
      const args = Array.isArray(node.args) ? node.args.filter((a): a is string => typeof a === 'string') : undefined;
      const offset = Math.max(file.text.indexOf(JSON.stringify(node.command)), 0);
      // a shell given as program takes its text as an argument
      const inner = args !== undefined && args[0] === '-c' ? shellFaults(args[1] ?? '') : [];
      for (const fault of [...shellFaults(node.command, args), ...inner]) found.push(seen(fault, offset));
    }
    for (const inner of Object.values(node)) stack.push({ value: inner, depth: next.depth + 1 });
  }
  return found;
}

function inScript(file: TextFile): Sighting[] {
  const found: Sighting[] = [];
  let offset = 0;
  for (const line of file.text.replaceAll('\\\n', '  ').split('\n').slice(0, MAX_LINES)) {
    if (/\b(?:curl|wget|fetch|np[mx]|pnp[mx]|bunx?|uvx?|pipx|yarn)\b/.test(line))
      for (const fault of shellFaults(line)) found.push(seen(fault, offset));
    offset += line.length + 1;
  }
  return found;
}

function seen(fault: { code: FindingCode; message: string; fix: string }, offset: number): Sighting {
  return { ...fault, severity: fault.code === 'PACKAGE_UNPINNED' ? 'note' : 'warning', offset };
}
