import { findNodeAtLocation, type JSONPath, type Node, type ParseError, parseTree } from 'jsonc-parser';
import type { FindingCode } from '../findings/codes.ts';
import type { Finding, Severity } from '../findings/index.ts';
import { parseJson } from '../json/parse.ts';
import { isJsonObject, type JsonObject, readJson } from '../json/read.ts';
import { type GrantTargets, grantTargets } from '../translate/grants.ts';
import { MANIFEST_PATH } from '../version/file-types.ts';
import type { SourceFile } from '../version/package.ts';

const MAX_FINDINGS = 500;
const MAX_JSON = 1024 * 1024;

/** A place in a file: an offset in its text, a JSON path, or nothing. */
export type Place = { offset: number } | { json: JSONPath } | undefined;

/** A JSON file of the plugin, read once. */
export interface JsonFile {
  path: string;
  text: string;
  value: unknown;
}

/** The plugin under validation: its files, what was read of them, and the findings so far. */
export class Subject {
  readonly findings: Finding[] = [];
  readonly files: ReadonlyMap<string, SourceFile>;
  private folders: Set<string> | undefined;
  private grants: GrantTargets | undefined;
  private readonly trees = new Map<string, Node | undefined>();
  private readonly texts = new Map<string, string>();
  private readonly json = new Map<string, JsonFile | undefined>();

  constructor(files: readonly SourceFile[]) {
    this.files = new Map(files.map((f) => [f.path, f]));
  }

  /** What short names of servers stand for. */
  get targets(): GrantTargets {
    this.grants ??= grantTargets(this.manifest, (path) => readJson(this.files.get(path)?.bytes));
    return this.grants;
  }

  /** plugin.json where it is an object, else an empty one. */
  get manifest(): JsonObject {
    const value = this.readJson(MANIFEST_PATH)?.value;
    return isJsonObject(value) ? value : {};
  }

  has(path: string): boolean {
    return this.files.has(path);
  }

  /** True when some file lies below the folder. */
  hasFolder(path: string): boolean {
    this.folders ??= foldersOf(this.files.keys());
    return this.folders.has(path);
  }

  /** True when no more findings are kept: nothing needs to look further. */
  get isFull(): boolean {
    return this.findings.length >= MAX_FINDINGS;
  }

  report(severity: Severity, code: FindingCode, file: string, place: Place, message: string, fix: string): void {
    if (this.isFull) return;
    const at = this.locate(file, place);
    this.findings.push({ code, severity, file, line: at?.line ?? null, column: at?.column ?? null, message, fix });
  }

  error(code: FindingCode, file: string, place: Place, message: string, fix: string): void {
    this.report('error', code, file, place, message, fix);
  }

  warn(code: FindingCode, file: string, place: Place, message: string, fix: string): void {
    this.report('warning', code, file, place, message, fix);
  }

  /** A warning of what the registry does not take, although the client would load it. */
  registryRule(code: FindingCode, file: string, place: Place, message: string, fix: string): void {
    const whole = `${message}. Only the registry refuses this: Claude Code itself would load it.`;
    this.report('warning', code, file, place, whole, fix);
  }

  /**
   * A JSON file's value; reports JSON_INVALID (once) and gives undefined when it cannot be read. Only plugin.json may
   * start with a byte order mark.
   */
  readJson(path: string): JsonFile | undefined {
    if (this.json.has(path)) return this.json.get(path);
    this.json.set(path, undefined);
    const file = this.files.get(path);
    if (file === undefined) return undefined;
    if (file.bytes.length > MAX_JSON) {
      this.error('JSON_INVALID', path, undefined, 'The file is larger than 1 MB.', 'Move data out of this file.');
      return undefined;
    }
    const raw = file.bytes.toString('utf8');
    const marked = raw.startsWith('\uFEFF');
    const text = marked ? raw.slice(1) : raw;
    this.texts.set(path, text);
    if (marked && path !== MANIFEST_PATH) {
      this.error(
        'BYTE_ORDER_MARK',
        path,
        { offset: 0 },
        'The file starts with a byte order mark, which Claude Code does not read here.',
        'Save it as UTF-8 without a byte order mark.',
      );
    }
    try {
      const read = { path, text, value: parseJson(text) };
      this.json.set(path, read);
      return read;
    } catch (error) {
      const message = error instanceof Error ? error.message : '';
      const place = jsonFault(text);
      const short = message
        .replace(/, ?\.\.\..*is not valid JSON|".*" is not valid JSON/s, '')
        .replace(/ \(line.*$/, '');
      this.error(
        'JSON_INVALID',
        path,
        place,
        `The file is not JSON: ${short.slice(0, 120) || 'unexpected text'}.`,
        'Write strict JSON: no comments, no trailing commas.',
      );
      return undefined;
    }
  }

  /** Keeps a text, so that offsets in it can be turned into lines. */
  keepText(path: string, text: string): void {
    this.texts.set(path, text);
  }

  private locate(file: string, place: Place): { line: number; column: number } | undefined {
    const text = this.texts.get(file);
    if (place === undefined || text === undefined) return undefined;
    const offset = 'offset' in place ? place.offset : this.offsetOf(file, text, place.json);
    if (offset === undefined) return undefined;
    const before = text.slice(0, offset);
    const lastBreak = before.lastIndexOf('\n');
    let line = 1;
    for (let i = before.indexOf('\n'); i !== -1; i = before.indexOf('\n', i + 1)) line += 1;
    return { line, column: offset - lastBreak };
  }

  private offsetOf(file: string, text: string, path: JSONPath): number | undefined {
    if (!this.trees.has(file)) {
      let tree: Node | undefined;
      try {
        tree = parseTree(text);
      } catch {
        tree = undefined; // nested too deeply for the parser; the finding goes without a line
      }
      this.trees.set(file, tree);
    }
    const tree = this.trees.get(file);
    if (tree === undefined) return undefined;
    for (let depth = path.length; depth >= 0; depth--) {
      const node = findNodeAtLocation(tree, path.slice(0, depth));
      if (node !== undefined) return node.parent?.type === 'property' ? node.parent.offset : node.offset;
    }
    return undefined;
  }
}

function foldersOf(paths: Iterable<string>): Set<string> {
  const folders = new Set<string>();
  for (const path of paths) {
    for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) folders.add(path.slice(0, at));
  }
  return folders;
}

/** Where JSON text breaks: the engine's own message names no place in short texts. */
function jsonFault(text: string): Place {
  const errors: ParseError[] = [];
  try {
    parseTree(text, errors, { allowTrailingComma: false, disallowComments: true });
  } catch {
    return undefined; // nested too deeply for the parser
  }
  return errors[0] === undefined ? undefined : { offset: errors[0].offset };
}
