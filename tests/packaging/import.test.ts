// `hv import`: every plugin of a marketplace into a real hub, again and again, whatever is wrong with one of them.
import { execFileSync } from 'node:child_process';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ClientContext, openClient } from '../../server/src/client/context.ts';
import { type ImportOptions, importMarketplace } from '../../server/src/client/import/import.ts';
import { writeFiles } from '../client/harness/hand-made-plugin.ts';
import { ask, type TestHub, testHub } from '../hub/support.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { md } from './one-fault.ts';

let hub: TestHub;
let home: TempHome;
let ctx: ClientContext;
let market = '';

beforeEach(async () => {
  hub = await testHub('sqlite');
  home = await tempHome('import');
  market = join(home.project, 'märket place');
  const token = await hub.token(['publisher']);
  const none = { claudeConfigDir: undefined, haivemindHome: undefined, caFile: undefined };
  ctx = await openClient({ home: home.home, path: '', hubUrl: hub.url, token, ...none });
});
afterEach(async () => {
  await hub.close();
  await home.remove();
});

const catalogue = (...plugins: unknown[]) => ({
  '.claude-plugin/marketplace.json': { name: 'm', owner: { name: 'T' }, plugins },
});
const plugin = (name: string, more: Record<string, unknown> = {}, files: Record<string, unknown> = {}) => ({
  [`plugins/${name}/.claude-plugin/plugin.json`]: {
    name,
    version: '1.0.0',
    description: `Does ${name}`,
    author: { name: 'T' },
    ...more,
  },
  [`plugins/${name}/commands/go.md`]: `${md(`description: Goes ${name}`)}\n`,
  ...Object.fromEntries(Object.entries(files).map(([path, text]) => [`plugins/${name}/${path}`, text])),
});
const at = (name: string, more: Record<string, unknown> = {}) => ({ name, source: `./plugins/${name}`, ...more });
const run = (options: ImportOptions = {}, from = market) => importMarketplace(ctx, from, home.project, options);
const brief = (report: Awaited<ReturnType<typeof run>>) =>
  report.plugins.map((p) => `${p.name} ${p.version} ${p.code ?? p.status}`);
const git = (...args: string[]) =>
  execFileSync('git', ['-C', market, '-c', 'user.name=T', '-c', 'user.email=t@example.org', ...args], {
    env: home.env(),
    encoding: 'utf8',
  }).trim();
const details = async (name: string) =>
  (await ask(hub.url, 'GET', `/api/plugins/${name}`, { token: hub.admin })).expect(200);

describe('a folder', () => {
  it('takes all that is whole, tells of what is not, and the second time only what changed', async () => {
    await writeFiles(market, {
      ...catalogue(at('one'), at('two'), at('broken'), at('gone'), { name: 'nowhere' }, at('bad-name', { name: 'x' }), {
        name: 'packaged',
        source: { source: 'npm', package: 'x' },
      }),
      ...plugin('one'),
      ...plugin(
        'two',
        {},
        {
          'hooks/hooks.json': {
            hooks: { PreToolUse: [{ matcher: 'Bash(a:*)', hooks: [{ type: 'command', command: 'true' }] }] },
          },
        },
      ),
      ...plugin('broken', { author: 3 }),
      ...plugin('bad-name', { name: 'Bad Name' }),
    });
    const first = await run();
    expect(brief(first)).toEqual([
      'one 1.0.0 imported',
      'two 1.0.0 imported',
      'broken null MANIFEST_INVALID',
      'gone null NOT_FOUND',
      'nowhere null CATALOGUE_INVALID',
      'x null NAME_INVALID',
      'packaged null SOURCE_UNSUPPORTED',
    ]);
    expect(first).toMatchObject({ imported: 2, unchanged: 0, failed: 5, commit: null });
    expect(first.plugins[1]).toMatchObject({ changes: 1, published: false });
    expect(await details('two')).toMatchObject({ status: 'registered', imported: true });

    await writeFiles(market, plugin('one', { version: '1.1.0' }));
    expect(brief(await run({ only: ['one', 'two'] }))).toEqual(['one 1.1.0 imported', 'two 1.0.0 unchanged']);
    await writeFiles(market, { 'plugins/two/commands/go.md': md('description: Goes otherwise') });
    expect(brief(await run({ only: ['one', 'two'] }))).toEqual(['one 1.1.0 unchanged', 'two null VERSION_EXISTS']);
  });

  it('gives a plugin without a version one, and the next when its bytes change', async () => {
    await writeFiles(market, { ...catalogue(at('one')), ...plugin('one', { version: undefined }) });
    expect(brief(await run())).toEqual(['one 0.1.0 imported']);
    expect(brief(await run())).toEqual(['one 0.1.0 unchanged']);
    await writeFiles(market, { 'plugins/one/commands/go.md': md('description: Goes otherwise') });
    expect(brief(await run())).toEqual(['one 0.1.1 imported']);
    expect(brief(await run())).toEqual(['one 0.1.1 unchanged']);
  });

  describe('content that was taken back', () => {
    const post = async (path: string, body: unknown = { reason: 'steals keys' }) =>
      (await ask(hub.url, 'POST', `/api/plugins/${path}`, { token: hub.admin, body })).expect(200);
    const both = { publish: { all: true } };
    const content = (text: string) => ({ 'plugins/one/commands/go.md': `${md(`description: ${text}`)}\n` });
    const versions = async () =>
      ((await details('one')).versions as { version: string; status: string }[]).map((v) => `${v.version} ${v.status}`);
    const takenBack: [string, () => Promise<unknown>][] = [
      ['revoked', () => post('one@0.1.1/revoke')],
      ['yanked', () => post('one@0.1.1/status', { status: 'yanked', reason: 'breaks' })],
      ['deleted', () => ask(hub.url, 'DELETE', '/api/plugins/one@0.1.1', { token: hub.admin })],
    ];

    it.each(takenBack)('%s, does not come back under a number of ours', async (status, takeBack) => {
      await writeFiles(market, { ...catalogue(at('one')), ...plugin('one', { version: undefined }) });
      expect(brief(await run(both))).toEqual(['one 0.1.0 imported']);
      await writeFiles(market, content('Steals'));
      expect(brief(await run(both))).toEqual(['one 0.1.1 imported']);
      await takeBack();
      const again = await run(both);
      expect(brief(again)).toEqual(['one 0.1.1 STATUS_FORBIDS']);
      expect(again.plugins[0]).toMatchObject({ status: 'unchanged', published: false });
      expect(await versions()).toEqual([`0.1.1 ${status}`, '0.1.0 published']);
      await writeFiles(market, content('Goes better'));
      expect(brief(await run(both))).toEqual(['one 0.1.2 imported']);
      await writeFiles(market, content('Steals'));
      expect(brief(await run(both))).toEqual(['one 0.1.1 STATUS_FORBIDS']);
      await writeFiles(market, content('Goes better'));
      expect(brief(await run(both))).toEqual(['one 0.1.2 unchanged']);
    });

    it('revoked, does not come back under a number that its author raised', async () => {
      await writeFiles(market, { ...catalogue(at('one')), ...plugin('one') });
      expect(brief(await run(both))).toEqual(['one 1.0.0 imported']);
      await post('one@1.0.0/revoke');
      expect(brief(await run(both))).toEqual(['one 1.0.0 STATUS_FORBIDS']);
      await writeFiles(market, plugin('one', { version: '1.0.1' }));
      const [again] = (await run(both)).plugins;
      expect(again).toMatchObject({ status: 'failed', code: 'VERSION_REVOKED' });
      expect(again?.message).toContain('1.0.1 has the content of one@1.0.0');
      await writeFiles(market, content('Goes without stealing'));
      expect(brief(await run(both))).toEqual(['one 1.0.1 imported']);
      expect(await versions()).toEqual(['1.0.1 published', '1.0.0 revoked']);
    });
  });

  it('knows what it registered and nobody published yet', async () => {
    await writeFiles(market, { ...catalogue(at('one')), ...plugin('one', { version: undefined }) });
    expect(brief(await run({ publish: { all: true } }))).toEqual(['one 0.1.0 imported']);
    await writeFiles(market, { 'plugins/one/commands/go.md': md('description: Goes otherwise') });
    expect(brief(await run())).toEqual(['one 0.1.1 imported']);
    expect(brief(await run())).toEqual(['one 0.1.1 unchanged']);
    expect((await run({ publish: { all: true } })).plugins[0]).toMatchObject({ version: '0.1.1', published: true });
  });

  it('makes a manifest from the entry, of the files that it selects', async () => {
    await writeFiles(market, {
      ...catalogue(
        { name: 'writing', source: './', strict: false, description: 'Writes', skills: ['./skills/prose'] },
        { name: 'whole', source: './plugins/whole', version: '2.0.0', description: 'All of it' },
      ),
      'skills/prose/SKILL.md': md('name: prose\ndescription: Writes prose'),
      'skills/verse/SKILL.md': md('name: verse\ndescription: Writes verse'),
      'plugins/whole/commands/go.md': md('description: Goes'),
      LICENSE: 'MIT',
    });
    expect(brief(await run())).toEqual(['writing 0.1.0 imported', 'whole 2.0.0 imported']);
    const writing = await details('writing');
    expect(writing.description).toBe('Writes');
    expect((writing.files as { path: string }[]).map((f) => f.path).sort()).toEqual([
      '.claude-plugin/plugin.json',
      'LICENSE',
      'skills/prose/SKILL.md',
    ]);
  });

  it('never follows a link or a path out of the marketplace', async () => {
    await writeFiles(home.project, { 'secret/.claude-plugin/plugin.json': { name: 'secret', version: '1.0.0' } });
    await writeFiles(market, catalogue(at('link'), { name: 'up', source: './../secret' }, at('inner')));
    await mkdir(join(market, 'plugins'));
    await symlink(join(home.project, 'secret'), join(market, 'plugins', 'link'));
    await writeFiles(market, plugin('inner'));
    await symlink(join(home.project, 'secret'), join(market, 'plugins', 'inner', 'more'));
    await symlink('../../shared', join(market, 'plugins', 'inner', 'common'));
    await writeFiles(market, { 'shared/note.md': 'of the marketplace' });
    expect(brief(await run())).toEqual(['link null PATH_UNSAFE', 'up null PATH_UNSAFE', 'inner 1.0.0 imported']);
    const { files } = (await details('inner')) as unknown as { files: { path: string }[] };
    expect(files.map((f) => f.path).sort()).toEqual(['.claude-plugin/plugin.json', 'commands/go.md', 'common/note.md']);
  });

  it('publishes in the order of dependencies, and only says so when asked only to say', async () => {
    await writeFiles(market, {
      ...catalogue(at('needs'), at('base'), at('lacks')),
      ...plugin('needs', { dependencies: ['base'] }),
      ...plugin('base'),
      ...plugin('lacks', { dependencies: ['absent'] }),
    });
    expect(brief(await run({ dryRun: true, publish: { all: true } }))).toEqual([
      'needs 1.0.0 imported',
      'base 1.0.0 imported',
      'lacks 1.0.0 imported',
    ]);
    expect((await ask(hub.url, 'GET', '/api/plugins/list', { token: hub.admin })).expect(200).plugins).toEqual([]);
    const report = await run({ publish: { all: true } });
    expect(report.plugins.map((p) => [p.name, p.published, p.code])).toEqual([
      ['needs', true, null],
      ['base', true, null],
      ['lacks', false, 'DEPENDENCY_MISSING'],
    ]);
    expect(await details('needs')).toMatchObject({ status: 'published' });
  });

  it('publishes what does something only when that is accepted, and shows it', async () => {
    const hooks = JSON.stringify({ hooks: { Stop: [{ hooks: [{ type: 'command', command: 'make noise' }] }] } });
    await writeFiles(market, {
      ...catalogue(at('loud'), { ...at('watching'), strict: false }, at('calm')),
      ...plugin('loud', {}, { 'hooks/hooks.json': hooks }),
      'plugins/watching/monitors/monitors.json': [{ name: 'm', command: 'make watch', description: 'd' }],
      ...plugin('calm'),
    });
    const { plugins } = await run({ publish: { all: true } });
    expect(plugins.map((p) => [p.name, p.published, p.code])).toEqual([
      ['loud', false, 'SURFACE_UNACCEPTED'],
      ['watching', false, 'SURFACE_UNACCEPTED'],
      ['calm', true, null],
    ]);
    expect(plugins.map((p) => p.surface?.commands)).toEqual([['make noise'], ['make watch'], undefined]);
    expect(await details('loud')).toMatchObject({ status: 'registered' });
    expect((await run({ publish: { all: true, accept: true } })).plugins[0]).toMatchObject({ published: true });
  });
});

describe('git and addresses', () => {
  it('records address, commit and folder, and follows entries into other repositories', async () => {
    await writeFiles(market, { ...catalogue(at('one')), ...plugin('one') });
    git('init', '-q');
    git('add', '.');
    git('commit', '-qm', 'first');
    const commit = git('rev-parse', 'HEAD');
    const address = `file://${encodeURI(market)}`;
    const report = await run({}, address);
    expect(report).toMatchObject({ origin: address, commit, imported: 1 });
    expect(report.plugins[0]?.origin).toBe(`${address}@${commit}#plugins/one`);
    const audit = (await ask(hub.url, 'GET', '/api/audit?limit=50', { token: hub.admin })).text;
    expect(audit).toContain(`import ${encodeURI(`${address}@${commit}#plugins/one`)}`);
    expect((await details('one')).origin).toBe(`import ${encodeURI(`${address}@${commit}#plugins/one`)}`);
    expect((await run()).commit).toBe(commit);

    const other = join(home.project, 'other');
    await writeFiles(
      other,
      catalogue(
        { name: 'one', source: { source: 'git-subdir', url: address, path: 'plugins/one', sha: commit } },
        { name: 'bad', source: { source: 'url', url: 'ext::sh -c "touch pwned"' } },
      ),
    );
    expect(brief(await run({}, other))).toEqual(['one 1.0.0 unchanged', 'bad null NOT_FOUND']);
  });

  it('takes a catalogue by address, whose relative entries it cannot', async () => {
    await writeFiles(market, { ...catalogue(at('one')), ...plugin('one') });
    git('init', '-q');
    git('add', '.');
    git('commit', '-qm', 'first');
    const text = JSON.stringify({
      plugins: [
        at('near'),
        { name: 'one', source: { source: 'git-subdir', url: `file://${encodeURI(market)}`, path: 'plugins/one' } },
      ],
    });
    const server = createServer((req, res) => {
      if (req.url === '/moved.json') res.writeHead(302, { location: '/marketplace.json' }).end();
      else if (req.url === '/marketplace.json') res.end(text);
      else res.writeHead(404).end();
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      expect(brief(await run({}, `${base}/moved.json`))).toEqual([
        'near null SOURCE_UNSUPPORTED',
        'one 1.0.0 imported',
      ]);
      await expect(run({}, `${base}/none.json`)).rejects.toMatchObject({
        code: 'NOT_FOUND',
        hint: expect.stringContaining('address of the marketplace'),
      });
    } finally {
      server.close();
    }
  });

  it('takes a marketplace.json of this machine with the folder that it is in', async () => {
    await writeFiles(market, { ...catalogue(at('one')), ...plugin('one') });
    const file = join(market, '.claude-plugin', 'marketplace.json');
    const bare = join(market, 'bare.json');
    await writeFile(bare, JSON.stringify(catalogue(at('one'))['.claude-plugin/marketplace.json']));
    for (const from of [file, bare, pathToFileURL(file).href, pathToFileURL(bare).href]) {
      const report = await run({ dryRun: true }, from);
      expect([brief(report), report.origin]).toEqual([['one 1.0.0 imported'], market]);
      expect(report.plugins[0]?.origin).toBe(`${market}#plugins/one`);
    }
    git('init', '-q');
    git('add', '.');
    git('commit', '-qm', 'first');
    expect((await run({ dryRun: true }, file)).commit).toBe(git('rev-parse', 'HEAD'));
    await writeFile(bare, '{');
    const what = { code: 'CATALOGUE_INVALID', message: `${bare} is not JSON` };
    await expect(run({ dryRun: true }, bare)).rejects.toMatchObject(what);
  });

  it("gives git's own reason why a repository cannot be read", async () => {
    const reasonOf = async (from: string) => {
      const { message } = (await run({}, from).catch((e: unknown) => e)) as Error;
      return message.slice(`git cannot read ${from.replace(/#.*/, '')}: `.length);
    };
    const gone = pathToFileURL(join(home.project, 'gone')).href;
    expect(await reasonOf(gone)).toMatch(/^'.*' does not appear to be a git repository$/);
    await writeFiles(market, { ...catalogue(at('one')), ...plugin('one') });
    git('init', '-q');
    git('add', '.');
    git('commit', '-qm', 'first');
    expect(await reasonOf(`${pathToFileURL(market).href}#v9`)).toBe("couldn't find remote ref v9");
    expect(await reasonOf('http://127.0.0.1:1/x.git')).toContain("unable to access 'http://127.0.0.1:1/x.git/'");
  });

  it('refuses what is no marketplace', async () => {
    await expect(run({}, join(home.project, 'nothing'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await mkdir(market, { recursive: true });
    await expect(run()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await mkdir(join(market, '.claude-plugin'));
    for (const text of ['{', '[]', '{"plugins":{}}']) {
      await writeFile(join(market, '.claude-plugin', 'marketplace.json'), text);
      await expect(run()).rejects.toMatchObject({ code: 'CATALOGUE_INVALID' });
    }
    await rm(market, { recursive: true });
    await writeFiles(market, catalogue(at('one')));
    const has = { code: 'NOT_FOUND', hint: 'It has one.' };
    await expect(run({ only: ['zzz'] })).rejects.toMatchObject(has);
  });
});
