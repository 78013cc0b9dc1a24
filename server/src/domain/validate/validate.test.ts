import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FAULTS, GOOD, good, M, MENDED, md, on, run } from '../../../../tests/packaging/one-fault.ts';
import { pluginFiles } from '../../../../tests/support/plugin-files.ts';
import { Finding as FindingSchema } from '../../contract/schemas.ts';
import { MANIFEST_PATH } from '../version/file-types.ts';
import { validatePlugin } from './index.ts';

const summary = (contents: Record<string, unknown>, executable: string[] = []) =>
  validatePlugin(pluginFiles(contents, executable)).map((f) => `${f.severity} ${f.code} ${f.file}`);

describe('validatePlugin', () => {
  it.each(FAULTS)('finds: %s', (_what, finding, contents) => {
    expect(summary(contents)).toEqual([finding]);
  });
  it.each(MENDED)('warns of what publishing mends: %s', (_what, finding, contents) => {
    expect(summary(contents)).toEqual([finding]);
    expect(validatePlugin(pluginFiles(contents))[0]?.fix).toMatch(/^Publishing translates this/);
  });
  it.each(GOOD)('has nothing to say on: %s', (_what, contents, executable = []) => {
    expect(summary(contents, executable)).toEqual([]);
  });
  it('gives findings in the contract’s shape, errors first, with line and column', () => {
    const findings = validatePlugin(
      pluginFiles({
        ...M({ foo: 1 }),
        'hooks/hooks.json': '{\n  "hooks": {\n    "PreToolUse": [\n      { "matcher": 3, "hooks": [] }\n    ]\n  }\n}',
      }),
    );
    for (const finding of findings) expect(FindingSchema.parse(finding)).toEqual(finding);
    expect(findings.map((f) => [f.severity, f.line, f.column])).toEqual([
      ['error', 4, 9],
      ['warning', 8, 3],
    ]);
    const [front] = validatePlugin(pluginFiles({ ...good, 'agents/a.md': md('name: a\ndescription: x\nmodel: gpt') }));
    expect([front?.line, front?.column]).toEqual([4, 1]);
    const [json] = validatePlugin(pluginFiles({ ...good, '.mcp.json': '{\n  "a": x\n}' }));
    expect([json?.code, json?.line]).toEqual(['JSON_INVALID', 2]);
  });
  it('refuses what is no range and says what nothing reads, in whatever form dependencies are written', () => {
    const found = (manifest: Record<string, unknown>) =>
      summary(M(manifest))
        .map((line) => line.split(' ').slice(0, 2).join(' '))
        .sort();
    for (const block of [
      { a: 'banana' },
      { a: { version: 'banana' } },
      { plugins: [{ name: 'a', range: 'banana' }] },
    ]) {
      expect(found({ dependencies: block })).toEqual(['error DEPENDENCY_UNSATISFIABLE', 'warning DEPENDENCIES_FORM']);
    }
    const kept = found({ haivemind: { dependencies: { a: 'banana' } } });
    expect(kept).toEqual(['error DEPENDENCY_UNSATISFIABLE', 'warning DEPENDENCIES_FORM']);
    const unread = ['warning DEPENDENCIES_FORM', 'warning UNKNOWN_FIELD'];
    expect(found({ dependencies: { a: '^1.0.0', tools: ['jq'] } })).toEqual(unread);
    expect(found({ haivemind: { dependencies: { tools: ['jq'] } } })).toEqual(['warning UNKNOWN_FIELD']);
    expect(validatePlugin(pluginFiles(M({ dependencies: { tools: ['jq'] } }))).at(-1)?.fix).not.toMatch(/^Publishing/);
  });
  it('suggests what was meant', () => {
    const message = (contents: Record<string, unknown>) => validatePlugin(pluginFiles(contents))[0]?.message;
    expect(message(M({ dependancies: [] }))).toContain('Did you mean dependencies?');
    expect(message(on('PreToolUs', run))).toContain('Did you mean PreToolUse?');
    expect(message(on('Stop', { type: 'comand' }))).toContain('Did you mean command?');
    expect(message(M({ zzzzzz: 1 }))).not.toContain('Did you mean');
  });
  it('finds only warnings in the examples of the design', () => {
    for (const name of ['devops-essentials', 'base-memory-tools']) {
      const root = join(import.meta.dirname, '../../../../tests/fixtures', name);
      const paths = (readdirSync(root, { recursive: true }) as string[]).filter((p) =>
        statSync(join(root, p)).isFile(),
      );
      const findings = validatePlugin(
        paths.map((path) => ({ path, bytes: readFileSync(join(root, path)), executable: false })),
      );
      expect(findings.filter((f) => f.severity === 'error')).toEqual([]);
      expect(findings.length > 0).toBe(name === 'devops-essentials');
    }
  });
});

describe('whatever it is given', () => {
  const files = ['.mcp.json', MANIFEST_PATH, 'hooks/hooks.json', 'commands/a.md', 'agents/a.md', 'skills/s/SKILL.md'];
  it('never throws', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((b) => Buffer.from(b)),
      fc.json().map((j) => Buffer.from(j)),
      fc.string({ unit: 'binary' }).map((s) => Buffer.from(`---\n${s}\n---\n`)),
    );
    const shape = fc.dictionary(fc.oneof(fc.constantFrom(...files), fc.string()), bytes, { maxKeys: 8 });
    fc.assert(fc.property(shape, (contents) => Array.isArray(validatePlugin(pluginFiles(contents)))));
  });
  it.each([
    ['one long line', 'x'.repeat(10_000_000)],
    ['deep JSON', '['.repeat(500_000)],
    ['deep closed JSON', `${'{"hooks":'.repeat(50_000)}1${'}'.repeat(50_000)}`],
    ['long front matter', `---\na: ${'x'.repeat(10_000_000)}\n---\n`],
    ['deep front matter', `---\na: ${'[{a: '.repeat(10_000)}\n---\n`],
    [
      'ten thousand faults',
      JSON.stringify({
        hooks: { PreToolUse: Array(10_000).fill(1) },
        mcpServers: Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [i, 1])),
      }),
    ],
    [
      'rules without end',
      JSON.stringify({
        hooks: {
          PreToolUse: Array(5000).fill({ matcher: 'Bash(a:*)|Edit(b)', hooks: [{ type: 'command', command: 'x' }] }),
        },
      }),
    ],
    [
      'quotes and roots',
      JSON.stringify({
        hooks: {
          Stop: [
            { hooks: [{ type: 'command', command: '"'.repeat(200_000) + '${CLAUDE_PLUGIN_ROOT}/'.repeat(10_000) }] },
          ],
        },
      }),
    ],
    ['paths without end', JSON.stringify({ name: 'pp', version: '1.0.0', commands: Array(60_000).fill('./x/y') })],
    [
      'names nobody knows',
      JSON.stringify(Object.fromEntries(Array.from({ length: 40_000 }, (_, i) => [`dependancy${i}`, 1]))),
    ],
    ['parentheses', `---\nallowed-tools: ${'('.repeat(60_000)}\n---\n`],
    ['dashes and grants', `---\nallowed-tools: ${'mcp__haivemind__*,'.repeat(3000)}\n---\n`],
    ['spaces', `---\n${' '.repeat(60_000)}\nallowed-tools: ${' -'.repeat(20_000)}\n---\n`],
  ])('ends soon on %s', (_what, text) => {
    const many = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`data/${i}.txt`, '']));
    for (const path of files) validatePlugin(pluginFiles({ ...good, ...many, [path]: text }));
  });
});
