// Every command of the three plugins in the real client: its text reaches the model, the tools it names are allowed and answered.

import { access, readdir, readFile, writeFile } from 'node:fs/promises';
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
  await publishExtra('0.1.0');
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

interface Call {
  tool: string;
  input: Record<string, unknown>;
  /** Words of its answer; of the error where `fails`. */
  answer: RegExp;
  fails?: boolean;
}

interface Row {
  prompt: string;
  /** What of the command's own text the model must be given. */
  told: string;
  calls: Call[];
  /** What the hub holds afterwards: an address and words of its answer. */
  holds?: [path: string, says: RegExp];
  /** What the machine holds afterwards: a path below its project. */
  writes?: string;
  before?: () => Promise<unknown>;
  env?: () => Record<string, string>;
}

const ok = (tool: string, input: Record<string, unknown>, answer: RegExp): Call => ({ tool, input, answer });
/** The way that does not work: the error is answered, not thrown, and says what to do. */
const no = (tool: string, input: Record<string, unknown>, answer: RegExp): Call => ({
  tool,
  input,
  answer,
  fails: true,
});
const core = (name: string): string => `${CORE}${name}`;

const MEMORIES = '/api/collective/memories?limit=50';
const BROADCASTS = '/api/collective/broadcasts?limit=50';
const TASKS = '/api/collective/tasks?limit=50';
const DESK = '/api/machines/desk';
const INC = 'INC-20260301-checkout';
const incident = (action: string, text: string, more: Record<string, string> = {}) => ({
  incident_id: INC,
  action,
  text,
  ...more,
});

/** At least one row a command, one for each word of /hv-plugin; each also goes a way that does not work. */
const ROWS: Row[] = [
  {
    prompt: '/hv-plugin list',
    told: 'list_plugins',
    calls: [
      no(core('list_plugins'), { limit: 0 }, /^BAD_REQUEST: .*limit/),
      ok(core('list_plugins'), {}, /haivemind-core.*extra-tools|extra-tools.*haivemind-core/),
    ],
  },
  {
    prompt: '/hv-plugin search memory',
    told: 'keywords',
    calls: [ok(core('list_plugins'), { search_query: 'memory', keywords: ['recall'] }, /base-memory-tools/)],
  },
  {
    prompt: '/hv-plugin recommend remembering things',
    told: 'recommend_plugins',
    calls: [
      ok(core('recommend_plugins'), { task: 'remembering things', keywords: ['memory'] }, /"recommendations":\[/),
    ],
  },
  {
    prompt: '/hv-plugin info base-memory-tools',
    told: 'plugin_info',
    calls: [
      no(
        core('plugin_info'),
        { plugin_id: 'base-memry-tools' },
        /^PLUGIN_NOT_FOUND: .*Did you mean base-memory-tools\?/,
      ),
      ok(core('plugin_info'), { plugin_id: 'base-memory-tools' }, /"versions":\[\{"version":"1\.0\.0"/),
    ],
  },
  {
    prompt: '/hv-plugin why extra-tools',
    told: 'explain_plugin',
    calls: [
      no(core('explain_plugin'), { plugin_id: 'extra-tolls' }, /^PLUGIN_NOT_FOUND: .*Did you mean extra-tools\?/),
      ok(core('explain_plugin'), { plugin_id: 'extra-tools' }, /"wanted":null,"installed":null/),
    ],
  },
  {
    prompt: '/hv-plugin install extra-tools',
    told: 'install_plugin',
    calls: [
      no(core('install_plugin'), { plugin_id: 'extra' }, /^PLUGIN_NOT_FOUND: .*Did you mean extra-tools\?/),
      ok(core('install_plugin'), { plugin_id: 'extra-tools' }, /"name":"extra-tools","version":"0\.1\.0"/),
    ],
    holds: [DESK, /"name":"extra-tools","version":"0\.1\.0"/],
  },
  {
    prompt: '/hv-plugin update',
    told: 'sync_plugins',
    before: () => publishExtra('0.2.0'),
    calls: [ok(core('sync_plugins'), {}, /"name":"extra-tools","from":"0\.1\.0","to":"0\.2\.0"/)],
    holds: [DESK, /"name":"extra-tools","version":"0\.2\.0"/],
  },
  {
    prompt: '/hv-plugin rollback extra-tools',
    told: 'rollback_plugin',
    calls: [
      no(core('rollback_plugin'), { plugin_id: 'extra-tool' }, /^NOT_INSTALLED: .*Did you mean extra-tools\?/),
      ok(core('rollback_plugin'), { plugin_id: 'extra-tools' }, /"from":"0\.2\.0","to":"0\.1\.0","hub_told":true/),
    ],
    holds: [DESK, /"kind":"hold"/],
  },
  {
    prompt: '/hv-plugin remove extra-tools',
    told: 'remove_plugin',
    calls: [
      no(core('remove_plugin'), { plugin_id: 'haivemind-core' }, /^DEPENDENT_INSTALLED: .*incident-response/),
      no(core('remove_plugin'), { plugin_id: 'extra-tool' }, /^NOT_INSTALLED: .*Did you mean extra-tools\?/),
      ok(core('remove_plugin'), { plugin_id: 'extra-tools' }, /"removed":\["extra-tools"\]/),
    ],
    holds: [DESK, /^(?!.*"name":"extra-tools")/],
  },
  {
    prompt: '/hv-plugin create my-own',
    told: 'create_plugin',
    calls: [
      no(core('create_plugin'), { name: 'My Own' }, /^NAME_INVALID: /),
      ok(core('create_plugin'), { name: 'my-own' }, /plugin\.json/),
    ],
    writes: 'my-own/.claude-plugin/plugin.json',
  },
  {
    prompt: '/hv-plugin publish ./my-own',
    told: 'register_plugin',
    calls: [
      no(core('register_plugin'), { plugin_path: './my-ovn' }, /^NOT_FOUND: /),
      no(core('register_plugin'), { plugin_path: './my-own' }, /^FORBIDDEN: /),
    ],
  },
  {
    prompt: '/hv-plugin publish ./my-own --groups nowhere',
    told: 'publish_plugin',
    env: () => ({ HAIVEMIND_TOKEN: collective.hub.joinToken }),
    calls: [
      ok(core('register_plugin'), { plugin_path: './my-own' }, /"id":"plugin_my-own_0\.1\.0"/),
      no(core('publish_plugin'), { plugin_id: 'plugin_my-own_0.1.0' }, /^TARGET_REQUIRED: /),
      ok(
        core('publish_plugin'),
        { plugin_id: 'plugin_my-own_0.1.0', target_groups: ['nowhere'] },
        /"status":"published"/,
      ),
    ],
    holds: ['/api/plugins/my-own', /"groups":\["nowhere"\]/],
  },
  {
    prompt: '/hv-plugin sync',
    told: 'dry_run',
    calls: [ok(core('sync_plugins'), {}, /"problems":\[\]/)],
    holds: [DESK, /"name":"elasticsearch-ops"/],
  },
  {
    prompt: '/hv-status',
    told: 'get_plugin_status',
    calls: [
      no(
        core('get_plugin_status'),
        { plugin_id: 'elasticsearch' },
        /^NOT_INSTALLED: .*Did you mean elasticsearch-ops\?/,
      ),
      ok(core('get_plugin_status'), {}, /"machine":"desk".*elasticsearch-ops/),
    ],
  },
  {
    prompt: '/hv-sync --dry-run',
    told: 'sync_plugins',
    calls: [
      no(core('sync_plugins'), { dry: true }, /^BAD_REQUEST: .*It takes force, dry_run/),
      ok(core('sync_plugins'), { dry_run: true }, /"dry_run":true/),
    ],
  },
  {
    prompt: '/remember the zebra crossing is red',
    told: 'store_memory',
    calls: [
      no(
        core('store_memory'),
        { content: 'A customer likes zebras', confidentiality: 'pii', visibility: 'collective' },
        /^MEMORY_STAYS_HERE: /,
      ),
      ok(core('store_memory'), { content: 'The zebra crossing is red', tags: ['zebra'] }, /"visibility":"collective"/),
    ],
    holds: [MEMORIES, /The zebra crossing is red/],
  },
  {
    prompt: '/recall zebra',
    told: 'search_memories',
    calls: [
      no(core('search_memories'), { query: '' }, /^BAD_REQUEST: /),
      ok(core('search_memories'), { query: 'zebra', keywords: ['crossing'] }, /zebra crossing is red/),
    ],
    holds: [MEMORIES, /^(?!.*likes zebras)/],
  },
  {
    prompt: '/recall --recent',
    told: 'get_recent_memories',
    calls: [ok(core('get_recent_memories'), {}, /zebra crossing is red/)],
  },
  {
    prompt: '/hv-broadcast the bridge is closed --warning',
    told: 'broadcast_discovery',
    calls: [
      no(
        core('broadcast_discovery'),
        { content: 'The bridge is closed', severity: 'loud' },
        /^BAD_REQUEST: .*severity/,
      ),
      ok(core('broadcast_discovery'), { content: 'The bridge is closed', severity: 'warning' }, /"severity":"warning"/),
    ],
    holds: [BROADCASTS, /The bridge is closed/],
  },
  {
    prompt: '/hv-broadcast list',
    told: 'get_broadcasts',
    calls: [ok(core('get_broadcasts'), {}, /The bridge is closed/)],
  },
  {
    prompt: '/hv-query agents',
    told: 'get_agent_roster',
    calls: [ok(core('get_agent_roster'), {}, /"machine":"desk".*"capabilities":\["sql"\]/)],
  },
  {
    prompt: '/hv-query @desk zebra',
    told: 'query_agent_knowledge',
    calls: [
      no(core('query_agent_knowledge'), { agent: 'dsk', query: 'zebra' }, /^MACHINE_NOT_FOUND: .*desk/),
      ok(core('query_agent_knowledge'), { agent: 'desk', query: 'zebra' }, /zebra crossing is red/),
    ],
  },
  {
    prompt: '/hv-delegate count the rows --needs sql',
    told: 'delegate_task',
    calls: [
      no(core('delegate_task'), { title: 'Count the rows', priority: 9 }, /^BAD_REQUEST: .*priority/),
      ok(core('delegate_task'), { title: 'Count the rows', required_capabilities: ['sql'] }, /"candidates":\["desk"\]/),
    ],
    holds: [TASKS, /"title":"Count the rows".*"status":"open"/],
  },
  {
    prompt: '/hv-delegate list',
    told: 'list_tasks',
    calls: [
      no(core('update_task'), { task_id: 'task_none', status: 'cancelled' }, /^TASK_NOT_FOUND: /),
      ok(core('list_tasks'), {}, /Count the rows/),
    ],
  },
  {
    prompt: '/es-health',
    told: 'es_health',
    calls: [
      no(`${ES}es_health`, { node: 'a' }, /^BAD_REQUEST: node is not known/),
      ok(`${ES}es_health`, {}, /Elasticsearch 9\.0\.0\): green/),
    ],
  },
  {
    prompt: '/es-reindex i j',
    told: 'es_reindex_plan',
    calls: [
      no(`${ES}es_reindex_plan`, { source: '*', dest: 'j' }, /^ES_REFUSED: /),
      ok(`${ES}es_reindex_plan`, { source: 'i', dest: 'j' }, /Would copy 3 documents/),
    ],
  },
  {
    prompt: '/es-snapshot create r nightly',
    told: 'es_snapshot_plan',
    calls: [
      no(`${ES}es_snapshot_plan`, { action: 'delete', repository: 'r', snapshot: 'nightly' }, /^ES_NOT_FOUND: /),
      ok(`${ES}es_snapshot_plan`, { action: 'create', repository: 'r', snapshot: 'nightly' }, /Would snapshot/),
    ],
  },
  {
    prompt: '/incident-start P1 checkout is down',
    told: 'record_incident',
    calls: [
      no(core('record_incident'), incident('start', 'Checkout answers 500'), /^BAD_REQUEST: A start needs severity/),
      ok(
        core('record_incident'),
        incident('start', 'Checkout answers 500', { severity: 'P1' }),
        /"status":"open","severity":"P1"/,
      ),
    ],
    holds: [MEMORIES, /Checkout answers 500/],
  },
  {
    prompt: '/incident-update still down',
    told: 'record_incident',
    calls: [
      no(
        core('record_incident'),
        { incident_id: 'INC-20260301-none', action: 'update', text: 'x' },
        /^BAD_REQUEST: There is no incident/,
      ),
      ok(core('record_incident'), incident('update', 'Rolling back'), /Rolling back/),
    ],
    holds: [MEMORIES, /Rolling back/],
  },
  {
    prompt: '/incident-update P3 better',
    told: 'record_incident',
    calls: [
      ok(
        core('record_incident'),
        incident('update', 'Half is back', { severity: 'P3' }),
        /"status":"open","severity":"P3"/,
      ),
    ],
  },
  {
    prompt: '/incident-resolve rolled back',
    told: 'post_mortem',
    calls: [
      ok(core('record_incident'), incident('resolve', 'Rolled back to 41'), /"status":"resolved".*## Timeline \(UTC\)/),
      no(core('record_incident'), incident('update', 'more'), /^BAD_REQUEST: .*is resolved/),
    ],
    holds: [MEMORIES, /Rolled back to 41/],
  },
];

/** A plugin that goes to a group nobody is in: it comes only where somebody asks for it. */
async function publishExtra(version: string): Promise<void> {
  await collective.publish('base-memory-tools', {
    version,
    args: ['--groups', 'nowhere'],
    edit: async (folder) => {
      const file = join(folder, '.claude-plugin', 'plugin.json');
      await writeFile(file, (await readFile(file, 'utf8')).replace('base-memory-tools', 'extra-tools'));
    },
  });
}

async function hubSays(path: string): Promise<string> {
  const headers = { authorization: `Bearer ${collective.hub.adminToken}` };
  return await (await fetch(`${collective.hub.url}${path}`, { headers })).text();
}

/** Commands of a plugin other than the core have no bare name. */
function typed(prompt: string): string {
  if (prompt.startsWith('/es-')) return prompt.replace('/', '/elasticsearch-ops:');
  if (prompt.startsWith('/incident-')) return prompt.replace('/', '/incident-response:');
  return prompt;
}

const nameOf = ({ prompt }: Row): string => prompt.slice(1).split(' ')[0] ?? '';

describe('every command', () => {
  it.each(ROWS)('$prompt', async ({ prompt, told, calls, holds, writes, before, env }) => {
    await before?.();
    const steps: Step[] = [...calls.map(({ tool, input }) => ({ tool, input })), { text: 'done' }];
    const session = await scriptedSession(machine, steps, { prompt: typed(prompt), ...(env && { env: env() }) });
    const given = JSON.stringify(session.requests[0]?.messages);
    expect(given).toContain(told);
    expect(session.toolUses.map((use) => use.name)).toEqual(calls.map((call) => call.tool));
    expect(session.result.permission_denials ?? []).toEqual([]);
    expect(session.toolResults.map((r) => [r.isError, r.text])).toEqual(
      calls.map(({ answer, fails = false }) => [fails, expect.stringMatching(answer)]),
    );
    if (holds !== undefined) expect(await hubSays(holds[0])).toMatch(holds[1]);
    if (writes !== undefined) await access(join(machine.project, writes));
  });

  it('goes a way that does not work, too', () => {
    const wrong = new Set(ROWS.filter((row) => row.calls.some((call) => call.fails)).map(nameOf));
    expect([...wrong].sort()).toEqual([...new Set(ROWS.map(nameOf))].sort());
  });

  it('has its row, and each word of /hv-plugin', async () => {
    const folders = ['commands', 'plugins/elasticsearch-ops/commands', 'plugins/incident-response/commands'];
    const files = (await Promise.all(folders.map((f) => readdir(join(REPOSITORY, f))))).flat();
    const tested = new Set(ROWS.map(nameOf));
    expect(files.map((f) => f.replace('.md', '')).sort()).toEqual([...tested].sort());
    const text = await readFile(join(REPOSITORY, 'commands', 'hv-plugin.md'), 'utf8');
    const words = [...text.matchAll(/^\| `(\w+)/gm)].map((match) => match[1]);
    const used = ROWS.filter((row) => nameOf(row) === 'hv-plugin').map((row) => row.prompt.split(' ')[1]);
    expect(words).toHaveLength(12);
    expect([...new Set(used)].sort()).toEqual(words.sort());
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
  await hvOk(other, ['broadcast', 'The moon base moved', '--severity', 'critical']);
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
