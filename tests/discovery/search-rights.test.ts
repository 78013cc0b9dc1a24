// What a search tells whom: only of texts that the caller may see, and of the version that is shown.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ENDPOINTS } from '../../server/src/contract/endpoints.ts';
import type { Call } from '../../server/src/hub/context.ts';
import { closeDiscovery, discoveryOf } from '../../server/src/hub/discovery/discovery-of.ts';
import { recommend } from '../../server/src/hub/recommend/recommend.ts';
import { ENGINES } from '../contract/engines.ts';
import {
  contributor,
  operator,
  pack,
  principal,
  publisher,
  reader,
  startTestHub,
  type TestHub,
} from '../contract/registry/test-hub.ts';

describe.each(ENGINES)('a search on %s', (engine) => {
  let t: TestHub;
  beforeEach(async () => {
    t = await startTestHub(engine);
  });
  afterEach(async () => {
    await closeDiscovery(t.hub.store);
    await t.drop();
  });

  const version = (name: string, number: string, description: string, command = 'go') =>
    pack(name, number, {
      manifest: { description },
      files: { 'commands/go.md': `---\ndescription: ${command}\n---\n` },
    });
  const offer = async (name: string, number: string, description: string, groups?: string[]) => {
    await t.register(version(name, number, description));
    const to = groups === undefined ? { all: true } : { target_groups: groups };
    await t.call('publish', { body: { plugin_id: `plugin_${name}_${number}`, ...to } });
  };
  const set = (id: string, status: 'yanked' | 'deprecated') =>
    t.call('setStatus', { params: { id }, body: { status, reason: 'x' } });
  const search = (search_query: string, more: object = {}, as = reader) =>
    t.call('search', { as, body: { search_query, ...more } });
  const shown = async (...args: Parameters<typeof search>) =>
    (await search(...args)).results.map((r) => `${r.name} ${r.version}: ${r.reason}`);

  it('goes through the version that it shows, not through one that the caller may not see', async () => {
    await offer('hist', '1.0.0', 'Old text about herons');
    await set('plugin_hist_1.0.0', 'yanked');
    await t.register(version('hist', '2.0.0', 'Unpublished flamingo text', 'secretplan'));
    for (const secret of ['secretplan', 'flamingo']) {
      for (const status of ['yanked', 'registered', undefined] as const) {
        expect(await search(secret, { status })).toMatchObject({ results: [], weak: true });
        const listed = await t.call('list', { as: reader, query: { search_query: secret, status } });
        expect(listed.plugins).toEqual([]);
      }
    }
    expect(await shown('herons', { status: 'yanked' })).toEqual(['hist 1.0.0: description: herons']);
    expect(await shown('herons', { status: 'yanked' }, operator)).toEqual(['hist 1.0.0: description: herons']);
    expect(await shown('herons')).toEqual([]);
    expect(await shown('flamingo', {}, operator)).toEqual(['hist 2.0.0: description: flamingo']);
    expect(await shown('flamingo', { status: 'yanked' }, operator)).toEqual([]);
  });

  it('combines with every status, also where a published version stands for the name', async () => {
    await offer('pg-tune', '1.0.0', 'Speeds up vacuum');
    await t.register(version('pg-tune', '2.0.0', 'Counts pelicans'));
    await offer('log-scan', '1.0.0', 'Scans a log');
    await offer('log-scan', '2.0.0', 'Scans a log for herons');
    await set('plugin_log-scan_1.0.0', 'deprecated');
    const registered = { status: 'registered' };
    expect(await shown('pelicans', registered, operator)).toEqual(['pg-tune 2.0.0: description: pelicans']);
    expect(await shown('vacuum', registered, operator)).toEqual([]);
    expect(await shown('vacuum', {}, operator)).toEqual(['pg-tune 1.0.0: description: vacuum']);
    expect(await shown('log', { status: 'deprecated' })).toEqual(['log-scan 1.0.0: name: log']);
    expect(await shown('herons', { status: 'deprecated' })).toEqual([]);
    expect(await shown('herons', { status: 'published' })).toEqual(['log-scan 2.0.0: description: herons']);
    await t.call('remove', { params: { id: 'log-scan@1.0.0' } });
    await t.call('remove', { params: { id: 'log-scan@2.0.0' } });
    expect(await shown('log')).toEqual([]);
  });

  it('of a contributor goes through the own plugins as well, and through nobody else’s', async () => {
    await t.register(version('mine', '1.0.0', 'Quiet flamingo'), { as: contributor });
    await t.register(version('theirs', '1.0.0', 'Loud flamingo'), { as: publisher });
    await offer('known', '1.0.0', 'Everybody knows the flamingo');
    const names = async (as: typeof reader) =>
      (await shown('flamingo', {}, as)).map((line) => line.split(' ')[0]).sort();
    expect(await names(operator)).toEqual(['known', 'mine', 'theirs']);
    expect(await names(contributor)).toEqual(['known', 'mine']);
    expect(await names(publisher)).toEqual(['known', 'theirs']);
    expect(await names(principal('other', ['contributor']))).toEqual(['known']);
    expect(await names(reader)).toEqual(['known']);
    expect(await search('loud', {}, contributor)).toMatchObject({ results: [], weak: true });
    expect(await search('loud', {}, publisher)).toMatchObject({ weak: false });
  });

  it('answers a reader the same, whatever is registered beside', async () => {
    for (let i = 0; i < 12; i++) {
      await offer(
        `kube-${i}`,
        '1.0.0',
        `Deploys number${i} to kubernetes ${i % 2 ? 'clusters of pods' : 'with charts'}`,
      );
    }
    const questions = [
      'kuberntes',
      'quokka',
      'kubernetes quokka',
      'deploy pods',
      'charts',
      'merge quokkas by night',
      'kube 3',
    ];
    const asked = async (as = reader) => {
      const answers: unknown[] = [];
      for (const text of questions) {
        answers.push(await search(text, {}, as), (await t.call('list', { as, query: { search_query: text } })).plugins);
        const body = ENDPOINTS.recommend.body.parse({ task: text });
        answers.push(await recommend(t.hub, { principal: as, params: {}, body } as unknown as Call<'recommend'>));
      }
      return answers;
    };
    await asked();
    await discoveryOf(t.hub).settled();
    const before = await asked();
    for (let i = 0; i < 20; i++)
      await t.register(version(`hush-${i}`, '1.0.0', `Quokka merger${i} for kuberntes charts`));
    await t.register(version('kube-3', '2.0.0', 'Quokka by night'));
    await asked(operator);
    await discoveryOf(t.hub).settled();
    expect(await asked()).toEqual(before);
    expect(await asked(operator)).not.toEqual(before);
    expect(await search('quokka', {}, operator)).toMatchObject({ weak: false });
  });

  it('judges by what its filters let through whether anything fits', async () => {
    await offer('git-notes', '1.0.0', 'Notes on commits', ['web']);
    await offer('payroll', '1.0.0', 'Payroll and quarterly ledger of zebrafish commits', ['money']);
    await offer('mistyped', '1.0.0', 'Deploys to kuberntes', ['money']);
    await offer('kube', '1.0.0', 'Deploys to kubernetes', ['web']);
    const question = 'zebrafish payroll quarterly ledger commits';
    expect(await search(question)).toMatchObject({ weak: false });
    expect(await search(question, { machine_group: 'web' })).toMatchObject({
      results: [{ name: 'git-notes' }],
      weak: true,
    });
    expect(await search('ledger', { machine_group: 'web' })).toMatchObject({ results: [], weak: true });
    for (const word of ['zebrafish', 'payroll', 'quarterly', 'ledger'])
      await offer(`some-${word.slice(0, 3)}`, '1.0.0', `Only ${word}`, ['web']);
    expect(await search(question)).toMatchObject({ weak: false });
    expect(await search(question, { machine_group: 'web' })).toMatchObject({ weak: true });
    expect(await shown('kuberntes')).toEqual(['mistyped 1.0.0: description: kuberntes']);
    expect(await shown('kuberntes', { machine_group: 'web' })).toEqual(['kube 1.0.0: description: kuberntes']);
  });
});
