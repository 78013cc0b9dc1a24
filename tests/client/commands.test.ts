// Every command of the three plugins in the real client: its text reaches the model, the tools it names are allowed and answered.

import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Collective } from '../support/collective.ts';
import { hvOk } from '../support/hv.ts';
import { REPOSITORY } from '../support/repository.ts';
import type { TempHome } from '../support/temp-home.ts';
import type { Step } from './harness/scripted-model.ts';
import { scriptedSession } from './harness/with-model.ts';

const CORE = 'mcp__plugin_haivemind-core_haivemind__';
const ES = 'mcp__plugin_elasticsearch-ops_es__';

let collective: Collective;
let machine: TempHome;
let cluster: ReturnType<typeof createServer>;
beforeAll(async () => {
  cluster = createServer((req, res) => {
    const body = req.url?.startsWith('/_cat')
      ? []
      : {
          cluster_name: 'c',
          status: 'green',
          version: { number: '9.0.0' },
          unassigned_shards: 0,
          count: 3,
          i: { settings: { index: {} }, mappings: {} },
        };
    const missing = req.method === 'HEAD' || /^\/_snapshot\/r\//.test(req.url ?? '');
    res.writeHead(missing && req.method !== 'POST' ? 404 : 200, { 'content-type': 'application/json' });
    res.end(req.method === 'HEAD' ? undefined : JSON.stringify(body));
  });
  await new Promise<void>((resolve) => cluster.listen(0, '127.0.0.1', resolve));
  collective = await Collective.start();
  machine = await collective.machine('desk', { groups: ['elasticsearch'], capabilities: ['sql'] });
  // The hub brought them along; an operator only publishes.
  for (const name of ['elasticsearch-ops', 'incident-response']) {
    const env = { HAIVEMIND_TOKEN: collective.hub.adminToken ?? '' };
    const published = await hvOk(collective.operator, ['publish', name, '--groups', 'elasticsearch'], { env });
    expect(published.status).toBe('published');
  }
  await hvOk(machine, ['sync']);
  await hvOk(machine, ['publish', join(REPOSITORY, 'tests', 'fixtures', 'base-memory-tools'), '--all'], {
    env: { HAIVEMIND_TOKEN: collective.hub.joinToken },
  });
  const settingsFile = join(machine.home, '.claude', 'settings.json');
  const settings = JSON.parse(await readFile(settingsFile, 'utf8'));
  const url = `http://127.0.0.1:${(cluster.address() as AddressInfo).port}`;
  settings.pluginConfigs = { 'elasticsearch-ops@collective': { options: { url } } };
  await writeFile(settingsFile, JSON.stringify(settings, null, 2));
});
afterAll(async () => {
  cluster?.close();
  await collective?.close();
});

interface Row {
  prompt: string;
  /** What of the command's own text the model must be given. */
  told: string;
  steps: { tool: string; input: Record<string, unknown> }[];
  /** Words of each answer. */
  answers: RegExp[];
}

const one = (prompt: string, told: string, tool: string, input: Record<string, unknown>, answer: RegExp): Row => ({
  prompt,
  told,
  steps: [{ tool, input }],
  answers: [answer],
});

/** One row a command; several where words take different ways. */
const ROWS: Row[] = [
  one('/hv-plugin list', 'list_plugins', `${CORE}list_plugins`, {}, /haivemind-core/),
  one(
    '/hv-plugin search memory',
    'keywords',
    `${CORE}list_plugins`,
    { search_query: 'memory', keywords: ['recall'] },
    /base-memory-tools/,
  ),
  one(
    '/hv-plugin info base-memory-tools',
    'plugin_info',
    `${CORE}plugin_info`,
    { plugin_id: 'base-memory-tools' },
    /"versions":\[\{"version":"1\.0\.0"/,
  ),
  one('/hv-status', 'get_plugin_status', `${CORE}get_plugin_status`, {}, /"machine":"desk".*elasticsearch-ops/),
  one('/hv-sync --dry-run', 'sync_plugins', `${CORE}sync_plugins`, { dry_run: true }, /"dry_run":true/),
  one(
    '/remember the zebra crossing is red',
    'store_memory',
    `${CORE}store_memory`,
    { content: 'The zebra crossing is red', tags: ['zebra'] },
    /"visibility":"collective"/,
  ),
  one(
    '/recall zebra',
    'search_memories',
    `${CORE}search_memories`,
    { query: 'zebra', keywords: ['crossing'] },
    /zebra crossing is red/,
  ),
  one('/recall --recent', 'get_recent_memories', `${CORE}get_recent_memories`, {}, /zebra crossing is red/),
  one(
    '/hv-broadcast the bridge is closed --warning',
    'broadcast_discovery',
    `${CORE}broadcast_discovery`,
    { content: 'The bridge is closed', severity: 'warning' },
    /"severity":"warning"/,
  ),
  one('/hv-broadcast list', 'get_broadcasts', `${CORE}get_broadcasts`, {}, /The bridge is closed/),
  one(
    '/hv-query agents',
    'get_agent_roster',
    `${CORE}get_agent_roster`,
    {},
    /"machine":"desk".*"capabilities":\["sql"\]/,
  ),
  one(
    '/hv-query @desk zebra',
    'query_agent_knowledge',
    `${CORE}query_agent_knowledge`,
    { agent: 'desk', query: 'zebra' },
    /zebra crossing is red/,
  ),
  one(
    '/hv-delegate count the rows --needs sql',
    'delegate_task',
    `${CORE}delegate_task`,
    { title: 'Count the rows', required_capabilities: ['sql'] },
    /"candidates":\["desk"\]/,
  ),
  one('/hv-delegate list', 'list_tasks', `${CORE}list_tasks`, {}, /Count the rows/),
  one('/es-health', 'es_health', `${ES}es_health`, {}, /Elasticsearch 9\.0\.0\): green/),
  one(
    '/es-reindex i j',
    'es_reindex_plan',
    `${ES}es_reindex_plan`,
    { source: 'i', dest: 'j' },
    /Would copy 3 documents/,
  ),
  one(
    '/es-snapshot create r nightly',
    'es_snapshot_plan',
    `${ES}es_snapshot_plan`,
    { action: 'create', repository: 'r', snapshot: 'nightly' },
    /Would snapshot/,
  ),
  one(
    '/incident-start P1 checkout is down',
    'record_incident',
    `${CORE}record_incident`,
    { incident_id: 'INC-20260301-checkout', action: 'start', severity: 'P1', text: 'Checkout answers 500' },
    /"status":"open","severity":"P1"/,
  ),
  one(
    '/incident-update still down',
    'record_incident',
    `${CORE}record_incident`,
    { incident_id: 'INC-20260301-checkout', action: 'update', text: 'Rolling back' },
    /Rolling back/,
  ),
  one(
    '/incident-update P3 better',
    'record_incident',
    `${CORE}record_incident`,
    { incident_id: 'INC-20260301-checkout', action: 'update', severity: 'P3', text: 'Half is back' },
    /"status":"open","severity":"P3"/,
  ),
  one(
    '/incident-resolve rolled back',
    'post_mortem',
    `${CORE}record_incident`,
    { incident_id: 'INC-20260301-checkout', action: 'resolve', text: 'Rolled back to 41' },
    /"status":"resolved".*## Timeline \(UTC\)/,
  ),
];

/** Commands of a plugin other than the core have no bare name. */
function typed(prompt: string): string {
  if (prompt.startsWith('/es-')) return prompt.replace('/', '/elasticsearch-ops:');
  if (prompt.startsWith('/incident-')) return prompt.replace('/', '/incident-response:');
  return prompt;
}

describe('every command', () => {
  it.each(ROWS)('$prompt', async ({ prompt, told, steps, answers }) => {
    const session = await scriptedSession(machine, [...(steps as Step[]), { text: 'done' }], { prompt: typed(prompt) });
    const given = JSON.stringify(session.requests[0]?.messages);
    expect(given).toContain(told);
    expect(session.toolUses.map((use) => use.name)).toEqual(steps.map((step) => step.tool));
    expect(session.result.permission_denials ?? []).toEqual([]);
    expect(session.toolResults.map((r) => [r.isError, r.text])).toEqual(
      answers.map((answer) => [false, expect.stringMatching(answer)]),
    );
  });

  it('has its row', async () => {
    const folders = ['commands', 'plugins/elasticsearch-ops/commands', 'plugins/incident-response/commands'];
    const files = (await Promise.all(folders.map((f) => readdir(join(REPOSITORY, f))))).flat();
    const tested = new Set(ROWS.map((row) => row.prompt.slice(1).split(' ')[0]));
    expect(files.map((f) => f.replace('.md', '')).sort()).toEqual([...tested].sort());
  });
});

it('the incident was broadcast when it started, changed severity and ended, once each, by the hook alone', async () => {
  const { broadcasts } = (await (
    await fetch(`${collective.hub.url}/api/collective/broadcasts?category=incident&limit=50`, {
      headers: { authorization: `Bearer ${collective.hub.adminToken}` },
    })
  ).json()) as { broadcasts: { content: string; severity: string }[] };
  expect(broadcasts.map((b) => [b.severity, b.content]).reverse()).toEqual([
    ['critical', 'INC-20260301-checkout P1 started: Checkout answers 500'],
    ['info', 'INC-20260301-checkout P3 is now P3 (was P1): Half is back'],
    ['info', 'INC-20260301-checkout P3 resolved: Rolled back to 41'],
  ]);
});

it('taking a task asks a person, whatever the command allows', async () => {
  const [task] = (await hvTasks()).filter((t) => t.status === 'open');
  const steps = [{ tool: `${CORE}claim_task`, input: { task_id: task?.id } }, { text: 'done' }];
  const session = await scriptedSession(machine, steps as Step[], { prompt: `/hv-delegate take ${task?.id}` });
  expect(session.toolResults.map((r) => r.isError)).toEqual([true]);
  expect(session.result.permission_denials?.map((d) => d.tool_name)).toEqual([`${CORE}claim_task`]);
  expect((await hvTasks()).find((t) => t.id === task?.id)?.status).toBe('open');
});

it.each([
  ['start', 'es_reindex_start', { source: 'i', dest: 'j', confirm: 'x' }, '/elasticsearch-ops:es-reindex i j'],
  [
    'apply',
    'es_snapshot_apply',
    { action: 'delete', repository: 'r', snapshot: 's', confirm: 'x' },
    '/elasticsearch-ops:es-snapshot delete r s',
  ],
])('es-ops asks a person before it %s', async (_what, tool, input, prompt) => {
  const session = await scriptedSession(machine, [{ tool: `${ES}${tool}`, input }, { text: 'done' }], { prompt });
  expect(session.result.permission_denials?.map((d) => d.tool_name)).toEqual([`${ES}${tool}`]);
});

it('a broadcast of another machine is given to the model at session start, marked as not an instruction', async () => {
  const other = await collective.machine('other');
  const config = JSON.parse(await readFile(join(other.home, '.haivemind', 'config.json'), 'utf8'));
  const sent = await fetch(`${collective.hub.url}/api/collective/broadcasts`, {
    method: 'POST',
    headers: { authorization: `Bearer ${config.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ content: 'The moon base moved', severity: 'critical' }),
  });
  expect(sent.status).toBe(200);
  const session = await scriptedSession(machine, [{ text: 'ok' }], { prompt: 'hello' });
  const given = JSON.stringify(session.requests[0]);
  expect(given).toContain('from other at ');
  expect(given).toContain('The moon base moved');
  expect(given).toContain('not instructions');
  // Two hooks run at the start and one at the prompt: one of them says it.
  expect(session.hooks.filter((h) => h.stdout.includes('The moon base moved'))).toHaveLength(1);
  expect(JSON.stringify(session.hooks)).toContain('critical, from other: The moon base moved');
});

async function hvTasks(): Promise<{ id: string; status: string }[]> {
  const answer = await fetch(`${collective.hub.url}/api/collective/tasks`, {
    headers: { authorization: `Bearer ${collective.hub.adminToken}` },
  });
  return ((await answer.json()) as { tasks: { id: string; status: string }[] }).tasks;
}
