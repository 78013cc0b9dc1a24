// Everything that ships is what the real client accepts.
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { hvOk } from '../support/hv.ts';
import { bareRepository, REPOSITORY } from '../support/repository.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { claudePluginOk, installCore } from './harness/claude-plugin.ts';
import { validateByClient } from './harness/validate.ts';

/** The block the hub reads; the client says that it ignores it, and no other place in a manifest is quieter. */
const OWN_FIELD = /haivemind: Unknown field 'haivemind'\. Claude Code ignores it at load time\.$/;

let home: TempHome;
beforeAll(async () => {
  home = await tempHome('validate');
});
afterAll(() => home.remove());

async function expectClean(path: string, type: 'plugin' | 'marketplace') {
  const report = await validateByClient(home, path);
  expect(report.errors).toEqual([]);
  expect(report.warnings.filter((warning) => !OWN_FIELD.test(warning))).toEqual([]);
  expect(report).toMatchObject({ success: true, type });
}

it('the core plugin', async () => {
  await expectClean(join(await bareRepository(), '.claude-plugin', 'plugin.json'), 'plugin');
});

it('the marketplace of this repository', async () => {
  await expectClean(join(await bareRepository(), '.claude-plugin', 'marketplace.json'), 'marketplace');
});

it('the other built-in plugins', async () => {
  const folders = await readdir(join(REPOSITORY, 'plugins')).catch(() => []);
  for (const name of folders) await expectClean(join(REPOSITORY, 'plugins', name), 'plugin');
});

it('all three pass hv validate --strict', async () => {
  // As the hub publishes it: without what only the repository needs.
  const core = join(home.project, 'as published');
  const from = await bareRepository();
  const rest = /^(tests|bench|docs|plugins)([\\/]|$)/;
  await cp(from, core, { recursive: true, filter: (path) => !rest.test(relative(from, path)) });
  const built = [core, ...['elasticsearch-ops', 'incident-response'].map((n) => join(REPOSITORY, 'plugins', n))];
  for (const folder of built) {
    const { findings } = await hvOk(home, ['validate', folder, '--strict']);
    expect(
      findings.filter((f: { severity: string }) => f.severity !== 'note'),
      folder,
    ).toEqual([]);
  }
});

it('what the core always costs a session is under 600 tokens, by the client', async () => {
  await installCore(home);
  const { stdout } = await claudePluginOk(home, 'details', 'haivemind-core');
  const said = /always[- ]on[^\d~]*~?([\d.,]+)\s*(k?)\s*tok/i.exec(stdout);
  expect(said, stdout).not.toBeNull();
  const tokens = Number(said?.[1]?.replaceAll(',', '')) * (said?.[2] === 'k' ? 1000 : 1);
  expect(tokens, stdout).toBeGreaterThan(50);
  expect(tokens, stdout).toBeLessThan(600);
});

const ALL = ['commands', 'agents', 'skills', 'hooks', 'mcp'];
it.each([
  [],
  ...ALL.map((component) => ['--with', component]),
  ['--with', ALL.join(',')],
  ...['elasticsearch-ops', 'incident-response'].flatMap((name) => [
    ['--template', name],
    ['--template', name, '--with', ALL.join(',')],
  ]),
])('what hv create %j %j %j %j writes', async (...options) => {
  const path = `made ${options.join(' ')}`;
  await hvOk(home, ['create', 'fresh-plugin', '--path', path, ...options]);
  await expectClean(join(home.project, path), 'plugin');
  expect(await hvOk(home, ['validate', path, '--strict'])).toMatchObject({ ok: true, findings: [] });
});

it('and the client refuses the core plugin once its manifest is broken', async () => {
  const copy = join(home.project, 'broken');
  await cp(join(await bareRepository(), '.claude-plugin'), join(copy, '.claude-plugin'), { recursive: true });
  const manifest = join(copy, '.claude-plugin', 'plugin.json');
  const parsed = JSON.parse(await readFile(manifest, 'utf8')) as Record<string, unknown>;
  await writeFile(manifest, JSON.stringify({ ...parsed, dependencies: { plugins: ['x@^1.0.0'] } }));
  const report = await validateByClient(home, manifest);
  expect(report.success).toBe(false);
  expect(report.errors.join()).toContain('dependencies');
});
