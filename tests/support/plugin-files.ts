import type { SourceFile } from '../../server/src/domain/version/package.ts';

/** For tests: a plugin's files from a map of path → text, bytes or JSON value. */
export function pluginFiles(contents: Record<string, unknown>, executable: readonly string[] = []): SourceFile[] {
  return Object.entries(contents).map(([path, value]) => ({
    path,
    bytes: Buffer.isBuffer(value)
      ? value
      : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value, null, 2)),
    executable: executable.includes(path),
  }));
}

/** For tests: plugin.json with the fields that nobody complains about, and more. */
export function manifestWith(fields: Record<string, unknown> = {}): Record<string, unknown> {
  return { name: 'pp', version: '1.0.0', description: 'A plugin for a test', author: { name: 'Tester' }, ...fields };
}

/** For tests: the text of one file. */
export function textOf(files: readonly SourceFile[], path: string): string {
  return files.find((f) => f.path === path)?.bytes.toString('utf8') ?? '';
}
