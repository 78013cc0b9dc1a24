// `hv validate`: what it says, in which forms, and what --fix does to a folder.
import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type ClientContext, openClient } from '../../server/src/client/context.ts';
import { validateSource } from '../../server/src/client/publish/validate.ts';
import { toSarif } from '../../server/src/domain/findings/sarif.ts';
import { writeSource } from '../client/agreement/compare.ts';
import { manifestWith, pluginFiles } from '../support/plugin-files.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { treeSnapshot } from '../support/tree-snapshot.ts';
import { md } from './one-fault.ts';

let home: TempHome;
let ctx: ClientContext;
let folder = '';
beforeEach(async () => {
  home = await tempHome('validate');
  folder = join(home.project, 'pp');
  const none = {
    claudeConfigDir: undefined,
    haivemindHome: undefined,
    hubUrl: undefined,
    token: undefined,
    caFile: undefined,
  };
  ctx = await openClient({ home: home.home, path: '', ...none });
});
afterEach(() => home.remove());

const faulty = {
  '.claude-plugin/plugin.json': manifestWith({ components: { commands: './commands/' } }),
  'commands/a.md': `${md('description: Deploys\nargument-hint: <n>')}Do it.\n`,
  'hooks/hooks.json': {
    hooks: {
      PreToolUse: [
        { matcher: 'Bash(kubectl:*)', hooks: [{ type: 'command', command: '"${CLAUDE_PLUGIN_ROOT}/x.sh"' }] },
      ],
    },
  },
  'x.sh': '#!/bin/sh\ntrue\n',
};

it('mends in place what is safe, shows it, and finds nothing more the second time', async () => {
  await writeSource(folder, pluginFiles(faulty));
  const before = await validateSource(ctx, folder);
  expect(before.findings.map((f) => f.code).sort()).toEqual([
    'COMPONENTS_IGNORED',
    'HOOK_MATCHER_RULE',
    'SCRIPT_NOT_EXECUTABLE',
  ]);
  expect(before.fixed).toEqual([]);
  const mended = await validateSource(ctx, folder, { fix: true });
  expect(mended.findings).toEqual([]);
  expect(mended.fixed.map((f) => f.file).sort()).toEqual(['.claude-plugin/plugin.json', 'hooks/hooks.json', 'x.sh']);
  const hooks = mended.fixed.find((f) => f.file === 'hooks/hooks.json')?.diff ?? '';
  expect(hooks).toMatch(/^-\s+"matcher": "Bash\(kubectl:\*\)",$/m);
  expect(hooks).toMatch(/^\+\s+"if": "Bash\(kubectl:\*\)"$/m);
  expect(await readFile(join(folder, 'hooks/hooks.json'), 'utf8')).toContain('"matcher": "Bash"');
  expect((await stat(join(folder, 'x.sh'))).mode & 0o111).toBe(0o111);
  const after = await treeSnapshot(folder);
  expect((await validateSource(ctx, folder, { fix: true })).fixed).toEqual([]);
  expect(await treeSnapshot(folder)).toEqual(after);
});

it('mends the line ends of scripts, and of nothing else', async () => {
  const rest = { 'data.csv': 'a\r\nb\r\n', 'good.sh': '#!/bin/sh\ntrue\n', 'commands/a.md': md('description: A') };
  const bytes = Buffer.from('#!/bin/sh\r\necho \xe9\r\n', 'latin1');
  const files = pluginFiles({ '.claude-plugin/plugin.json': manifestWith(), ...rest });
  await writeSource(folder, [...files, { path: 'bin/x', bytes, executable: true }]);
  const codes = ({ findings }: Awaited<ReturnType<typeof validateSource>>) =>
    findings.map((f) => `${f.code} ${f.file}`);
  expect(codes(await validateSource(ctx, folder))).toEqual(['SCRIPT_LINE_ENDS bin/x']);
  const mended = await validateSource(ctx, folder, { fix: true });
  expect([codes(mended), mended.fixed.map((f) => f.file)]).toEqual([[], ['bin/x']]);
  expect(await readFile(join(folder, 'bin/x'), 'latin1')).toBe('#!/bin/sh\necho \xe9\n');
  expect((await stat(join(folder, 'bin/x'))).mode & 0o111).toBe(0o111);
  expect(await readFile(join(folder, 'data.csv'), 'utf8')).toBe(rest['data.csv']);
});

it('says of what Claude Code would load whether publishing refuses it, and why', async () => {
  const write = (files: Record<string, unknown>) =>
    writeSource(folder, pluginFiles({ '.claude-plugin/plugin.json': manifestWith(), ...files }));
  await write({ 'commands/a.md': `${md('description: Deploys')}Do it.\n` });
  expect(await validateSource(ctx, folder)).toMatchObject({ ok: true, refused: null });
  await write({ 'data/nul.bin': 'x' });
  const device = await validateSource(ctx, folder);
  expect(device).toMatchObject({
    ok: true,
    refused: { code: 'PATH_UNSAFE', message: expect.stringContaining('nul.bin') },
  });
  const permissions = { tools: [] };
  await write({ '.claude-plugin/plugin.json': manifestWith({ haivemind: { permissions } }), 'bin/x': 'x' });
  await rm(join(folder, 'data'), { recursive: true });
  expect(await validateSource(ctx, folder)).toMatchObject({ ok: true, refused: { code: 'SURFACE_EXCEEDED' } });
  await write({ '.claude-plugin/plugin.json': '{' });
  expect(await validateSource(ctx, folder)).toMatchObject({ ok: false, refused: null });
});

it('warnings fail only where asked to, and a policy makes an error of one', async () => {
  await writeSource(folder, pluginFiles(faulty));
  expect((await validateSource(ctx, folder)).ok).toBe(true);
  expect((await validateSource(ctx, folder, { strict: true })).ok).toBe(false);
  ctx.config.plugins.findings = { SCRIPT_NOT_EXECUTABLE: 'error', COMPONENTS_IGNORED: 'off' };
  const judged = await validateSource(ctx, folder);
  expect(judged.ok).toBe(false);
  expect(judged.findings.map((f) => `${f.severity} ${f.code}`)).toEqual([
    'error SCRIPT_NOT_EXECUTABLE',
    'warning HOOK_MATCHER_RULE',
  ]);
});

it('says what each component costs of the context', async () => {
  const skill = `${md(`name: s\ndescription: ${'word '.repeat(40)}`)}${'body '.repeat(400)}`;
  await writeSource(folder, pluginFiles({ ...faulty, 'skills/s/SKILL.md': skill }));
  const { cost } = await validateSource(ctx, folder);
  expect(cost.components.map((c) => [c.kind, c.name])).toEqual([
    ['skill', 's'],
    ['command', 'a'],
  ]);
  expect(cost.components[0]?.always).toBeGreaterThan(45);
  expect(cost.components[0]?.always).toBeLessThan(60);
  expect(cost.components[0]?.onUse).toBeGreaterThan(480);
  expect(cost.always).toBe(cost.components.reduce((sum, c) => sum + c.always, 0));
});

it('speaks SARIF 2.1.0', async () => {
  await writeSource(folder, pluginFiles({ ...faulty, 'commands/ä b.md': 'no front matter' }));
  const { findings } = await validateSource(ctx, folder);
  const log = toSarif(findings, '1.0.0') as {
    version: string;
    runs: { tool: unknown; results: Record<string, unknown>[] }[];
  };
  expect(log.version).toBe('2.1.0');
  expect(log.runs).toHaveLength(1);
  expect(log.runs[0]?.results).toHaveLength(findings.length);
  expect(log.runs[0]?.results).toContainEqual({
    ruleId: 'FRONT_MATTER_MISSING',
    ruleIndex: 1,
    level: 'warning',
    message: { text: expect.stringContaining('no front matter') },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: 'commands/%C3%A4%20b.md' },
          region: { startLine: 1, startColumn: 1 },
        },
      },
    ],
  });
});

it('refuses to mend a zip', async () => {
  await writeSource(home.project, pluginFiles({ 'x.zip': 'PK' }));
  await expect(validateSource(ctx, join(home.project, 'x.zip'), { fix: true })).rejects.toMatchObject({
    code: 'ARCHIVE_INVALID',
  });
  await expect(validateSource(ctx, join(home.project, 'nothing'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
});
