import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { describe, expect, it } from 'vitest';

/** Which rooms each room may import (docs/architecture.md). */
const MAY_IMPORT: Record<string, readonly string[]> = {
  domain: ['domain'],
  contract: ['contract', 'domain'],
  storage: ['storage', 'contract', 'domain'],
  machine: ['machine', 'contract', 'domain'],
  hub: ['hub', 'storage', 'contract', 'domain'],
  client: ['client', 'machine', 'contract', 'domain'],
  interfaces: ['interfaces', 'client', 'machine', 'contract', 'domain'],
};

/** Packages and places that exactly one file may touch. */
const SINGLE_PLACES: { pattern: RegExp; allowed: readonly string[] }[] = [
  { pattern: /from 'gray-matter'|import\('gray-matter'\)/, allowed: ['domain/version/front-matter.ts'] },
  { pattern: /from 'better-sqlite3'|import\('better-sqlite3'\)/, allowed: ['storage/sqlite.ts'] },
  { pattern: /(?<!type .*)from 'pg'|import\('pg'\)/, allowed: ['storage/postgres.ts'] },
  // hub/bundle.ts only prints it: the line that joins a machine runs there. The templates are texts of plugins.
  {
    pattern: /process\.env\b/,
    allowed: ['interfaces/environment.ts', 'hub/config.ts', 'hub/bundle.ts', 'machine/scaffold/templates.ts'],
  },
];

const source = resolve(import.meta.dirname, '../server/src');

interface Import {
  file: string;
  target: string;
  line: string;
}

function sourceFiles(): string[] {
  return readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((f) => f.endsWith('.ts') && !f.endsWith('.test.ts'))
    .map((f) => f.split(sep).join('/'));
}

function importsOf(file: string, text: string): Import[] {
  const found = text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']*)'/g);
  return [...found].map((m) => ({
    file,
    line: m[0],
    target: relative(source, resolve(dirname(join(source, file)), m[1] ?? '')),
  }));
}

function breaches(files: readonly { file: string; text: string }[]): string[] {
  return files.flatMap(({ file, text }) => {
    const room = file.split('/')[0] ?? '';
    const wrong = importsOf(file, text).filter((i) => !(MAY_IMPORT[room] ?? []).includes(i.target.split(sep)[0] ?? ''));
    // The CLI starts the hub by loading the hub's own bundle beside it.
    return wrong.filter((i) => !i.target.endsWith('hub.mjs')).map((i) => `${file}: ${i.line}`);
  });
}

const all = sourceFiles().map((file) => ({ file, text: readFileSync(join(source, file), 'utf8') }));

describe('the house', () => {
  it('has imports that point down only', () => {
    expect(all.length).toBeGreaterThan(20);
    expect(breaches(all)).toEqual([]);
  });

  it('notices an import that points up', () => {
    const text = "import { openStore } from '../storage/store.ts';";
    expect(breaches([{ file: 'machine/sneaky.ts', text }])).toHaveLength(1);
    expect(breaches([{ file: 'domain/sneaky.ts', text: "await import('../client/sync.ts')" }])).toHaveLength(1);
  });

  it.each(SINGLE_PLACES)('touches $pattern in one place', ({ pattern, allowed }) => {
    const users = all.filter((f) => pattern.test(f.text)).map((f) => f.file);
    expect(users.filter((f) => !allowed.includes(f))).toEqual([]);
  });
});

describe('docs/architecture.md', () => {
  const doc = readFileSync(resolve(source, '../../docs/architecture.md'), 'utf8');
  const plan = /## Rooms\n([\s\S]*?)\n\n/.exec(doc)?.[1] ?? '';
  const foldersOf = (path: string) =>
    readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  const unnamed = (rooms: readonly string[]) => rooms.filter((room) => !new RegExp(`\\b${room}/`).test(plan));
  const lost = (text: string) =>
    [...text.matchAll(/(?<![\w/.-])(?:domain|contract|storage|machine|hub|client|interfaces)(?:\/[a-z-]+)+/g)]
      .map(([path]) => path)
      .filter((path) => !existsSync(join(source, path)) && !existsSync(join(source, `${path}.ts`)));

  it('names every room, and notices one that it does not name', () => {
    const rooms = Object.keys(MAY_IMPORT).flatMap((layer) => foldersOf(join(source, layer)));
    const ofTests = foldersOf(import.meta.dirname).filter((name) => !['fixtures', 'support'].includes(name));
    expect(unnamed([...Object.keys(MAY_IMPORT), ...rooms, ...ofTests])).toEqual([]);
    expect(unnamed(['domain', 'nowhere'])).toEqual(['nowhere']);
  });

  it('leads only to files and folders that are there', () => {
    expect(lost(doc)).toEqual([]);
    expect(lost('client/sync, client/nowhere and domain/plan/nothing')).toEqual([
      'client/nowhere',
      'domain/plan/nothing',
    ]);
  });
});
