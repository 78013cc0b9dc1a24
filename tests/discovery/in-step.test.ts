import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { Discovery } from '../../server/src/hub/discovery/discovery.ts';
import { closeDiscovery, discoveryOf } from '../../server/src/hub/discovery/discovery-of.ts';
import { SearchIndex } from '../../server/src/hub/discovery/search-index.ts';
import { searchedBy } from '../../server/src/hub/registry/list.ts';
import { loadCatalogue } from '../../server/src/hub/registry/snapshot.ts';
import { ENGINES } from '../contract/engines.ts';
import { operator, pack, reader, startTestHub, type TestHub } from '../contract/registry/test-hub.ts';
import { type ChromaServer, chromaBinding, startChroma } from './chroma-server.ts';

const SUBJECTS = [
  ['feline', 'purring whiskers kitten'],
  ['motor', 'engine gearbox diesel'],
  ['baker', 'flour oven dough'],
] as const;

const binding = await chromaBinding();
if ('missing' in binding) console.warn(`Searches with Chroma left out: ${binding.missing}`);

const HUBS = [
  ...ENGINES.map((engine) => ({ label: engine, engine, chroma: false })),
  ...('path' in binding ? [{ label: 'SQLite with Chroma', engine: 'sqlite' as const, chroma: true }] : []),
];

describe.each(HUBS)('the search of a hub on $label', ({ engine, chroma }) => {
  let t: TestHub;
  let server: ChromaServer | undefined;
  beforeAll(async () => {
    if (chroma && 'path' in binding) server = await startChroma(binding.path);
  });
  afterAll(() => server?.drop());
  beforeEach(async () => {
    t = await startTestHub(engine);
    t.hub.config.chromaUrl = server?.url;
  });
  afterEach(async () => {
    await closeDiscovery(t.hub.store);
    await t.drop();
  });

  const publish = async (name: string, version: string, more: Parameters<typeof pack>[2] = {}, groups?: string[]) => {
    await t.register(pack(name, version, more));
    const body = groups === undefined ? { all: true } : { target_groups: groups };
    await t.call('publish', { body: { plugin_id: `plugin_${name}_${version}`, ...body } });
  };
  const search = (search_query: string, more: object = {}, as = reader) =>
    t.call('search', { as, body: { search_query, ...more } });
  const names = async (...args: Parameters<typeof search>) => (await search(...args)).results.map((r) => r.name);

  it('finds what components say of themselves, and says which component', async () => {
    await publish('tools', '1.0.0', {
      files: {
        'agents/surgeon.md': '---\nname: surgeon\ndescription: Heals broken shards\n---\nCarefully.',
        'skills/triage/SKILL.md': '---\nname: triage\ndescription: Sorts the urgent from the rest\n---\nLook first.',
      },
    });
    const { results, weak, backend } = await search('heal shards');
    expect(results[0]).toMatchObject({ name: 'tools', reason: 'agent surgeon: heal, shards' });
    expect([weak, backend]).toEqual([false, 'embedded']);
    expect((await search('urgent')).results[0]?.reason).toBe('skill triage: urgent');
  });

  it('finds use cases, and combines words with every filter', async () => {
    const useCases = { manifest: { haivemind: { use_cases: ['find out why a cluster is yellow'] } } };
    await publish('doctor', '1.0.0', useCases, ['elasticsearch']);
    await publish('doctor-too', '1.0.0', useCases, ['scrapers']);
    expect(await names('why yellow')).toEqual(['doctor', 'doctor-too']);
    expect(await names('why yellow', { machine_group: 'scrapers' })).toEqual(['doctor-too']);
    expect(await names('why yellow', { component: 'mcp' })).toEqual([]);
    expect(await names('why yellow', { author: 'nobody' })).toEqual([]);
    expect(await names('doctor', { machine_group: 'scrapers' })).toEqual(['doctor-too']);
  });

  it('says when nothing fits well', async () => {
    await publish('poems', '1.0.0', { manifest: { description: 'Writes poems about the sea' } });
    expect(await search('dinosaurs of the sea that ate volcanic glaciers')).toMatchObject({ weak: true });
    expect(await search('poems')).toMatchObject({ weak: false });
  });

  it('hides from a reader what is only registered, also its words', async () => {
    await t.register(pack('secretive', '1.0.0', { manifest: { description: 'clandestine' } }));
    expect(await names('clandestine')).toEqual([]);
    expect(await names('secretive')).toEqual([]);
    expect(await names('clandestine', {}, operator)).toEqual(['secretive']);
  });

  it('follows versions, statuses and deletions, and equals a search built anew', async () => {
    for (let i = 0; i < 24; i++) {
      const [name, text] = SUBJECTS[i % 3] ?? SUBJECTS[0];
      await publish(`${name}-${i}`, '1.0.0', { manifest: { description: `${text} number${i}` } });
    }
    await names('kitten');
    await publish('feline-0', '2.0.0', { manifest: { description: 'dough oven flour and nothing else' } });
    await t.call('remove', { params: { id: 'motor-1' } });
    await t.call('remove', { params: { id: 'motor-4' } });
    const questions = ['kitten whiskers', 'engine', 'bread dough in an oven', 'number1', 'motor-4', 'feline'];
    const catalogue = await loadCatalogue(t.hub.store);
    const fresh = new Discovery(t.hub.store, t.hub.log);
    const lived = discoveryOf(t.hub);
    await Promise.all([lived.follow(catalogue), fresh.follow(catalogue)]);
    await Promise.all([lived.settled(), fresh.settled()]);
    expect((await search('kitten')).backend).toBe(chroma ? 'chroma' : 'embedded');
    for (const text of questions) {
      const ask = { text, limit: 50 };
      const [a, b] = [await lived.find(catalogue, ask), await fresh.find(catalogue, ask)];
      expect(a.hits).toEqual(b.hits);
      expect(a.hits.some((h) => h.name === 'motor-1' || h.name === 'motor-4')).toBe(false);
    }
    expect(
      (await lived.find(catalogue, { text: 'dough', limit: 1, filter: (n) => n.startsWith('feline') })).hits[0]?.name,
    ).toBe('feline-0');
    await fresh.close();
  });

  it('answers searches at once while many plugins are still being read, offered ones and others', async () => {
    const files = (i: number) => ({ files: { 'commands/go.md': `---\ndescription: hidden${i}\n---\n` } });
    for (let i = 0; i < 40; i++) {
      await publish(`many-${i}`, '1.0.0', files(i));
      await t.register(pack(`more-${i}`, '1.0.0', files(i + 40)));
    }
    const catalogue = await loadCatalogue(t.hub.store);
    const discovery = new Discovery(t.hub.store, t.hub.log);
    const searched = searchedBy(catalogue, operator, undefined);
    const first = async (text: string) => (await discovery.find(catalogue, { text, limit: 1 }, searched)).hits[0]?.name;
    expect(await first('many-39')).toBe('many-39');
    expect(await first('more-39')).toBe('more-39');
    await discovery.settled();
    expect(await first('hidden39')).toBe('many-39');
    expect(await first('hidden79')).toBe('more-39');
    await discovery.close();
  });

  it('takes over only what changed of what is not offered, and never goes back', async () => {
    const draft = (i: number, text: string) =>
      t.register(pack(`draft-${i}`, '1.0.0', { manifest: { description: text } }));
    const birds = ['stork', 'crane', 'finch', 'swift', 'eagle', 'raven'];
    for (const [i, bird] of birds.entries()) await draft(i, `Counts herons and the ${bird}`);
    expect(await names('herons', {}, operator)).toHaveLength(6);
    const older = await loadCatalogue(t.hub.store);
    const analysed = vi.spyOn(SearchIndex.prototype, 'upsert');
    const since = async (text: string) => {
      analysed.mockClear();
      return [await names(text, {}, operator), [...new Set(analysed.mock.calls.map(([d]) => d.name))]];
    };
    try {
      await t.addMachine('m');
      expect(await since('swift')).toEqual([['draft-3'], []]);
      await draft(6, 'Counts pelicans');
      expect(await since('pelicans')).toEqual([['draft-6'], ['draft-6']]);
      const searched = searchedBy(older, operator, undefined);
      expect((await discoveryOf(t.hub).find(older, { text: 'swift', limit: 9 }, searched)).hits).toHaveLength(1);
      expect(await since('pelicans')).toEqual([['draft-6'], []]);
      await t.call('remove', { params: { id: 'draft-3@1.0.0' } });
      expect(await since('swift')).toEqual([[], []]);
      await t.call('publish', { body: { plugin_id: 'plugin_draft-4_1.0.0', all: true } });
      expect(await since('eagle')).toEqual([['draft-4'], ['draft-4']]);
      expect(await since('raven')).toEqual([['draft-5'], []]);
    } finally {
      analysed.mockRestore();
    }
  });
});
