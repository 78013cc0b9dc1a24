import { afterEach, describe, expect, it, vi } from 'vitest';
import { BuiltInVectors } from './built-in-vectors.ts';
import type { SearchDocument } from './document.ts';
import { Postings } from './postings.ts';
import { runSliced } from './run-sliced.ts';
import { SearchIndex } from './search-index.ts';
import { Vocabulary } from './vocabulary.ts';

const plugin = (name: string, description: string, more: Partial<SearchDocument> = {}): SearchDocument => ({
  name,
  description,
  keywords: [],
  useCases: [],
  components: [],
  body: '',
  ...more,
});

const REGISTRY = [
  plugin('kubernetes-ops', 'Rolls out workloads to clusters', {
    components: [{ kind: 'command', name: 'drain-node', description: 'Evicts pods before maintenance' }],
  }),
  plugin('kubernetes', 'Everything about clusters and containers'),
  plugin('log-reader', 'Reads log files', { keywords: ['observability'], body: 'Groups errors by fingerprint.' }),
  plugin('load-tester', 'Runs load testing against an API', { useCases: ['find out how many users a service bears'] }),
  plugin('database-tuner', 'Finds slow queries in a database'),
  plugin('precommit-guard', 'Checks a pre-commit hook'),
  plugin('c-sharp-helper', 'Lints C# and C++ sources'),
];

function filled(documents = REGISTRY): SearchIndex {
  const index = new SearchIndex();
  for (const document of documents) index.upsert(document);
  return index;
}

const names = (index: SearchIndex, text: string, keywords: string[] = []) =>
  index.query({ text, keywords, limit: 5 }).hits.map((h) => h.name);

describe('words', () => {
  const index = filled();
  it.each([
    ['inflected', 'testing loads of an API', 'load-tester'],
    ['mistyped', 'kuberntes workload', 'kubernetes-ops'],
    ['with swapped letters', 'slow databsae', 'database-tuner'],
    ['unfinished', 'finger', 'log-reader'],
    ['written as one', 'loadtesting', 'load-tester'],
    ['written apart', 'data base', 'database-tuner'],
    ['with a hyphen', 'pre commit', 'precommit-guard'],
    ['of a component', 'evict pods', 'kubernetes-ops'],
    ['of a use case', 'how many users can we bear', 'load-tester'],
    ['with signs', 'c++', 'c-sharp-helper'],
    ['with accents and capitals', 'DATABÁSE', 'database-tuner'],
  ])('finds words %s', (_, text, expected) => {
    expect(names(index, text)[0]).toBe(expected);
  });

  it('finds nothing for words that nothing is like', () => {
    expect(index.query({ text: 'xyzzyplugh', limit: 5 })).toEqual({ hits: [], weak: true });
    expect(index.query({ text: '!!! ???', limit: 5 })).toEqual({ hits: [], weak: true });
    expect(new SearchIndex().query({ text: 'kubernetes', limit: 5 })).toEqual({ hits: [], weak: true });
  });

  it('does not take short words for typing errors of others', () => {
    expect(names(index, 'lug')).toEqual([]);
  });

  it('uses the keywords of the caller', () => {
    expect(names(index, 'keep the site alive')).toEqual([]);
    expect(names(index, 'keep the site alive', ['observability', 'log'])[0]).toBe('log-reader');
  });

  it('searches for stop words when there is nothing else', () => {
    expect(names(filled([plugin('make', 'x'), plugin('other', 'y')]), 'make')[0]).toBe('make');
  });
});

describe('order', () => {
  it.each(['kubernetes', 'Kubernetes', 'kubernetes@^1.0.0', ' kubernetes '])(
    'puts the exact name first: %j',
    (text) => {
      const { hits, weak } = filled().query({ text, limit: 5 });
      expect(hits[0]).toEqual({ name: 'kubernetes', score: 1, reason: 'the name itself' });
      expect(hits.filter((h) => h.name === 'kubernetes')).toHaveLength(1);
      expect(weak).toBe(false);
    },
  );

  it('takes the words of a name for the name', () => {
    expect(names(filled(), 'Load Tester')[0]).toBe('load-tester');
  });

  it('keeps a filtered name out, even the exact one', () => {
    const { hits } = filled().query({ text: 'kubernetes', limit: 5, filter: (n) => n !== 'kubernetes' });
    expect(hits.map((h) => h.name)).toEqual(['kubernetes-ops']);
  });

  it('fills the limit from what the filter lets through', () => {
    const many = Array.from({ length: 50 }, (_, i) => plugin(`p${i}`, 'backup of databases'));
    const { hits } = filled(many).query({ text: 'backup', limit: 3, filter: (n) => Number(n.slice(1)) >= 40 });
    expect(hits.map((h) => h.name)).toEqual(['p40', 'p41', 'p42']);
  });

  it('puts deprecated plugins behind all others', () => {
    const { hits } = filled().query({ text: 'clusters', limit: 5, last: (n) => n === 'kubernetes' });
    expect(hits.map((h) => h.name)).toEqual(['kubernetes-ops', 'kubernetes']);
    const one = filled().query({ text: 'clusters', limit: 1, last: (n) => n === 'kubernetes' });
    expect(one.hits.map((h) => h.name)).toEqual(['kubernetes-ops']);
  });

  it('does not depend on the order of arrival or on what was there before', () => {
    const texts = ['kubernetes clusters', 'slow log queries', 'load'];
    const direct = filled();
    const other = filled([...REGISTRY].reverse().map((d) => ({ ...d, description: `old ${d.description}` })));
    other.upsert(plugin('gone', 'clusters of everything'));
    for (const document of REGISTRY) other.upsert(document);
    other.remove('gone');
    for (const text of texts) {
      expect(other.query({ text, limit: 9 })).toEqual(direct.query({ text, limit: 9 }));
    }
    expect(other.remove('gone')).toBe(false);
  });
});

describe('the work of one question', () => {
  const letters = (i: number) => String.fromCharCode(97 + (i % 26), 97 + Math.floor(i / 26));
  const many = Array.from({ length: 60 }, (_, i) => plugin(`p${i}`, `con${letters(i)} connects containers`));
  afterEach(() => vi.restoreAllMocks());

  it.each([
    ['a word again and again', 'con '.repeat(500)],
    ['many words', Array.from({ length: 400 }, (_, i) => `conx${letters(i)}`).join(' ')],
  ])('does not grow with %s, whatever the filter lets through', (_, text) => {
    const index = filled(many);
    for (const passing of ['nothing', 'p59']) {
      const asked: string[] = [];
      const [walked, compared] = [vi.spyOn(Postings.prototype, 'some'), vi.spyOn(Vocabulary.prototype, 'near')];
      index.query({ text, keywords: [text], limit: 5, filter: (name) => asked.push(name) > 0 && name === passing });
      expect(new Set(asked).size).toBe(asked.length);
      const terms = walked.mock.calls.map(([term]) => term);
      expect(new Set(terms).size).toBe(terms.length);
      expect(compared.mock.calls.length).toBeLessThanOrEqual(100);
      vi.restoreAllMocks();
    }
  });

  it('is no less than it takes to find what the filter lets through, behind many that it does not', () => {
    const index = filled(many);
    const only = (name: string) => index.query({ text: 'con', limit: 5, filter: (n) => n === name }).hits;
    for (const { name } of many) expect(only(name)).toMatchObject([{ name }]);
    expect(only('nothing')).toEqual([]);
    const repeated = index.query({ text: `${'con '.repeat(200)}containers`, limit: 5 });
    expect(repeated.hits).toEqual(index.query({ text: 'con containers', limit: 5 }).hits);
  });
});

describe('reasons', () => {
  it('name the words and the component that matched', () => {
    const hit = filled().query({ text: 'evict pods on kubernetes', limit: 1 }).hits[0];
    expect(hit?.reason).toBe('command drain-node: evict, pods · name: kubernetes');
  });

  it('name the component whatever form the word has there', () => {
    const components = [
      { kind: 'command' as const, name: 'list', description: 'Everything there is' },
      { kind: 'skill' as const, name: 'rotate-key', description: 'Does it with an e-mail to a Café' },
    ];
    const index = filled([plugin('tool', 'Helps', { components })]);
    const reason = (text: string) => index.query({ text, limit: 1 }).hits[0]?.reason;
    expect(reason('keys')).toBe('skill rotate-key: keys');
    expect(reason('email cafes')).toBe('skill rotate-key: email, cafes');
    expect(reason('helping')).toBe('description: helping');
  });

  it('say so when only the vectors speak for it', () => {
    const { hits } = filled().query({ text: 'slow', limit: 5, nearest: new Map([['log-reader', 0.9]]) });
    expect(hits.find((h) => h.name === 'log-reader')?.reason).toBe('none of the words, but texts akin to them');
  });
});

describe('one question after another', () => {
  it('is answered as if it were the first, by a small index after a large one too', () => {
    const many = Array.from({ length: 300 }, (_, i) => plugin(`queries-${i}`, `Finds slow databases number ${i}`));
    const text = 'slow queries of a database';
    const alone = filled().query({ text, limit: 5 });
    filled(many).query({ text: 'slow databases', limit: 5 });
    filled(many).query({ text: 'number 7 finds', limit: 5 });
    expect(filled().query({ text, limit: 5 })).toEqual(alone);
  });
});

describe('an index beside another', () => {
  const [own, others] = [REGISTRY.slice(0, 3), REGISTRY.slice(3)];
  const questions = [
    'kuberntes workload',
    'slow queries',
    'clusters',
    'finger',
    'loadtesting',
    'data base',
    'Load Tester',
  ];

  it('answers as one that holds the documents of both, also after changes in either', () => {
    const base = filled([...others, plugin('late', 'x')]);
    const index = new SearchIndex(base);
    for (const document of own) index.upsert(document);
    const same = () => {
      for (const text of questions) {
        expect(index.query({ text, limit: 9 }), text).toEqual(both.query({ text, limit: 9 }));
      }
    };
    const both = filled([...others, plugin('late', 'x'), ...own]);
    same();
    for (const one of [base, both]) {
      one.remove('late');
      one.upsert(plugin('new', 'Finds slow clusters'));
      one.upsert(plugin('newer', 'Loads data'));
    }
    same();
    for (const one of [index, both]) one.remove('kubernetes');
    same();
  });

  it('is unknown to the other', () => {
    const base = filled(others);
    new SearchIndex(base).upsert(plugin('secret', 'Finds slow flamingos'));
    for (const text of [...questions, 'flamingo', 'secret']) {
      expect(base.query({ text, limit: 9 })).toEqual(filled(others).query({ text, limit: 9 }));
    }
  });

  it('answers a name that is in both from its own', () => {
    const index = new SearchIndex(filled([plugin('twice', 'old text')]));
    index.upsert(plugin('twice', 'new text'));
    expect(index.query({ text: 'text', limit: 9 }).hits).toHaveLength(1);
    expect(index.query({ text: 'old', limit: 9 }).hits).toEqual([]);
  });
});

describe('the meaning alone', () => {
  const index = filled();
  const nearest = new Map([
    ['log-reader', 0.7],
    ['load-tester', 0.68],
    ['c-sharp-helper', 0.55],
    ['kubernetes', 0.4],
  ]);
  const asked = { text: 'xyzzyplugh', limit: 9, nearest, denseWeight: 0.6 };

  it('scores by the cosine beyond what says nothing, and leaves out what is far behind', () => {
    const { hits, weak } = index.query({ ...asked, noise: 0.5 });
    expect(hits.map((h) => [h.name, h.score])).toEqual([
      ['log-reader', 0.4],
      ['load-tester', 0.36],
    ]);
    expect(weak).toBe(false);
  });

  it('says that nothing fits where the nearest is about as near as to any question', () => {
    expect(index.query({ ...asked, noise: 0.66 })).toMatchObject({ hits: [{ score: 0.118 }, {}], weak: true });
    expect(index.query({ ...asked, noise: 0.7 })).toEqual({ hits: [], weak: true });
    expect(index.query({ ...asked, noise: 1 })).toEqual({ hits: [], weak: true });
  });

  it('is judged by what the filter lets through', () => {
    const filter = (name: string) => name.startsWith('c');
    expect(index.query({ ...asked, noise: 0.5, filter })).toMatchObject({
      hits: [{ name: 'c-sharp-helper', score: 0.1 }],
      weak: true,
    });
  });

  it('comes before a stray word, and behind words that fit', () => {
    const stray = { ...asked, text: 'which dinosaurs roamed glaciers before Antarctica hook', noise: 0.5 };
    const { hits, weak } = index.query(stray);
    expect(hits[0]).toMatchObject({ name: 'log-reader', score: 0.4 });
    expect([hits.at(-1)?.name, weak]).toEqual(['precommit-guard', false]);
    expect(index.query({ ...asked, text: 'slow queries', noise: 0.5 }).hits[0]?.name).toBe('database-tuner');
  });
});

describe('nothing fits well', () => {
  it('is said of a question that shares a stray word', () => {
    expect(
      filled().query({ text: 'which files prove that dinosaurs roamed Antarctica before glaciers', limit: 3 }).weak,
    ).toBe(true);
  });

  it('is not said of a question that a plugin answers', () => {
    expect(filled().query({ text: 'find slow queries', limit: 3 }).weak).toBe(false);
  });
});

describe('vectors', () => {
  const cats = Array.from({ length: 12 }, (_, i) =>
    plugin(`cat-${i}`, `feline purring whiskers ${i % 2 ? 'kitten' : 'tom'}`),
  );
  const cars = Array.from({ length: 12 }, (_, i) =>
    plugin(`car-${i}`, `engine wheels gearbox ${i % 2 ? 'diesel' : 'petrol'}`),
  );

  async function vectorsOf(documents: SearchDocument[]) {
    const index = new SearchIndex();
    const vectors = new BuiltInVectors();
    for (const d of documents) vectors.put(d.name, index.upsert(d));
    await runSliced(vectors.refit());
    return { index, vectors };
  }

  it('bring together what keeps the same company', async () => {
    const { index, vectors } = await vectorsOf([...cats, ...cars]);
    const near = [...vectors.nearest(index.bag('kitten'), 12).keys()];
    expect(near.every((n) => n.startsWith('cat-'))).toBe(true);
    expect(near.length).toBe(12);
  });

  it('are the same for the same documents in another order, others for others', async () => {
    const a = (await vectorsOf([...cats, ...cars])).vectors;
    const b = (await vectorsOf([...cars, ...cats].reverse())).vectors;
    const c = (await vectorsOf(cats)).vectors;
    expect(b.id).toBe(a.id);
    expect(b.vectors?.get('cat-3')).toEqual(a.vectors?.get('cat-3'));
    expect(c.id).not.toBe(a.id);
  });

  it('follow changes that come while a model is computed', async () => {
    const { index, vectors } = await vectorsOf([...cats, ...cars]);
    const refit = vectors.refit();
    refit.next();
    vectors.remove('cat-0');
    vectors.put('car-0', index.upsert(plugin('car-0', 'feline purring whiskers kitten')));
    await runSliced(refit);
    expect(vectors.vectors?.get('cat-0')).toBeUndefined();
    expect([...vectors.nearest(index.bag('kitten feline'), 12).keys()]).toContain('car-0');
    expect(vectors.due).toBe(true);
  });

  it('are none for a registry too small to compare', async () => {
    const { index, vectors } = await vectorsOf(cats.slice(0, 3));
    expect(vectors.id).toBeUndefined();
    expect(vectors.nearest(index.bag('kitten'), 5).size).toBe(0);
  });
});
