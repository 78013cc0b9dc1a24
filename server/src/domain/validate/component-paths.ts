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

function checkPathOf(
  subject: Subject,
  at: (string | number)[],
  key: string,
  path: string,
  isComponents: boolean,
): void {
  const place = { json: at };
  if (/^[a-z]+:\/\/.*\.(?:mcpb|dxt)$/i.test(path) && key === 'mcpServers') return;
  const plain = plainPath(path);
  if (path.startsWith('/') || /^[A-Za-z]:/.test(path) || path.includes('\\') || path.split('/').includes('..')) {
    subject.error(
      'COMPONENT_PATH_UNSAFE',
      MANIFEST_PATH,
      place,
      `The path ${shown(path)} leaves the plugin.`,
      'Name a path inside the plugin, starting with ./',
    );
    return;
  }
  const isDefault =
    isComponents && ['commands', 'agents', 'skills', 'hooks', 'hooks/hooks.json', '.mcp.json'].includes(plain);
  if (!isComponents) {
    const isRoot = key === 'skills' && path === '.';
    if (!path.startsWith('./') && !isRoot) {
      subject.error(
        'COMPONENT_PATH_FORM',
        MANIFEST_PATH,
        place,
        `The path ${shown(path)} does not start with ./`,
        'Write it as ./path.',
      );
    }
    if (key === 'agents' && !path.endsWith('.md')) {
      subject.error(
        'COMPONENT_PATH_FORM',
        MANIFEST_PATH,
        place,
        'Claude Code wants .md files under `agents`, not folders.',
        'List the files, or leave `agents` out: ./agents/ is found by itself.',
      );
    }
    if ((key === 'hooks' || key === 'monitors') && !path.endsWith('.json')) {
      subject.error(
        'COMPONENT_PATH_FORM',
        MANIFEST_PATH,
        place,
        `Claude Code wants a .json file under \`${key}\`.`,
        'Name the file itself.',
      );
    }
  }
  if (key === 'mcpServers' && !isComponents && !/\.(?:json|mcpb|dxt)$/.test(path)) {
    subject.error(
      'COMPONENT_PATH_FORM',
      MANIFEST_PATH,
      place,
      'Claude Code wants a .json, .mcpb or .dxt file under `mcpServers`.',
      'Name the file itself.',
    );
  }
  if (key === 'skills' && !isComponents && subject.has(plain)) {
    subject.error(
      'COMPONENT_PATH_FORM',
      MANIFEST_PATH,
      place,
      'Claude Code wants folders with a SKILL.md under `skills`, not files.',
      'Name the folder.',
    );
  }
  if (plain === '' || plain === '.' || subject.has(plain) || subject.hasFolder(plain)) return;
  if (isDefault) {
    subject.warn(
      'COMPONENT_PATH_MISSING',
      MANIFEST_PATH,
      place,
      `There is nothing at ${shown(path)}.`,
      'Remove the line or add the files.',
    );
  } else {
    subject.error(
      'COMPONENT_PATH_MISSING',
      MANIFEST_PATH,
      place,
      `There is nothing at ${shown(path)}.`,
      'Correct the path or add the files.',
    );
  }
}

function shown(path: string): string {
  return JSON.stringify(path.slice(0, 120));
}
