// What an author's folder holds and no version should: private files, caches, pointers of git LFS.
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type ClientContext, openClient } from '../../server/src/client/context.ts';
import { packFolder } from '../../server/src/client/publish/index.ts';
import { validateSource } from '../../server/src/client/publish/validate.ts';
import { packPlugin } from '../../server/src/domain/version/package.ts';
import { writeSource } from '../client/agreement/compare.ts';
import { manifestWith, pluginFiles } from '../support/plugin-files.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { md } from './one-fault.ts';

let home: TempHome;
let ctx: ClientContext;
let folder = '';
beforeEach(async () => {
  home = await tempHome('author-files');
  folder = join(home.project, 'pp');
  const none = { claudeConfigDir: undefined, haivemindHome: undefined };
  ctx = await openClient({
    home: home.home,
    path: '',
    ...none,
    hubUrl: undefined,
    token: undefined,
    caFile: undefined,
  });
});
afterEach(() => home.remove());

const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'4'.repeat(64)}\nsize 12345\n`;
const plugin = (files: Record<string, unknown>, haivemind: Record<string, unknown> = {}) =>
  pluginFiles({
    '.claude-plugin/plugin.json': manifestWith({ haivemind }),
    'commands/a.md': `${md('description: A')}Do it.\n`,
    ...files,
  });
const packed = async () => {
  const { record, findings } = await packFolder(ctx, folder);
  const paths = record.files.map((f) => f.path).filter((path) => !/^(\.claude-plugin|commands)\//.test(path));
  return { paths, findings: findings.map((f) => `${f.severity} ${f.code} ${f.file}`) };
};

it("leaves an author's private files and caches at home, and says which", async () => {
  const left = ['.env', 'server/.env.local', 'own/.npmrc', 'keys/id_ed25519', '.claude/settings.local.json'];
  const rest = ['.env.example', 'server/env.js', 'environment', 'keys/id_ed25519.pub', '.claude/settings.json'];
  const made = Object.fromEntries([...left, ...rest].map((path) => [path, 'A=b\n']));
  made['own/.npmrc'] = 'ignore-scripts=true\n//registry.example/:_authToken=${TOKEN}\n';
  made['.npmrc'] = '# no _password=\nignore-scripts=true\n';
  rest.push('.npmrc');
  await writeSource(folder, plugin({ ...made, 'lib/__pycache__/x.cpython-312.pyc': 'cache' }));
  const { paths, findings } = await packed();
  expect(paths).toEqual([...rest].sort());
  expect(findings.sort()).toEqual(left.map((path) => `warning PRIVATE_FILE_LEFT_OUT ${path}`).sort());
  const told = (await validateSource(ctx, folder)).findings.find((f) => f.file === '.env');
  expect(told).toMatchObject({ code: 'PRIVATE_FILE_LEFT_OUT', fix: expect.stringContaining('"include": [".env"]') });
});

it('ships such a file where plugin.json names it', async () => {
  await writeSource(folder, plugin({ '.env': 'A=b\n', 'x/.env': 'A=b\n' }, { include: ['./.env'] }));
  expect(await packed()).toEqual({ paths: ['.env'], findings: ['warning PRIVATE_FILE_LEFT_OUT x/.env'] });
});

it('refuses pointers of git LFS in the place of what they stand for, unless the author lets them pass', async () => {
  await writeSource(folder, plugin({ 'bin/tool': pointer, 'docs/lfs.md': `See:\n\n${pointer}` }));
  const refused = {
    code: 'COMPONENT_INVALID',
    message: expect.stringContaining('bin/tool'),
    hint: expect.stringContaining('git lfs pull'),
  };
  await expect(packFolder(ctx, folder)).rejects.toMatchObject(refused);
  expect(await validateSource(ctx, folder)).toMatchObject({
    ok: false,
    findings: [{ code: 'LFS_POINTER', file: 'bin/tool' }],
  });
  ctx.config.plugins.findings = { LFS_POINTER: 'warning' };
  expect(await packed()).toEqual({ paths: ['bin/tool', 'docs/lfs.md'], findings: ['warning LFS_POINTER bin/tool'] });
});

it('takes a plugin of others with such pointers, with a warning', () => {
  const { findings } = packPlugin(plugin({ 'docs/logo.png': pointer }), {
    maxBytes: 1e6,
    imported: true,
    now: new Date(0),
  });
  expect(findings.map((f) => `${f.severity} ${f.code} ${f.file}`)).toEqual(['warning LFS_POINTER docs/logo.png']);
});
