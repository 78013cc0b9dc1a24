import { brotliDecompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeFrames } from '../../../server/src/contract/frames.ts';
import { loadCatalogue } from '../../../server/src/hub/registry/snapshot.ts';
import { replaceInstallations } from '../../../server/src/storage/queries/installations.ts';
import { ENGINES } from '../engines.ts';
import {
  contributor,
  operator,
  pack,
  principal,
  publisher,
  reader,
  sha256,
  startTestHub,
  type TestHub,
} from './test-hub.ts';

describe.each(ENGINES)('lists, search, blobs and transfer on %s', (engine) => {
  let t: TestHub;
  beforeEach(async () => {
    t = await startTestHub(engine);
  });
  afterEach(() => t.drop());

  const names = (plugins: { name: string; version: string }[]) => plugins.map((p) => `${p.name}@${p.version}`);
  const publish = async (packed: ReturnType<typeof pack>, groups?: string[]) => {
    await t.register(packed);
    const body = groups === undefined ? { all: true } : { target_groups: groups };
    await t.call('publish', { body: { plugin_id: `plugin_${packed.record.name}_${packed.record.version}`, ...body } });
  };

  it('lists the newest published version of each plugin, in pages, by name', async () => {
    for (const n of ['c', 'a', 'b']) await publish(pack(n, '1.0.0'));
    await publish(pack('a', '1.2.0'));
    await publish(pack('a', '2.0.0-beta.1'));
    await t.register(pack('a', '3.0.0'));
    await t.register(pack('d', '1.0.0'));
    const first = await t.call('list', { as: reader, query: { limit: 2 } });
    expect([names(first.plugins), first.next]).toEqual([['a@1.2.0', 'b@1.0.0'], 'b']);
    const second = await t.call('list', { as: reader, query: { limit: 2, after: first.next ?? '' } });
    expect([names(second.plugins), second.next]).toEqual([['c@1.0.0'], null]);
    expect(names((await t.call('listAlias', { as: operator })).plugins)).toEqual([
      'a@1.2.0',
      'b@1.0.0',
      'c@1.0.0',
      'd@1.0.0',
    ]);
    expect(names((await t.call('list', { as: publisher, query: { status: 'registered' } })).plugins)).toEqual([
      'a@3.0.0',
      'd@1.0.0',
    ]);
    expect((await t.call('list', { as: contributor, query: { status: 'registered' } })).plugins).toEqual([]);
  });

  it('filters by group, capability, author, component and what is installed', async () => {
    const needs = (c: string[]) => ({ manifest: { haivemind: { required_capabilities: c } } });
    await publish(pack('all', '1.0.0'));
    await publish(pack('web', '1.0.0', needs(['x'])), ['web']);
    await publish(
      pack('db', '1.0.0', {
        manifest: { author: { name: 'Bob', organization: 'Org' } },
        files: { 'agents/s.md': '---\nname: s\ndescription: d\n---\nx' },
      }),
      ['db'],
    );
    const list = async (query: object, as = reader) => names((await t.call('list', { as, query })).plugins);
    expect(await list({ machine_group: 'web' })).toEqual(['all@1.0.0', 'web@1.0.0']);
    expect(await list({ capability_filter: 'y, z' })).toEqual(['all@1.0.0', 'db@1.0.0']);
    expect(await list({ capability_filter: 'x,y' })).toEqual(['all@1.0.0', 'db@1.0.0', 'web@1.0.0']);
    expect(await list({ author: 'org' })).toEqual(['db@1.0.0']);
    expect(await list({ component: 'agent' })).toEqual(['db@1.0.0']);
    const search = async (query: object, as = reader) => {
      // Every description is the same word: a filter alone decides.
      const { results } = await t.call('search', {
        as,
        body: { search_query: 'test', keywords: ['plugin'], ...query },
      });
      return names(results).sort();
    };
    expect(await search({ machine_group: 'web' })).toEqual(['all@1.0.0', 'web@1.0.0']);
    expect(await search({ capability_filter: 'y, z' })).toEqual(['all@1.0.0', 'db@1.0.0']);
    expect(await search({ author: 'org' })).toEqual(['db@1.0.0']);
    expect(await search({ component: 'agent' })).toEqual(['db@1.0.0']);
    expect(await search({ author: 'org', component: 'skill' })).toEqual([]);
    expect(await search({ author: 'org', search_query: 'zeppelin', keywords: [] })).toEqual([]);
    expect(await search({ machine_group: 'web', search_query: 'db' })).not.toContain('db@1.0.0');
    const m1 = await t.addMachine('m1', ['web']);
    const m2 = await t.addMachine('m2');
    await t.store.transact((tx) =>
      replaceInstallations(
        tx,
        'm_m1',
        [
          { name: 'web', version: '1.0.0', digest: 'd', state: 'verified' },
          { name: 'all', version: '1.0.0', digest: 'd', state: 'failed' },
        ],
        '2026-01-01',
      ),
    );
    expect(await list({ installed_only: 'true' }, m1)).toEqual(['web@1.0.0']);
    expect(await list({ installed_only: 'true' }, m2)).toEqual([]);
    expect(await list({ installed_only: 'true' })).toEqual(['web@1.0.0']);
    expect(await search({ installed_only: true }, m1)).toEqual(['web@1.0.0']);
    expect(await search({ installed_only: true }, m2)).toEqual([]);
    expect((await t.call('list', { query: {} })).plugins.map((p) => p.installed_count)).toEqual([0, 0, 1]);
    expect(await t.call('info', { params: { id: 'web' } })).toMatchObject({
      installed_on: [{ machine: 'm1', version: '1.0.0', state: 'verified' }],
    });
  });

  it('finds by words in names, descriptions, components and bodies, the exact name first, deprecated last', async () => {
    const about = (description: string, body = '') => ({
      manifest: { description },
      files: { 'commands/go.md': `---\ndescription: go\n---\n${body}` },
    });
    await publish(pack('kube-tools', '1.0.0', about('Deploys to Kubernetes clusters')));
    await publish(pack('old-kube', '1.0.0', about('Kubernetes deployment for clusters of old')));
    await publish(pack('logs', '1.0.0', about('Reads log files', 'also works on kubernetes')));
    await publish(pack('unrelated', '1.0.0', about('Writes poems')));
    await t.call('setStatus', { params: { id: 'old-kube' }, body: { status: 'deprecated' } });
    const find = async (search_query: string, more: object = {}) =>
      (await t.call('search', { as: reader, body: { search_query, ...more } })).results;
    expect(names(await find('find plugins for kubernetes deployment'))).toEqual([
      'kube-tools@1.0.0',
      'logs@1.0.0',
      'old-kube@1.0.0',
    ]);
    expect((await find('kubernetes'))[0]?.reason).toContain('description: kubernet');
    expect(names(await find('logs'))[0]).toBe('logs@1.0.0');
    expect(await find('zeppelin')).toEqual([]);
    expect(names(await find('nothing', { keywords: ['poem'] }))).toEqual(['unrelated@1.0.0']);
    const page = await t.call('list', { as: reader, query: { search_query: 'kubernetes', limit: 2 } });
    expect([page.plugins.length, page.next]).toEqual([2, '2']);
    expect(
      (await t.call('list', { as: reader, query: { search_query: 'kubernetes', limit: 2, after: '2' } })).plugins,
    ).toHaveLength(1);
    await publish(pack('unrelated', '1.1.0', about('Writes kubernetes poems')));
    expect(names(await find('kubernetes poems'))[0]).toBe('unrelated@1.1.0');
    await t.call('remove', { params: { id: 'unrelated' } });
    expect(names(await find('poems'))).toEqual([]);
  });

  it('serves a blob compressed to who takes it, immutable, and 304 to who has it', async () => {
    const text = 'the same line\n'.repeat(500);
    await publish(pack('alpha', '1.0.0', { files: { 'long.txt': text } }));
    const hash = sha256(Buffer.from(text));
    const get = (headers: Record<string, string>, as = reader) =>
      t.raw('blob', { as, params: { sha256: hash }, headers });
    const plain = await get({});
    expect([plain.status, plain.bytes.toString(), plain.headers['content-encoding']]).toEqual([200, text, undefined]);
    const packed = await get({ 'accept-encoding': 'gzip, br' });
    expect(packed.headers['content-encoding']).toBe('br');
    expect(brotliDecompressSync(packed.bytes).toString()).toBe(text);
    expect(packed.headers['cache-control']).toContain('immutable');
    expect((await get({ 'accept-encoding': 'br;q=0' })).headers['content-encoding']).toBeUndefined();
    expect((await get({ 'if-none-match': plain.headers.etag ?? '' })).status).toBe(304);
    await expect(t.raw('blob', { params: { sha256: '0'.repeat(64) } })).rejects.toMatchObject({
      code: 'BLOB_NOT_FOUND',
    });
    await expect(t.raw('blob', { params: { sha256: "x' or 1=1" } })).rejects.toMatchObject({ code: 'BLOB_NOT_FOUND' });
  });

  it('lets a machine read only what is offered to it, what it should have and what it has', async () => {
    const secret = pack('secret', '1.0.0', { files: { 'x.txt': 'secret' } });
    const dependency = pack('base', '1.0.0', { files: { 'x.txt': 'base' } });
    await publish(dependency, ['nobody']);
    await publish(pack('needs', '1.0.0', { manifest: { dependencies: ['base'] } }), ['web']);
    await publish(secret, ['db']);
    const web = await t.addMachine('w', ['web']);
    const digest = (packed: ReturnType<typeof pack>) => packed.record.digest;
    const fetch = (packed: ReturnType<typeof pack>, as = web) =>
      t.raw('transfer', { as, body: { versions: [digest(packed)] } });
    const blob = (text: string, as = web) => t.raw('blob', { as, params: { sha256: sha256(Buffer.from(text)) } });
    await expect(fetch(secret)).rejects.toMatchObject({ code: 'VERSION_NOT_FOUND' });
    await expect(blob('secret')).rejects.toMatchObject({ code: 'BLOB_NOT_FOUND' });
    expect((await fetch(dependency)).status).toBe(200);
    expect((await blob('base')).status).toBe(200);
    await expect(blob('secret', principal('x', ['machine'], { machineId: 'nobody' }))).rejects.toMatchObject({
      code: 'MACHINE_NOT_FOUND',
    });
    await t.store.transact((tx) =>
      replaceInstallations(tx, 'm_w', [{ name: 'secret', version: '1.0.0', digest: 'd', state: 'verified' }], '2026'),
    );
    expect((await blob('secret')).status).toBe(200);
    const unpublished = pack('draft', '1.0.0', { files: { 'x.txt': 'draft' } });
    await t.register(unpublished);
    await expect(fetch(unpublished, reader)).rejects.toMatchObject({ code: 'VERSION_NOT_FOUND' });
    expect((await fetch(unpublished, publisher)).status).toBe(200);
  });

  it('transfers records and only the blobs that are lacking, each once', async () => {
    const one = pack('alpha', '1.0.0', { files: { 'same.txt': 'same', 'one.txt': 'one' } });
    const two = pack('alpha', '2.0.0', { files: { 'same.txt': 'same', 'two.txt': 'two', 'got.txt': 'got' } });
    await publish(one);
    await publish(two);
    const ask = async (body: { versions: string[]; have?: string[]; have_blobs?: string[] }) => {
      const { bytes } = await t.raw('transfer', { as: reader, body });
      const records: string[] = [];
      const blobs = new Map<string, string>();
      for await (const frame of decodeFrames([bytes] as never, 1e9)) {
        if (frame.header.t === 'record') records.push(frame.header.digest ?? '');
        if (frame.header.t === 'blob') {
          const plain = frame.header.enc === 'br' ? brotliDecompressSync(frame.bytes) : frame.bytes;
          expect(sha256(plain)).toBe(frame.header.sha256);
          expect(blobs.has(frame.header.sha256)).toBe(false);
          blobs.set(frame.header.sha256, plain.toString());
        }
      }
      return { records, blobs };
    };
    const both = await ask({ versions: [one.record.digest, two.record.digest] });
    expect(both.records.sort()).toEqual([one.record.digest, two.record.digest].sort());
    expect(both.blobs.size).toBe(new Set([...one.blobs.keys(), ...two.blobs.keys()]).size);
    const update = await ask({
      versions: [two.record.digest],
      have: [one.record.digest],
      have_blobs: [sha256(Buffer.from('got'))],
    });
    expect(update.blobs.has(sha256(Buffer.from('two')))).toBe(true);
    expect(update.blobs.has(sha256(Buffer.from('same')))).toBe(false);
    expect(update.blobs.has(sha256(Buffer.from('got')))).toBe(false);
    await expect(ask({ versions: [`sha256:${'0'.repeat(64)}`] })).rejects.toMatchObject({ code: 'VERSION_NOT_FOUND' });
  });

  it('keeps a catalogue that equals one read afresh, whatever happened in between', async () => {
    await loadCatalogue(t.store);
    for (const [i, name] of ['a', 'b', 'a', 'c'].entries()) {
      await publish(pack(name, `1.${i}.0`), ['g']);
      await loadCatalogue(t.store);
    }
    await t.call('setStatus', { params: { id: 'plugin_a_1.0.0' }, body: { status: 'yanked' } });
    await t.call('remove', { params: { id: 'b' } });
    const grown = await loadCatalogue(t.store);
    // Another handle on the same database has no memory of it.
    const read = await loadCatalogue({ ...t.store });
    const plain = (c: typeof grown) => [...c.plugins].sort(([a], [b]) => (a < b ? -1 : 1));
    expect(plain(grown)).toEqual(plain(read));
    expect(grown.seq).toBe(read.seq);
  });
});
