// What `hv import` leaves behind: the bytes that it brings, what the registry keeps of where they came from, and what it says of both.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ClientContext, openClient } from '../../server/src/client/context.ts';
import { type ImportOptions, importMarketplace } from '../../server/src/client/import/import.ts';
import { zipFiles } from '../../server/src/client/import/zip.ts';
import { ORIGIN_HEADER } from '../../server/src/contract/headers.ts';
import { importVerb } from '../../server/src/interfaces/cli/verbs/import.ts';
import { readPlugin } from '../../server/src/machine/read-plugin.ts';
import { writeFiles } from '../client/harness/hand-made-plugin.ts';
import { ask, sourceFiles, type TestHub, testHub } from '../hub/support.ts';
import { serveRepository } from '../support/git-http.ts';
import { manifestWith } from '../support/plugin-files.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { clientAt, verbCall } from '../support/verb-call.ts';
import { md } from './one-fault.ts';

let hub: TestHub;
let home: TempHome;
let ctx: ClientContext;
let market = '';
let token = '';

beforeEach(async () => {
  hub = await testHub('sqlite');
  home = await tempHome('told');
  market = join(home.project, 'market');
  token = await hub.token(['publisher']);
  const none = { claudeConfigDir: undefined, haivemindHome: undefined, caFile: undefined };
  ctx = await openClient({ home: home.home, path: '', hubUrl: hub.url, token, ...none });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await hub.close();
  await home.remove();
});

const catalogue = (...names: string[]) => ({
  '.claude-plugin/marketplace.json': {
    name: 'acme',
    plugins: names.map((name) => ({ name, source: `./plugins/${name}` })),
  },
});
const plugin = (name: string, more: Record<string, unknown> = {}, files: Record<string, unknown> = {}) =>
  Object.fromEntries(
    Object.entries({
      '.claude-plugin/plugin.json': manifestWith({ name, ...more }),
      'commands/go.md': md(`description: Goes ${name}`),
      ...files,
    }).map(([path, text]) => [`plugins/${name}/${path}`, text]),
  );
const commitAll = () => {
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', market, '-c', 'user.name=T', '-c', 'user.email=t@example.org', ...args], {
      env: home.env(),
    });
  git('init', '-q');
  git('add', '.');
  git('commit', '-qm', 'all');
};
const run = (from = market, options: ImportOptions = {}) => importMarketplace(ctx, from, home.project, options);
const get = async (path: string) => (await ask(hub.url, 'GET', path, { token: hub.admin })).text;
const details = async (ref: string) => JSON.parse(await get(`/api/plugins/${ref}`));
const post = async (path: string, body: unknown) =>
  (await ask(hub.url, 'POST', `/api/plugins/${path}`, { token: hub.admin, body })).expect(200);

describe('a git address with a login', () => {
  it('is used, and kept and shown nowhere', async () => {
    await writeFiles(market, { ...catalogue('one'), ...plugin('one') });
    commitAll();
    const repo = await serveRepository(market);
    try {
      const address = repo.url.replace('http://', 'http://ci:s3cret-word@');
      const report = await run(address);
      expect(report).toMatchObject({ imported: 1, origin: repo.url });
      expect(JSON.stringify(report)).not.toContain('s3cret-word');
      expect((await details('one')).origin).toMatch(`import ${repo.url}@`);
      for (const path of ['/api/plugins/one', '/api/audit?limit=50', '/api/events?limit=50', '/api/reviews'])
        expect(await get(path)).not.toContain('s3cret-word');
      const refused = await run(address.replace('repo.git', 'none.git')).catch((e: unknown) => e);
      expect((refused as Error).message).toContain('none.git');
      expect((refused as Error).message).not.toContain('s3cret-word');
    } finally {
      await repo.close();
    }
  });

  it('is not kept either where an older program sends it', async () => {
    const origin = 'https://s3cret-word@example.org/x.git@0123#plugins/one';
    const answer = await ask(hub.url, 'POST', '/api/plugins/register', {
      token: hub.admin,
      raw: await zipFiles(sourceFiles({ name: 'one' })),
      headers: { 'content-type': 'application/zip', [ORIGIN_HEADER]: origin },
    });
    answer.expect(200);
    expect((await details('one')).origin).toBe('import https://example.org/x.git@0123#plugins/one');
    expect(await get('/api/events?limit=50')).not.toContain('s3cret-word');
  });
});

it('brings the bytes of the repository, whatever line ends git gives its owner', async () => {
  const script = '#!/bin/sh\necho ok\n';
  await writeFiles(market, {
    ...catalogue('one'),
    ...plugin('one', {}, { 'run.sh': script }),
    '.gitattributes': '* text=auto\n',
  });
  commitAll();
  const config = join(home.project, 'gitconfig');
  await writeFile(config, '[core]\n\tautocrlf = true\n\teol = crlf\n');
  const from = pathToFileURL(market).href;
  vi.stubEnv('GIT_CONFIG_GLOBAL', config);
  await run(from);
  const { files } = (await details('one')) as { files: { path: string; sha256: string }[] };
  expect(files.find((f) => f.path === 'run.sh')?.sha256).toBe(createHash('sha256').update(script).digest('hex'));
  vi.unstubAllEnvs();
  expect((await run(from)).plugins[0]).toMatchObject({ status: 'unchanged', code: null });
});

describe('dependencies that name the marketplace itself', () => {
  it('are those of the collective, where the plugin would not load otherwise', async () => {
    const dependencies = ['two@acme', { name: 'three', marketplace: 'acme', version: '^1.0.0' }, 'far@elsewhere'];
    await writeFiles(market, {
      ...catalogue('one', 'two', 'three'),
      ...plugin('one', { dependencies }),
      ...plugin('two'),
      ...plugin('three'),
    });
    const { plugins } = await run(market, { publish: { all: true } });
    expect(plugins.map((p) => [p.name, p.published, p.code])).toEqual([
      ['one', true, null],
      ['two', true, null],
      ['three', true, null],
    ]);
    const { manifest } = await details('one');
    expect(manifest.dependencies).toEqual(['two', { name: 'three', version: '^1.0.0' }, 'far@elsewhere']);
    expect((await run()).plugins.map((p) => p.status)).toEqual(['unchanged', 'unchanged', 'unchanged']);
  });

  it('leave alone a version that was imported with them as they are', async () => {
    await writeFiles(market, {
      ...catalogue('one', 'two'),
      ...plugin('one', { dependencies: ['two@acme'] }),
      ...plugin('two'),
    });
    const files = await readPlugin(join(market, 'plugins', 'one'), { maxBytes: 1e6 });
    const headers = { 'content-type': 'application/zip' };
    const raw = await zipFiles(files);
    (await ask(hub.url, 'POST', '/api/plugins/register', { token, raw, headers })).expect(200);
    expect((await run()).plugins.map((p) => p.status)).toEqual(['unchanged', 'imported']);
    await writeFiles(market, { 'plugins/one/commands/go.md': md('description: Goes otherwise') });
    expect((await run()).plugins[0]).toMatchObject({ status: 'failed', code: 'VERSION_EXISTS' });
  });
});

describe('what is published', () => {
  const all = { publish: { all: true, accept: true } };
  const hooks = JSON.stringify({ hooks: { Stop: [{ hooks: [{ type: 'command', command: 'make noise' }] }] } });
  const text = async () => {
    const options = { publish: true, all: true, acceptSurface: true };
    return (await importVerb(verbCall(home, hub.url, token, { args: [market], options }))).text;
  };

  it('says what waits for an operator, and why', async () => {
    await writeFiles(market, { ...catalogue('one'), ...plugin('one') });
    await run(market, all);
    await writeFiles(market, plugin('one', { version: '1.1.0' }, { 'hooks/hooks.json': hooks }));
    const [held] = (await run(market, all)).plugins;
    expect(held).toMatchObject({ published: false, held: expect.stringContaining('does more than'), code: null });
    expect(await details('one@1.1.0')).toMatchObject({ status: 'registered' });
    const said = await text();
    expect(said).toContain('waits for an operator');
    expect(said).toContain('hv approve one@1.1.0');
    expect(said).not.toContain('(published');
    await post('one@1.1.0/approve', {});
    expect((await run(market, all)).plugins[0]).toMatchObject({ published: true, held: null });
  });

  it('tells a second publisher whose it is what waits in the registry, and takes it once it is offered', async () => {
    await writeFiles(market, { ...catalogue('one'), ...plugin('one') });
    await run(market);
    const other = await hub.token(['publisher'], { name: 'second' });
    const mine = ctx;
    ctx = await clientAt(home, hub.url, other);
    const told = {
      code: 'VERSION_EXISTS',
      message: expect.stringMatching(/one@1\.0\.0 .*by publisher, who has not published it: .* an operator/),
    };
    expect((await run(market, all)).plugins[0]).toMatchObject({ status: 'failed', ...told });
    ctx = mine;
    expect((await run(market, all)).plugins[0]).toMatchObject({ status: 'unchanged', published: true });
    ctx = await clientAt(home, hub.url, other);
    expect((await run(market, all)).plugins[0]).toMatchObject({ status: 'unchanged', published: true, code: null });
  });

  it('leaves deprecated what was deprecated meanwhile, and says so', async () => {
    await writeFiles(market, { ...catalogue('one'), ...plugin('one') });
    await run(market, all);
    await post('one@1.0.0/status', { status: 'deprecated', reason: 'two is better' });
    expect((await run(market, all)).plugins[0]).toMatchObject({ status: 'unchanged', published: false, code: null });
    expect(await text()).toContain('hv deprecate one@1.0.0 --undo');
    expect(await details('one')).toMatchObject({ status: 'deprecated', status_reason: 'two is better' });
  });
});
