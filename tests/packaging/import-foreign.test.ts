// `hv import` of a folder that somebody else made: its `.git` may name programs, and none of them may run.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, mkdir, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ClientContext, openClient } from '../../server/src/client/context.ts';
import { importMarketplace } from '../../server/src/client/import/import.ts';
import { importVerb } from '../../server/src/interfaces/cli/verbs/import.ts';
import { writeFiles } from '../client/harness/hand-made-plugin.ts';
import { type TestHub, testHub } from '../hub/support.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { verbCall } from '../support/verb-call.ts';
import { md } from './one-fault.ts';

let hub: TestHub;
let home: TempHome;
let ctx: ClientContext;
let market = '';
let pwned = '';

const gitIn = (folder: string, ...args: string[]) =>
  execFileSync(
    'git',
    ['-C', folder, '-c', 'user.name=T', '-c', 'user.email=t@example.org', '-c', 'protocol.file.allow=always', ...args],
    { env: home.env(), encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  ).trim();
const commitAll = (folder: string) => {
  if (!existsSync(join(folder, '.git'))) gitIn(folder, 'init', '-q');
  gitIn(folder, 'add', '.');
  gitIn(folder, 'commit', '-qm', 'all');
  return gitIn(folder, 'rev-parse', 'HEAD');
};
const marketOf = (...names: string[]) => ({
  '.claude-plugin/marketplace.json': {
    plugins: names.map((name) => ({ name, source: `./plugins/${name}`, version: '1.0.0' })),
  },
});
const run = (from = market) => importMarketplace(ctx, from, home.project, { dryRun: true });
const brief = (report: Awaited<ReturnType<typeof run>>) =>
  report.plugins.map((p) => `${p.name} ${p.version} ${p.code ?? p.status}`);

/** Names a program wherever git's configuration may name one that a look at the folder could run. */
async function arm(git: string): Promise<void> {
  const program = `touch '${pwned}'; cat`;
  const more = join(git, 'more');
  await writeFile(more, `[filter "y"]\n\tclean = ${program}\n\tprocess = ${program}\n`);
  await appendFile(
    join(git, 'config'),
    `[filter "x"]\n\tclean = ${program}\n\tsmudge = ${program}\n\trequired = true
[core]\n\tfsmonitor = ${program}\n\tpager = ${program}\n\tsshCommand = ${program}\n\tgitProxy = ${program}
[diff]\n\texternal = ${program}\n[diff "x"]\n\ttextconv = ${program}\n\tcommand = ${program}
[status]\n\tsubmoduleSummary = true\n[pager]\n\tstatus = ${program}\n\tls-files = ${program}
[alias]\n\tstatus = !${program}\n[credential]\n\thelper = !${program}
[uploadpack]\n\tpackObjectsHook = ${program}\n[include]\n\tpath = more\n`,
  );
  await mkdir(join(git, 'info'), { recursive: true });
  await writeFile(join(git, 'info', 'attributes'), '*.md filter=x diff=x\n*.json filter=y\n');
  for (const hook of ['post-checkout', 'post-index-change', 'fsmonitor-watchman', 'reference-transaction']) {
    await mkdir(join(git, 'hooks'), { recursive: true });
    await writeFile(join(git, 'hooks', hook), `#!/bin/sh\n${program}\n`, { mode: 0o755 });
  }
}
const touch = (path: string) => utimes(path, new Date('2030-01-01'), new Date('2030-01-01'));

beforeEach(async () => {
  hub = await testHub('sqlite');
  home = await tempHome('foreign');
  market = join(home.project, 'märket place');
  pwned = join(home.project, 'pwned');
  const token = await hub.token(['publisher']);
  const none = { claudeConfigDir: undefined, haivemindHome: undefined, caFile: undefined };
  ctx = await openClient({ home: home.home, path: '', hubUrl: hub.url, token, ...none });
  await writeFiles(market, { ...marketOf('one'), 'plugins/one/commands/go.md': md('description: Goes') });
});
afterEach(async () => {
  await hub.close();
  await home.remove();
});

describe('a working copy', () => {
  it('runs no program that its configuration names, and is known by its commit all the same', async () => {
    const commit = commitAll(market);
    await arm(join(market, '.git'));
    await touch(join(market, 'plugins/one/commands/go.md'));
    expect(await run()).toMatchObject({ commit, imported: 1 });
    expect(await run(`file://${encodeURI(market)}`)).toMatchObject({ commit, imported: 1 });
    expect(existsSync(pwned)).toBe(false);
  });

  it('runs none of a repository inside it, nor fetches what a partial clone lacks', async () => {
    const inner = join(home.project, 'inner');
    await writeFiles(inner, { 'commands/in.md': md('description: Goes in') });
    commitAll(inner);
    commitAll(market);
    gitIn(market, 'submodule', '--quiet', 'add', inner, 'plugins/two');
    await writeFiles(market, marketOf('one', 'two'));
    const commit = commitAll(market);
    gitIn(market, 'submodule', '--quiet', 'absorbgitdirs');
    await arm(join(market, '.git/modules/plugins/two'));
    await touch(join(market, 'plugins/two/commands/in.md'));
    expect(await run()).toMatchObject({ commit, imported: 2 });
    await writeFiles(market, { 'plugins/two/commands/in.md': md('description: Goes elsewhere') });
    expect(await run()).toMatchObject({ commit: null, imported: 2 });
    gitIn(join(market, 'plugins/two'), 'commit', '-qam', 'moved on', '--no-verify');
    await rm(pwned, { force: true });
    expect(await run()).toMatchObject({ commit: null, imported: 2 });

    gitIn(market, 'config', 'remote.origin.url', 'ssh://nowhere.invalid/x');
    gitIn(market, 'config', 'remote.origin.promisor', 'true');
    gitIn(market, 'config', 'extensions.partialClone', 'origin');
    gitIn(market, 'config', 'core.repositoryFormatVersion', '1');
    await arm(join(market, '.git'));
    const tree = gitIn(market, 'rev-parse', 'HEAD^{tree}');
    await rm(join(market, '.git/objects', tree.slice(0, 2), tree.slice(2)));
    expect(await run()).toMatchObject({ commit: null, imported: 2 });
    await rm(join(market, '.git/objects', commit.slice(0, 2), commit.slice(2)));
    expect(await run()).toMatchObject({ commit: null, imported: 2 });
    await expect(run(`file://${encodeURI(market)}`)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(existsSync(pwned)).toBe(false);
  });

  it('is looked at from a hook of git without a change to the repository of the hook', async () => {
    const commit = commitAll(market);
    const other = join(home.project, 'other');
    await writeFiles(other, { 'a file': 'of the other' });
    commitAll(other);
    const before = gitIn(other, 'ls-files', '--stage');
    process.env.GIT_DIR = join(other, '.git');
    process.env.GIT_INDEX_FILE = join(other, '.git', 'index');
    const call = verbCall(home, hub.url, hub.admin, { args: [market], options: { dryRun: true } });
    const { json } = await importVerb(call).finally(() => {
      delete process.env.GIT_DIR;
      delete process.env.GIT_INDEX_FILE;
    });
    expect(json).toMatchObject({ commit, imported: 1 });
    expect(gitIn(other, 'ls-files', '--stage')).toBe(before);
    expect(gitIn(other, 'status', '--porcelain')).toBe('');
  });

  it('is known by its commit wherever git keeps it, and only while nothing is changed', async () => {
    const commit = commitAll(market);
    gitIn(market, 'pack-refs', '--all');
    gitIn(market, 'gc', '-q');
    expect((await run()).commit).toBe(commit);
    const tree = join(home.project, 'tree');
    gitIn(market, 'worktree', 'add', '-q', '-b', 'b/c', tree);
    expect((await run(tree)).commit).toBe(commit);
    gitIn(tree, 'checkout', '-q', '--detach');
    expect((await run(tree)).commit).toBe(commit);

    const whole = join(home.project, 'whole');
    await writeFiles(join(whole, 'a market'), marketOf('one'));
    await writeFiles(join(whole, 'a market'), { 'plugins/one/commands/go.md': md('description: Goes') });
    const all = commitAll(whole);
    await writeFile(join(whole, 'beside'), 'new');
    expect((await run(join(whole, 'a market'))).commit).toBe(all);
    await writeFile(join(whole, 'a market', 'inside'), 'new');
    expect((await run(join(whole, 'a market'))).commit).toBe(null);

    await writeFiles(market, { 'plugins/one/commands/go.md': md('description: Goes otherwise') });
    expect((await run()).commit).toBe(null);
    expect(brief(await run())).toEqual(['one 1.0.0 imported']);
  });
});

describe('what is not there', () => {
  const entries = (...plugins: unknown[]) => ({ '.claude-plugin/marketplace.json': { plugins } });
  const told = (report: Awaited<ReturnType<typeof run>>) => report.plugins.map((p) => `${p.code}: ${p.message}`);

  it('is no plugin, unless the entry or a component makes it one', async () => {
    for (const name of ['bare', 'named', 'words', 'inline', 'skill', 'lsp', 'style'])
      await mkdir(join(market, 'plugins', name), { recursive: true });
    await writeFiles(join(market, 'plugins'), {
      'words/README.md': 'Words',
      'skill/skills/a/SKILL.md': md('name: a\ndescription: Does a'),
      'lsp/.lsp.json': { go: { command: 'gopls', extensionToLanguage: { '.go': 'go' } } },
      'style/output-styles/terse.md': md('name: terse\ndescription: Terse'),
    });
    const at = (name: string, more = {}) => ({ name, source: `./plugins/${name}`, ...more });
    await writeFiles(
      market,
      entries(
        at('bare'),
        at('named', { skills: ['./skills/a'] }),
        at('words'),
        at('inline', { mcpServers: { a: { command: 'a' } } }),
        ...['skill', 'lsp', 'style'].map((name) => at(name)),
      ),
    );
    const report = await run();
    expect(report.plugins.map((p) => [p.name, p.code ?? p.status])).toEqual([
      ['bare', 'NOT_FOUND'],
      ['named', 'COMPONENT_INVALID'],
      ['words', 'NOT_FOUND'],
      ...['inline', 'skill', 'lsp', 'style'].map((name) => [name, 'imported']),
    ]);
    expect(told(report)[0]).toContain('There is no plugin at plugins/bare');
  });

  it('of a submodule is told with its name, and taken where it is checked out', async () => {
    const inner = join(home.project, 'inner');
    await writeFiles(inner, { 'skills/in/SKILL.md': md('name: in\ndescription: Goes in') });
    commitAll(inner);
    commitAll(market);
    for (const to of ['plugins/two', 'plugins/three/skills', 'elsewhere'])
      gitIn(market, 'submodule', '--quiet', 'add', inner, to);
    await writeFiles(market, {
      'plugins/three/commands/go.md': md('description: Goes'),
      ...entries(
        { name: 'one', source: './plugins/one' },
        { name: 'two', source: './plugins/two' },
        { name: 'deep', source: './plugins/two/skills' },
        { name: 'three', source: './plugins/three' },
        { name: 'picked', source: './', commands: ['./plugins/one/commands/go.md'] },
        { name: 'whole', source: './', strict: false, hooks: {} },
      ),
    });
    commitAll(market);
    const near = join(home.project, 'near');
    gitIn(home.project, 'clone', '-q', market, near);
    for (const from of [`file://${encodeURI(market)}`, near]) {
      const report = await run(from);
      expect(report.plugins.map((p) => [p.name, p.code])).toEqual([
        ['one', null],
        ['two', 'SOURCE_UNSUPPORTED'],
        ['deep', 'SOURCE_UNSUPPORTED'],
        ['three', 'SOURCE_UNSUPPORTED'],
        ['picked', null],
        ['whole', 'SOURCE_UNSUPPORTED'],
      ]);
      expect(told(report)[3]).toMatch(/plugins\/three\/skills.*submodule.*--recurse-submodules/);
    }
    expect((await run()).plugins.map((p) => p.code)).toEqual([null, null, 'NOT_FOUND', null, null, null]);
  });
});
