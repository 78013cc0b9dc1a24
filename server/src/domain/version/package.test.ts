import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { manifestWith, pluginFiles } from '../../../../tests/support/plugin-files.ts';
import { HaiveError } from '../errors.ts';
import { validatePlugin } from '../validate/index.ts';
import { MANIFEST_PATH } from './file-types.ts';
import { type PackOptions, packPlugin, type SourceFile } from './package.ts';
import { checkRecord } from './record.ts';

const options: PackOptions = { maxBytes: 1_000_000, now: new Date('2026-01-02T03:04:05Z') };
const base = { [MANIFEST_PATH]: manifestWith() };

const errorOf = (files: SourceFile[], more: Partial<PackOptions> = {}): HaiveError => {
  try {
    packPlugin(files, { ...options, ...more });
  } catch (error) {
    if (error instanceof HaiveError) return error;
    throw error;
  }
  throw new Error('packed');
};

describe('packPlugin', () => {
  it('gives a record that checks, blobs by hash, and types', () => {
    const binary = Buffer.from([0, 255, 1, 254]);
    const files = pluginFiles(
      {
        ...base,
        'hooks/x.sh': '#!/bin/sh\n',
        'skills/s/SKILL.md': '---\nname: s\ndescription: d\n---\n',
        'skills/s/a.bin': binary,
        'b.bin': binary,
      },
      ['hooks/x.sh'],
    );
    const packed = packPlugin(files, { ...options, imported: true });
    expect(() => checkRecord(packed.record)).not.toThrow();
    expect(packed.record).toMatchObject({
      name: 'pp',
      version: '1.0.0',
      imported: true,
      packedAt: '2026-01-02T03:04:05.000Z',
    });
    expect(packed.record.files.map((f) => [f.path, f.executable])).toEqual([
      [MANIFEST_PATH, false],
      ['b.bin', false],
      ['hooks/x.sh', true],
      ['skills/s/SKILL.md', false],
      ['skills/s/a.bin', false],
    ]);
    expect(packed.blobs.size).toBe(4);
    for (const file of packed.record.files) expect(packed.blobs.get(file.sha256)?.length).toBe(file.size);
    expect(Object.fromEntries(packed.types)).toEqual({
      [MANIFEST_PATH]: 'other',
      ...{ 'b.bin': 'other', 'hooks/x.sh': 'hook', 'skills/s/SKILL.md': 'skill', 'skills/s/a.bin': 'skill' },
    });
    expect(packed.originalManifest).toBeNull();
  });
  it('keeps the original manifest where translation changed it, and translates only when asked', () => {
    const components = { commands: './commands/' };
    const files = pluginFiles({ [MANIFEST_PATH]: manifestWith({ components }) });
    const packed = packPlugin(files, options);
    expect(packed.originalManifest).toMatchObject({ components });
    expect(packed.manifest.raw.components).toBeUndefined();
    expect(packed.changes).toHaveLength(1);
    const asGiven = packPlugin(files, { ...options, translate: false });
    expect(asGiven.manifest.raw.components).toEqual(components);
    expect(asGiven.changes).toEqual(packed.changes);
    expect(asGiven.record.digest).not.toBe(packed.record.digest);
  });
  it('gives the same digest whatever the order or normalization of the names', () => {
    const files = pluginFiles({ ...base, 'docs/é.txt': '1', 'a.txt': '2', 'z.txt': '3' });
    const other = files.map((f) => ({ ...f, path: f.path.normalize('NFD') })).reverse();
    expect(packPlugin(other, options).record).toEqual(packPlugin(files, options).record);
  });
  it('changes its digest with a byte, a name or an executable bit', () => {
    const digest = (files: SourceFile[]) => packPlugin(files, options).record.digest;
    const all = [
      digest(pluginFiles({ ...base, a: '1' })),
      digest(pluginFiles({ ...base, a: '2' })),
      digest(pluginFiles({ ...base, b: '1' })),
      digest(pluginFiles({ ...base, a: '1' }, ['a'])),
      digest(pluginFiles({ [MANIFEST_PATH]: manifestWith({ version: '1.0.1' }), a: '1' })),
    ];
    expect(new Set(all).size).toBe(all.length);
  });
  it.each<[string, Record<string, unknown>, Partial<PackOptions>]>([
    ['MANIFEST_MISSING', { 'a.md': 'x' }, {}],
    ['MANIFEST_MISSING', { '.claude-plugin/Plugin.json': manifestWith() }, {}],
    ['MANIFEST_INVALID', { [MANIFEST_PATH]: '{' }, {}],
    ['NAME_RESERVED', { [MANIFEST_PATH]: manifestWith({ name: 'cache' }) }, {}],
    ['NAME_INVALID', { [MANIFEST_PATH]: manifestWith({ name: '../x' }) }, {}],
    ['VERSION_INVALID', { [MANIFEST_PATH]: manifestWith({ version: 'one' }) }, {}],
    ['PATH_UNSAFE', { ...base, '../x': '' }, {}],
    ['PATH_UNSAFE', { ...base, '/etc/x': '' }, {}],
    ['PATH_COLLISION', { ...base, 'A.md': '', 'a.md': '' }, {}],
    ['PLUGIN_TOO_LARGE', { ...base, big: Buffer.alloc(2000) }, { maxBytes: 2000 }],
    ['COMPONENT_INVALID', { ...base, '.mcp.json': '{' }, {}],
    ['COMPONENT_INVALID', { ...base, 'commands/a.md': '---\n- a\n---\n' }, {}],
  ])('refuses with %s', (code, contents, more) => {
    expect(errorOf(pluginFiles(contents), more).code).toBe(code);
  });
  it('names the finding that stopped it', () => {
    const error = errorOf(pluginFiles({ ...base, '.mcp.json': { mcpServers: { s: {} } } }));
    expect(error.message).toMatch(/^\.mcp\.json:3: .*"command"/);
    expect(error.details?.findings).toMatchObject([{ code: 'MCP_SERVER', severity: 'error', file: '.mcp.json' }]);
  });
  it('either packs or throws ours, whatever the files hold', () => {
    const name = fc.constantFrom(
      MANIFEST_PATH,
      '.mcp.json',
      'hooks/hooks.json',
      'commands/a.md',
      'agents/a.md',
      'skills/s/SKILL.md',
    );
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 100 }).map((b) => Buffer.from(b)),
      fc.json().map((j) => Buffer.from(j)),
      fc.string().map((s) => Buffer.from(`---\n${s}\n---\n`)),
    );
    fc.assert(
      fc.property(fc.dictionary(name, bytes), fc.boolean(), (contents, sound) => {
        try {
          packPlugin(pluginFiles({ ...contents, ...(sound ? base : {}) }), options);
        } catch (error) {
          expect(error).toBeInstanceOf(HaiveError);
          expect((error as HaiveError).code).not.toBe('INTERNAL');
        }
      }),
    );
  });
});
describe('JSON and YAML of great depth', () => {
  const array = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;
  const object = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;
  const manifest = (more: string) => `{"name":"pp","version":"1.0.0","description":"d","author":{"name":"A"}${more}}`;
  const KEYS = ['dependencies', 'hooks', 'mcpServers', 'lspServers', 'haivemind', 'components', 'commands', 'x'];
  const FILES = ['hooks/hooks.json', '.mcp.json', '.lsp.json', 'settings.json', 'data.json'];
  const rows = [5_000, 60_000].flatMap((levels) =>
    [array(levels), object(levels)].flatMap((deep): [what: string, files: Record<string, string>, code: RegExp][] => {
      const what = `${levels} ${deep[0]}`;
      return [
        ...KEYS.map((key): (typeof rows)[number] => [
          `${key} of plugin.json, ${what}`,
          { [MANIFEST_PATH]: manifest(`,"${key}":${deep}`) },
          /^MANIFEST_INVALID$/,
        ]),
        ...FILES.map((path): (typeof rows)[number] => [
          `${path}, ${what}`,
          { [MANIFEST_PATH]: manifest(''), [path]: `{"hooks":${deep}}` },
          /^(COMPONENT_INVALID|packed)$/,
        ]),
        [
          `front matter, ${what}`,
          { [MANIFEST_PATH]: manifest(''), 'commands/a.md': `---\ndescription: ${deep}\n---\nhello\n` },
          /^(COMPONENT_INVALID|packed)$/,
        ],
      ];
    }),
  );
  it.each(rows)('%s: is refused or left alone, and found', (_what, files, code) => {
    const all = pluginFiles(files);
    let told = 'packed';
    try {
      packPlugin(all, options);
    } catch (thrown) {
      told = thrown instanceof HaiveError ? thrown.code : String(thrown);
    }
    expect(told).toMatch(code);
    const findings = validatePlugin(all).map((finding) => finding.code);
    expect(findings).not.toContain('VALIDATION_FAILED');
    if (told === 'MANIFEST_INVALID') expect(findings).toContain('JSON_INVALID');
  });
});
