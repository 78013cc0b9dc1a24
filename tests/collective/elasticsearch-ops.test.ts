import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { afterEach, describe, expect, it } from 'vitest';
import { REPOSITORY } from '../support/repository.ts';
import { breach, type Reply, type Seen, type StandIn, standIn } from './cluster-stand-in.ts';

/** The versions that the plugin is for, as `GET /` tells them. */
const PRODUCTS = {
  'Elasticsearch 8': { number: '8.19.0', build_flavor: 'default' },
  'Elasticsearch 9': { number: '9.1.0', build_flavor: 'default' },
  'OpenSearch 2': { number: '2.19.0', distribution: 'opensearch' },
  'OpenSearch 3': { number: '3.1.0', distribution: 'opensearch' },
};
type Product = keyof typeof PRODUCTS;

/** A healthy cluster with the index `logs`; `more` answers first. */
const cluster =
  (product: Product, more: Record<string, Reply> = {}) =>
  ({ method, path }: Seen): Reply | undefined => {
    const version = PRODUCTS[product];
    const healthy = {
      cluster_name: 'logs',
      status: 'green',
      timed_out: false,
      number_of_nodes: 3,
      active_shards: 12,
      unassigned_shards: 0,
    };
    const nodes = ['a', 'b', 'c'].map((name) => ({ name, 'heap.percent': '40', 'disk.used_percent': '50' }));
    const settings = {
      uuid: 'u',
      creation_date: '1',
      provided_name: 'logs',
      version: { created: '9' },
      number_of_shards: '2',
      number_of_replicas: '2',
      refresh_interval: '5s',
    };
    const table: Record<string, Reply> = {
      'GET /': { body: { version } },
      'GET /_cluster/health': { body: healthy },
      'GET /_cat/nodes': { body: nodes },
      'GET /logs/_count': { body: { count: 1000, _shards: { total: 2, successful: 2, failed: 0 } } },
      'GET /logs/_settings': { body: { logs: { settings: { index: settings } } } },
      'GET /logs/_mapping': { body: { logs: { mappings: { properties: { at: { type: 'date' } } } } } },
      'PUT /logs-2': { body: { acknowledged: true } },
      'POST /_reindex': { body: { task: 'node-1:42' } },
      'PUT /logs-2/_settings': { body: { acknowledged: true } },
      'POST /logs-2/_refresh': { body: {} },
      'GET /logs-2/_count': { body: { count: 1000, _shards: { total: 2, failed: 0 } } },
      'GET /_snapshot': { body: { s3: { type: 's3' } } },
      'POST /_snapshot/s3/_verify': { body: { nodes: {} } },
      'GET /_snapshot/s3/_all': {
        body: {
          snapshots: [
            { snapshot: 'monday', state: 'SUCCESS', indices: ['logs'] },
            { snapshot: 'torn', state: 'PARTIAL', shards: { failed: 1 } },
          ],
        },
      },
      'GET /_snapshot/s3/monday': {
        body: { snapshots: [{ snapshot: 'monday', state: 'SUCCESS', indices: ['logs'] }] },
      },
      'GET /_snapshot/s3/torn': { body: { snapshots: [{ snapshot: 'torn', state: 'PARTIAL' }] } },
      'PUT /_snapshot/s3/tuesday': { body: { accepted: true } },
      'POST /_snapshot/s3/monday/_restore': { body: { accepted: true } },
      'DELETE /_snapshot/s3/monday': { body: { acknowledged: true } },
    };
    const key = `${method} ${path}`;
    return more[key] ?? table[key];
  };

let stand: StandIn | undefined;
let client: Client | undefined;
afterEach(async () => {
  await client?.close();
  await stand?.close();
  client = undefined;
  stand = undefined;
});

/** Starts the plugin's server against a stand-in; answers a function that calls a tool. */
async function open(
  answer: (seen: Seen) => Reply | undefined,
  env: Record<string, string> = {},
  tls?: { key: Buffer; cert: Buffer },
) {
  stand = await standIn(answer, tls);
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [join(REPOSITORY, 'plugins', 'elasticsearch-ops', 'server', 'main.mjs')],
    env: { ES_URL: stand.url, ES_CREDENTIALS: 'bWFkZSB1cA==', ES_CA_FILE: '', ...env },
  });
  const opened = new Client({ name: 'test', version: '1.0.0' });
  client = opened;
  await opened.connect(transport);
  return async (name: string, args: Record<string, string> = {}) => {
    const result = await opened.callTool({ name, arguments: args });
    const [{ text }] = result.content as [{ text: string }];
    return { text, isError: result.isError === true, confirm: /confirm: (\w+)/.exec(text)?.[1] ?? '' };
  };
}
const asked = () => (stand as StandIn).seen.map((s) => `${s.method} ${s.path}`);
const writes = () => asked().filter((line) => !/^(GET|HEAD) /.test(line) && !line.endsWith('/_verify'));

describe.each(Object.keys(PRODUCTS) as Product[])('against %s', (product) => {
  it('copies an index: plan, start with the code, status, finish; every request as documented', async () => {
    const done = {
      body: { completed: true, task: { status: { total: 1000, created: 1000 } }, response: { failures: [] } },
    };
    const call = await open(cluster(product, { 'GET /_tasks/node-1%3A42': done }));
    const names = { source: 'logs', dest: 'logs-2' };
    const plan = await call('es_reindex_plan', names);
    expect(plan.text).toContain('1000 documents');
    expect(writes()).toEqual([]);
    expect((await call('es_reindex_start', { ...names, confirm: plan.confirm })).text).toContain('node-1:42');
    expect(stand?.seen.find((s) => s.method === 'PUT')?.body).toEqual({
      settings: { index: { number_of_shards: '2', number_of_replicas: 0, refresh_interval: '-1' } },
      mappings: { properties: { at: { type: 'date' } } },
    });
    const copy = stand?.seen.find((s) => s.path === '/_reindex');
    expect(copy?.query).toEqual({ wait_for_completion: 'false', slices: 'auto' });
    expect(copy?.body).toEqual({ source: { index: 'logs' }, dest: { index: 'logs-2', op_type: 'create' } });
    expect((await call('es_reindex_status', { task: 'node-1:42' })).text).toMatch(/^done: 1000 of 1000/);
    expect((await call('es_reindex_finish', names)).text).toContain('all 1000 documents');
    const restored = { index: { number_of_replicas: '2', refresh_interval: '5s' } };
    expect(stand?.seen.find((s) => s.path === '/logs-2/_settings')?.body).toEqual(restored);
    expect(stand?.breaches).toEqual([]);
  });

  it('lists, creates, restores and deletes snapshots', async () => {
    const call = await open(cluster(product));
    expect((await call('es_snapshot_list')).text).toBe('s3 (s3)');
    expect((await call('es_snapshot_list', { repository: 's3' })).text).toContain('torn: PARTIAL');
    const steps = [
      { action: 'create', snapshot: 'tuesday', indices: 'logs*' },
      { action: 'restore', snapshot: 'monday', indices: 'logs' },
      { action: 'delete', snapshot: 'monday' },
    ];
    for (const step of steps) {
      const args = { repository: 's3', ...step };
      const { confirm } = await call('es_snapshot_plan', args);
      expect((await call('es_snapshot_apply', { ...args, confirm })).isError).toBe(false);
    }
    expect(writes()).toEqual([
      'PUT /_snapshot/s3/tuesday',
      'POST /_snapshot/s3/monday/_restore',
      'DELETE /_snapshot/s3/monday',
    ]);
    expect(stand?.seen.find((s) => s.path.endsWith('_restore'))?.body).toMatchObject({
      rename_replacement: 'restored-$1',
      include_aliases: false,
    });
    expect(stand?.breaches).toEqual([]);
  });

  it('says how the cluster is', async () => {
    const call = await open(cluster(product));
    const { number } = PRODUCTS[product];
    expect((await call('es_health')).text).toContain(`(${product.replace(/ .*/, '')} ${number}): green`);
    expect(stand?.breaches).toEqual([]);
  });
});

describe('when something is wrong', () => {
  const red = { cluster_name: 'logs', status: 'red', number_of_nodes: 2, active_shards: 9, unassigned_shards: 3 };
  const explain = {
    index: 'logs',
    shard: 0,
    primary: true,
    unassigned_info: { reason: 'NODE_LEFT' },
    node_allocation_decisions: [
      { node_name: 'b', deciders: [{ decision: 'NO', explanation: 'disk watermark exceeded' }] },
    ],
  };

  it('names what a red cluster lacks and why, and refuses to copy on it', async () => {
    const call = await open(
      cluster('Elasticsearch 9', {
        'GET /_cluster/health': { body: red },
        'GET /_cat/indices': { body: [{ index: 'logs', health: 'red' }] },
        'GET /_cluster/allocation/explain': { body: explain },
        'GET /_cat/nodes': { body: [{ name: 'b', 'heap.percent': '91', 'disk.used_percent': '96' }] },
      }),
    );
    const { text } = await call('es_health');
    for (const part of [
      'red: logs',
      'logs[0] (primary): NODE_LEFT',
      'disk watermark exceeded',
      'heap 91 %',
      'disk 96 %',
    ])
      expect(text).toContain(part);
    expect((await call('es_reindex_plan', { source: 'logs', dest: 'logs-2' })).text).toMatch(/^ES_REFUSED: .*red/);
    expect(writes()).toEqual([]);
  });

  it.each([
    ['401', 'ES_UNAUTHORIZED'],
    ['403', 'ES_FORBIDDEN'],
    ['500', 'ES_ERROR'],
  ])('%s is %s, without the credentials in the answer', async (status, code) => {
    const body = { error: { type: 'security_exception', reason: 'no' } };
    const call = await open(() => ({ status: Number(status), body }));
    const answer = await call('es_health');
    expect([answer.isError, answer.text]).toEqual([
      true,
      expect.stringMatching(new RegExp(`^${code}: .*security_exception: no`)),
    ]);
    expect(answer.text).not.toContain('bWFkZSB1cA==');
    expect(stand?.seen[0]?.authorization).toBe('ApiKey bWFkZSB1cA==');
  });

  it('429: reads are tried again as Retry-After says, at most three times; writes never', async () => {
    let busy = 2;
    const call = await open((seen) => {
      if (seen.path === '/' && busy-- > 0) return { status: 429, headers: { 'retry-after': '0' } };
      if (seen.path === '/_reindex')
        return { status: 429, body: { error: { type: 'es_rejected_execution_exception' } } };
      return cluster('Elasticsearch 9')(seen);
    });
    expect((await call('es_health')).isError).toBe(false);
    expect(asked().filter((line) => line === 'GET /')).toHaveLength(3);
    busy = 99;
    expect((await call('es_health')).text).toMatch(/^ES_BUSY: /);
    const names = { source: 'logs', dest: 'logs-2' };
    const { confirm } = await call('es_reindex_plan', names);
    expect((await call('es_reindex_start', { ...names, confirm })).text).toMatch(/^ES_BUSY: /);
    expect(asked().filter((line) => line === 'POST /_reindex')).toHaveLength(1);
  });

  it('counts of a part of the shards, partial snapshots, failed copies and different counts are no success', async () => {
    const call = await open(
      cluster('Elasticsearch 9', {
        'GET /logs/_count': { body: { count: 500, _shards: { total: 2, successful: 1, failed: 1 } } },
        'GET /_tasks/n%3A1': {
          body: {
            completed: true,
            task: { status: { total: 9, created: 8 } },
            response: { failures: [{ cause: { reason: 'mapper_parsing' } }] },
          },
        },
      }),
    );
    expect((await call('es_reindex_plan', { source: 'logs', dest: 'logs-2' })).text).toMatch(
      /^ES_PARTIAL: 1 of 2 shards/,
    );
    expect((await call('es_snapshot_plan', { action: 'restore', repository: 's3', snapshot: 'torn' })).text).toMatch(
      /^ES_PARTIAL: /,
    );
    expect((await call('es_reindex_status', { task: 'n:1' })).text).toMatch(/^failed: 8 of 9[\s\S]*mapper_parsing/);
    await client?.close();
    await stand?.close();
    const again = await open(
      cluster('Elasticsearch 9', { 'GET /logs-2/_count': { body: { count: 999, _shards: { failed: 0 } } } }),
    );
    expect((await again('es_reindex_finish', { source: 'logs', dest: 'logs-2' })).text).toMatch(
      /^ES_COUNTS_DIFFER: .*1000.*999/,
    );
  });

  it('nothing is done without the code of the plan, or into what is there, or with a name that is none', async () => {
    const call = await open(cluster('Elasticsearch 9', { 'HEAD /taken': {} }));
    const shot = { action: 'delete', repository: 's3', snapshot: 'monday' };
    for (const [name, args, code] of [
      ['es_reindex_start', { source: 'logs', dest: 'logs-2', confirm: 'yes' }, 'ES_NOT_CONFIRMED'],
      ['es_snapshot_apply', { ...shot, confirm: '000000000000' }, 'ES_NOT_CONFIRMED'],
      ['es_reindex_plan', { source: 'logs', dest: 'taken' }, 'ES_REFUSED'],
      ['es_reindex_plan', { source: 'logs', dest: 'logs' }, 'ES_REFUSED'],
      ['es_reindex_plan', { source: '*', dest: 'x' }, 'ES_REFUSED'],
      ['es_reindex_plan', { source: 'logs/../_cluster', dest: 'x' }, 'ES_REFUSED'],
      ['es_snapshot_plan', { ...shot, repository: '_all' }, 'ES_REFUSED'],
      ['es_snapshot_plan', { ...shot, snapshot: 'none' }, 'ES_NOT_FOUND'],
      ['es_snapshot_plan', { ...shot, action: 'wipe' }, 'BAD_REQUEST'],
      ['es_reindex_plan', { source: 'logs' }, 'BAD_REQUEST'],
      ['es_health', { extra: 'x' }, 'BAD_REQUEST'],
      ['es_reindex_status', { task: '../x' }, 'ES_REFUSED'],
    ] as [string, Record<string, string>, string][]) {
      const answer = await call(name, args);
      expect([answer.isError, answer.text], `${name} ${JSON.stringify(args)}`).toEqual([
        true,
        expect.stringMatching(new RegExp(`^${code}: `)),
      ]);
    }
    expect(writes()).toEqual([]);
  });

  it.each([
    ['no address', { ES_URL: '' }, 'ES_NOT_CONFIGURED'],
    ['an option that was never set', { ES_URL: `\${user_config.url}` }, 'ES_NOT_CONFIGURED'],
    ['an address that is none', { ES_URL: 'ftp://x' }, 'ES_NOT_CONFIGURED'],
    ['an authority that cannot be read', { ES_CA_FILE: '/nowhere.pem' }, 'ES_NOT_CONFIGURED'],
    ['nobody there', { ES_URL: 'http://127.0.0.1:1' }, 'ES_UNREACHABLE'],
  ])('with %s it says what to do', async (_what, env, code) => {
    const call = await open(cluster('Elasticsearch 9'), env);
    expect((await call('es_health')).text).toMatch(new RegExp(`^${code}: `));
  });

  it('user:password is sent as Basic', async () => {
    const call = await open(cluster('OpenSearch 3'), { ES_CREDENTIALS: 'admin:x' });
    await call('es_health');
    expect(stand?.seen[0]?.authorization).toBe(`Basic ${Buffer.from('admin:x').toString('base64')}`);
  });
});

it('speaks TLS with an own authority, and never without checking the certificate', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hv es tls-'));
  const made = (file: string): string => join(folder, file);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', made('key')];
  const name = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...key, ...name, '-out', made('cert')], { stdio: 'ignore' });
  const tls = { key: await readFile(made('key')), cert: await readFile(made('cert')) };
  try {
    const stranger = await open(cluster('Elasticsearch 9'), {}, tls);
    const refused = await stranger('es_health');
    expect([refused.isError, refused.text]).toEqual([
      true,
      expect.stringMatching(/^ES_UNREACHABLE: .*Set the certificate authority/),
    ]);
    expect(stand?.seen).toEqual([]);
    await client?.close();
    await stand?.close();
    const known = await open(cluster('Elasticsearch 9'), { ES_CA_FILE: made('cert') }, tls);
    expect((await known('es_health')).text).toContain('green');
    expect(stand?.url).toMatch(/^https:/);
    expect(stand?.breaches).toEqual([]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

it('the stand-in notices requests that the API does not know', () => {
  const seen = { query: {}, body: undefined, authorization: undefined };
  expect(breach({ ...seen, method: 'POST', path: '/_reindex' })).toContain('wrong body');
  expect(breach({ ...seen, method: 'GET', path: '/_cluster/healthy' })).toContain('no such request');
  expect(breach({ ...seen, method: 'GET', path: '/_snapshot', query: { verbose: '1' } })).toContain('knows no verbose');
  expect(breach({ ...seen, method: 'DELETE', path: '/logs' })).toContain('no such request');
  const copy = { source: { index: 'a' }, dest: { index: 'b' } };
  expect(breach({ ...seen, method: 'POST', path: '/_reindex', body: copy })).toBeNull();
  const wrong = { ...copy, dest: { index: 'b', typo: 'create' } };
  expect(breach({ ...seen, method: 'POST', path: '/_reindex', body: wrong })).toContain('dest.typo is not documented');
  const given = { settings: { index: { uuid: 'u' } }, mappings: {} };
  expect(breach({ ...seen, method: 'PUT', path: '/b', body: given })).toContain('settings.index.uuid');
  expect(breach({ ...seen, method: 'GET', path: '/logs*/_count' })).toContain('no such request');
  expect(breach({ ...seen, method: 'GET', path: '/logs/_count', body: {} })).toContain('takes no body');
});
