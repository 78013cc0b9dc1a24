import { isJsonObject } from '../json/read.ts';
import { MANIFEST_PATH, plainPath } from '../version/file-types.ts';
import type { Subject } from './subject.ts';

/** Paths that plugin.json names for one component key: inside the plugin, of the form the client wants, and there. */
export function checkPaths(subject: Subject, at: string[], value: unknown, isComponents: boolean): void {
  const key = at[at.length - 1] ?? '';
  const list: unknown[] = typeof value === 'string' ? [value] : Array.isArray(value) ? value : [];
  const objects = isJsonObject(value) && key === 'commands' ? Object.entries(value) : [];
  for (const [name, entry] of objects) {
    if (isJsonObject(entry) && typeof entry.source === 'string')
      checkPathOf(subject, [...at, name, 'source'], key, entry.source, isComponents);
  }
  list.forEach((path, i) => {
    if (typeof path === 'string')
      checkPathOf(subject, typeof value === 'string' ? at : [...at, i], key, path, isComponents);
  });
}

/** What Claude Code wants the path of a component to be. */
interface Form {
  fits(path: string, subject: Subject): boolean;
  fault: string;
  mend: string;
}

const jsonFile = (key: string): Form => ({
  fits: (path) => path.endsWith('.json'),
  fault: `Claude Code wants a .json file under \`${key}\`.`,
  mend: 'Name the file itself.',
});

const FORMS: Record<string, Form> = {
  agents: {
    fits: (path) => path.endsWith('.md'),
    fault: 'Claude Code wants .md files under `agents`, not folders.',
    mend: 'List the files, or leave `agents` out: ./agents/ is found by itself.',
  },
  hooks: jsonFile('hooks'),
  monitors: jsonFile('monitors'),
  mcpServers: {
    fits: (path) => /\.(?:json|mcpb|dxt)$/.test(path),
    fault: 'Claude Code wants a .json, .mcpb or .dxt file under `mcpServers`.',
    mend: 'Name the file itself.',
  },
  skills: {
    fits: (path, subject) => !subject.has(plainPath(path)),
    fault: 'Claude Code wants folders with a SKILL.md under `skills`, not files.',
    mend: 'Name the folder.',
  },
};

/** Where the client looks by itself. */
const DEFAULTS = ['commands', 'agents', 'skills', 'hooks', 'hooks/hooks.json', '.mcp.json'];

function checkPathOf(
  subject: Subject,
  at: (string | number)[],
  key: string,
  path: string,
  isComponents: boolean,
): void {
  const place = { json: at };
  if (/^[a-z]+:\/\/.*\.(?:mcpb|dxt)$/i.test(path) && key === 'mcpServers') return;
  if (path.startsWith('/') || /^[A-Za-z]:/.test(path) || path.includes('\\') || path.split('/').includes('..')) {
    const message = `The path ${shown(path)} leaves the plugin.`;
    const hint = 'Name a path inside the plugin, starting with ./';
    subject.error('COMPONENT_PATH_UNSAFE', MANIFEST_PATH, place, message, hint);
    return;
  }
  if (!isComponents) checkForm(subject, place, key, path);
  const plain = plainPath(path);
  if (plain === '' || plain === '.' || subject.has(plain) || subject.hasFolder(plain)) return;
  const missing = `There is nothing at ${shown(path)}.`;
  if (isComponents && DEFAULTS.includes(plain)) {
    subject.warn('COMPONENT_PATH_MISSING', MANIFEST_PATH, place, missing, 'Remove the line or add the files.');
  } else {
    subject.error('COMPONENT_PATH_MISSING', MANIFEST_PATH, place, missing, 'Correct the path or add the files.');
  }
}

function checkForm(subject: Subject, place: { json: (string | number)[] }, key: string, path: string): void {
  const wrong = (message: string, hint: string) =>
    subject.error('COMPONENT_PATH_FORM', MANIFEST_PATH, place, message, hint);
  const isRoot = key === 'skills' && path === '.';
  if (!path.startsWith('./') && !isRoot) wrong(`The path ${shown(path)} does not start with ./`, 'Write it as ./path.');
  const form = FORMS[key];
  if (form !== undefined && !form.fits(path, subject)) wrong(form.fault, form.mend);
}

function shown(path: string): string {
  return JSON.stringify(path.slice(0, 120));
}
