import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { packPlugin } from '../domain/package.ts';
import { translate } from '../domain/translate.ts';
import { validatePlugin } from '../domain/validate/index.ts';
import { readPlugin } from './read-plugin.ts';
import { SCAFFOLD_COMPONENTS, type ScaffoldComponent, scaffold, writeScaffold } from './scaffold.ts';

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'scaffold-'));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

describe('scaffold', () => {
  it.each([[[]], [[...SCAFFOLD_COMPONENTS]], ...SCAFFOLD_COMPONENTS.map((c) => [[c]] as [ScaffoldComponent[]])])(
    'makes a plugin with %j that has no finding and needs no translation',
    (components) => {
      const files = scaffold('my-plugin', { components, description: 'Says: "hello" [to] #everybody' });
      expect(validatePlugin(files)).toEqual([]);
      expect(translate(files).changes).toEqual([]);
      const { manifest } = packPlugin(files, { maxBytes: 1e6, now: new Date(0) });
      expect(manifest).toMatchObject({
        name: 'my-plugin',
        version: '0.1.0',
        description: 'Says: "hello" [to] #everybody',
      });
    },
  );
  it('refuses bad names, templates and components', () => {
    expect(() => scaffold('My Plugin', { components: [] })).toThrow(expect.objectContaining({ code: 'NAME_INVALID' }));
    expect(() => scaffold('cache', { components: [] })).toThrow(expect.objectContaining({ code: 'NAME_RESERVED' }));
    expect(() => scaffold('x', { components: [], template: 'no' })).toThrow(expect.objectContaining({ code: 'USAGE' }));
    expect(() => scaffold('x', { components: ['toys' as ScaffoldComponent] })).toThrow(
      expect.objectContaining({ code: 'USAGE' }),
    );
  });
});

describe('writeScaffold', () => {
  const files = scaffold('x', { components: [...SCAFFOLD_COMPONENTS] });
  it('writes what reads back the same, scripts executable', async () => {
    const dir = join(root, 'new', 'x');
    await writeScaffold(dir, files);
    expect(await readPlugin(dir, { maxBytes: 1e6 })).toEqual(files);
    expect((await stat(join(dir, 'hooks/after-commit.sh'))).mode & 0o111).not.toBe(0);
  });
  it('writes into an empty folder, never into another', async () => {
    await mkdir(join(root, 'empty'));
    await writeScaffold(join(root, 'empty'), files);
    await writeFile(join(root, 'file'), 'mine');
    for (const dir of [join(root, 'empty'), join(root, 'file'), join(root, 'file', 'x')]) {
      await expect(writeScaffold(dir, files)).rejects.toMatchObject({ code: 'PATH_OCCUPIED' });
    }
    await expect(
      writeScaffold(root, [{ path: '../out', bytes: Buffer.from(''), executable: false }]),
    ).rejects.toMatchObject({
      code: 'PATH_UNSAFE',
    });
    expect((await readdir(root)).sort()).toEqual(['empty', 'file']);
  });
});
