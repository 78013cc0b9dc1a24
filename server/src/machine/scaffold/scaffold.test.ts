import { mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { scanPlugin } from '../../domain/safety/index.ts';
import { translate } from '../../domain/translate/index.ts';
import { validatePlugin } from '../../domain/validate/index.ts';
import { MANIFEST_PATH } from '../../domain/version/file-types.ts';
import { packPlugin } from '../../domain/version/package.ts';
import { readPlugin } from '../read-plugin.ts';
import { SCAFFOLD_COMPONENTS, SCAFFOLD_TEMPLATES, type ScaffoldComponent, scaffold, writeScaffold } from './index.ts';

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'scaffold-'));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

describe('scaffold', () => {
  const subsets = Array.from({ length: 2 ** SCAFFOLD_COMPONENTS.length }, (_, bits) =>
    SCAFFOLD_COMPONENTS.filter((_, i) => (bits >> i) % 2 === 1),
  );
  it.each(SCAFFOLD_TEMPLATES)(
    'has no finding and needs no translation, from %s with any components',
    async (template) => {
      const description = 'Says: "hello" [to] #everybody';
      for (const components of [undefined, ...subsets]) {
        const files = scaffold('my-plugin', { template, components, description });
        expect([components, validatePlugin(files)]).toEqual([components, []]);
        expect(translate(files).changes).toEqual([]);
        const packed = packPlugin(files, { maxBytes: 1e6, now: new Date(0) });
        expect(packed.manifest).toMatchObject({ name: 'my-plugin', version: '0.1.0', description, machineGroups: [] });
        const has = (component: ScaffoldComponent) =>
          files.some((f) => (component === 'mcp' ? f.path === '.mcp.json' : f.path.startsWith(`${component}/`)));
        expect((components ?? []).filter((c) => !has(c))).toEqual([]);
      }
      expect(await scanPlugin(scaffold('my-plugin', { template, components: SCAFFOLD_COMPONENTS }))).toEqual([]);
    },
  );
  it.each(['elasticsearch-ops', 'incident-response'])(
    'starts from the built-in %s as it is, renamed',
    async (template) => {
      const original = await readPlugin(join(import.meta.dirname, '../../../../plugins', template), { maxBytes: 1e6 });
      const files = scaffold('my-plugin', { template });
      expect(files.map((f) => f.path)).toEqual(original.map((f) => f.path));
      for (const [i, { path, bytes }] of files.entries()) {
        expect(bytes.toString()).not.toContain(template);
        if (path === MANIFEST_PATH || path === 'README.md') continue;
        expect(bytes.toString()).toBe(original[i]?.bytes.toString().replaceAll(template, 'my-plugin'));
      }
    },
  );
  it('calls the tools of a template as Claude Code does, whatever its new name', () => {
    const files = scaffold('my.ops', { template: 'elasticsearch-ops' });
    const text = files.map((f) => f.bytes.toString()).join('\n');
    expect(text).toContain('mcp__plugin_my_ops_es__es_health');
    expect(text).not.toContain('mcp__plugin_my.ops');
  });
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
    await symlink(join(root, 'gone'), join(root, 'link'));
    await expect(writeScaffold(join(root, 'link'), files)).rejects.toMatchObject({ code: 'PATH_OCCUPIED' });
    await expect(writeScaffold('/proc/foo', files)).rejects.toMatchObject({ code: 'READ_ONLY' });
    expect((await readdir(root)).sort()).toEqual(['empty', 'file', 'link']);
  });
});
