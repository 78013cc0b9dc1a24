// A git address as plugin_url: fetched by the hub under the same rules as any other address.
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { isGitUrl, parseGitUrl } from '../../server/src/hub/fetch/git.ts';
import { writeFiles } from '../client/harness/hand-made-plugin.ts';
import { ask, type TestHub, testHub } from '../hub/support.ts';
import { type GitHttp, serveRepository } from '../support/git-http.ts';
import { manifestWith } from '../support/plugin-files.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { md } from './one-fault.ts';

let home: TempHome;
let repo: GitHttp;
let hub: TestHub;
let commit = '';
const git = (...args: string[]) =>
  execFileSync('git', ['-C', home.project, '-c', 'user.name=T', '-c', 'user.email=t@example.org', ...args], {
    env: home.env(),
    encoding: 'utf8',
  }).trim();

beforeEach(async () => {
  home = await tempHome('git');
  const plugin = { '.claude-plugin/plugin.json': manifestWith(), 'commands/go.md': md('description: Goes') };
  await writeFiles(home.project, {
    ...plugin,
    ...Object.fromEntries(
      Object.entries({ ...plugin, '.claude-plugin/plugin.json': manifestWith({ name: 'inner' }) }).map(
        ([path, text]) => [`deep/er/${path}`, text],
      ),
    ),
  });
  git('init', '-q');
  git('config', 'uploadpack.allowAnySHA1InWant', 'true');
  git('add', '.');
  git('commit', '-qm', 'first');
  git('tag', 'v1.0.0');
  commit = git('rev-parse', 'HEAD');
  await writeFiles(home.project, { '.claude-plugin/plugin.json': manifestWith({ version: '2.0.0' }) });
  git('commit', '-qam', 'second');
  repo = await serveRepository(home.project);
  hub = await testHub('sqlite');
});
afterEach(async () => {
  await hub.close();
  await repo.close();
  await home.remove();
});

const register = (url: string) =>
  ask(hub.url, 'POST', '/api/plugins/register', { token: hub.admin, body: { plugin_url: url } });

it('takes the newest commit, a tag, a commit and a folder of it, and records which commit that was', async () => {
  hub.config.allowedSourceHosts = [`127.0.0.1:${repo.port}`];
  expect((await register(repo.url)).expect(200)).toMatchObject({ name: 'pp', version: '2.0.0', created: true });
  expect((await register(`${repo.url}#v1.0.0`)).expect(200)).toMatchObject({ name: 'pp', version: '1.0.0' });
  expect((await register(`git+${repo.url}#${commit}`)).expect(200)).toMatchObject({ version: '1.0.0', created: false });
  expect((await register(`${repo.url}#v1.0.0:deep/er`)).expect(200)).toMatchObject({ name: 'inner', version: '1.0.0' });
  const audit = (await ask(hub.url, 'GET', '/api/audit?limit=50', { token: hub.admin })).text;
  expect(audit).toContain(`${repo.url}#v1.0.0 at ${commit}`);
});

it('refuses a plugin that lacks a submodule of its own, and no other', async () => {
  hub.config.allowedSourceHosts = [`127.0.0.1:${repo.port}`];
  git('-c', 'protocol.file.allow=always', 'submodule', '--quiet', 'add', home.project, 'skills');
  git('commit', '-qm', 'third');
  const refused = await register(repo.url);
  expect([refused.code, refused.json.hint]).toEqual(['SOURCE_UNSUPPORTED', expect.stringContaining('hv register')]);
  expect(refused.text).toContain('skills is a git submodule');
  expect((await register(`${repo.url}#HEAD:deep/er`)).expect(200)).toMatchObject({ name: 'inner' });
});

it('connects to no closed address, follows no redirect, and says what is not there', async () => {
  const closed = await register(repo.url);
  expect([closed.code, closed.json.hint]).toEqual(['FORBIDDEN', expect.stringContaining('allowed_source_hosts')]);
  expect((await register(`http://localhost:${repo.port}/repo.git`)).code).toBe('FORBIDDEN');
  expect(repo.requests).toEqual([]);
  hub.config.allowedSourceHosts = [`127.0.0.1:${repo.port}`];
  expect((await register(`${repo.url}#v9`)).code).toBe('NOT_FOUND');
  expect((await register(`${repo.url}#v1.0.0:nowhere`)).code).toBe('NOT_FOUND');
  expect((await register(repo.url.replace('repo.git', 'moved.git'))).code).toBe('NOT_FOUND');
  hub.config.maxPluginSizeMb = 0.0001;
  expect((await register(repo.url)).code).toBe('PLUGIN_TOO_LARGE');
});

it('reads addresses strictly', () => {
  for (const text of ['https://h/x.git', 'https://h/x.git#main', 'git+https://h/x', 'https://h/x.git/'])
    expect([text, isGitUrl(text)]).toEqual([text, true]);
  for (const text of ['https://h/x.zip', 'ssh://h/x.git', 'ext::sh.git', 'https://h/x?y.git'])
    expect([text, isGitUrl(text)]).toEqual([text, false]);
  for (const text of ['https://h/x.git#--upload-pack=x', 'https://h/x.git#a..b', 'https://h/x.git#a b'])
    expect(() => parseGitUrl(text)).toThrowError(expect.objectContaining({ code: 'BAD_REQUEST' }));
  expect(() => parseGitUrl('https://h/x.git#a:../b')).toThrowError(expect.objectContaining({ code: 'PATH_UNSAFE' }));
  expect(() => parseGitUrl('https://u:p@h/x.git')).toThrowError(expect.objectContaining({ code: 'BAD_REQUEST' }));
});
