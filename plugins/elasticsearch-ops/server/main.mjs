// The stdio MCP server `es`. Reading tools may be granted; those that change something ask for the plan's code, and the client asks the user.
import { createInterface } from 'node:readline';
import { clusterFrom, EsError } from './client.mjs';
import { health } from './health.mjs';
import * as reindex from './reindex.mjs';
import * as snapshot from './snapshot.mjs';

const text = (description) => ({ type: 'string', description });
const pair = { source: text('An index'), dest: text('A new index') };
const confirm = text("The plan's code, after the user has seen the plan");
const shot = {
  action: { type: 'string', enum: ['create', 'restore', 'delete'] },
  repository: text('A registered repository'),
  snapshot: text('Its name'),
  indices: text('Comma-separated, wildcards allowed; all when left out'),
};

const tool = (name, description, properties, required, run, changes = false) => ({
  listed: {
    name,
    description,
    inputSchema: { type: 'object', properties, required, additionalProperties: false },
    annotations: { readOnlyHint: !changes, destructiveHint: changes, idempotentHint: !changes, openWorldHint: true },
  },
  run,
});

const TOOLS = [
  tool('es_health', 'Cluster health with causes: status, unassigned shards and why, full disks, heap.', {}, [], health),
  tool(
    'es_reindex_plan',
    'What copying an index would do, with a code for es_reindex_start. Changes nothing.',
    pair,
    ['source', 'dest'],
    reindex.plan,
  ),
  tool(
    'es_reindex_start',
    'Creates the destination and copies in the background.',
    { ...pair, confirm },
    ['source', 'dest', 'confirm'],
    reindex.start,
    true,
  ),
  tool(
    'es_reindex_status',
    'How far a copy is, and what failed.',
    { task: text('As es_reindex_start answered') },
    ['task'],
    reindex.status,
  ),
  tool(
    'es_reindex_finish',
    'Gives the destination its replicas and refresh, and compares the counts.',
    pair,
    ['source', 'dest'],
    reindex.finish,
    true,
  ),
  tool(
    'es_snapshot_list',
    'Repositories, or the snapshots of one.',
    { repository: text('A repository; all repositories when left out') },
    [],
    snapshot.list,
  ),
  tool(
    'es_snapshot_plan',
    'What creating, restoring or deleting a snapshot would do, with a code for es_snapshot_apply. Changes nothing.',
    shot,
    ['action', 'repository', 'snapshot'],
    snapshot.plan,
  ),
  tool(
    'es_snapshot_apply',
    'Does what es_snapshot_plan said.',
    { ...shot, confirm },
    ['action', 'repository', 'snapshot', 'confirm'],
    snapshot.apply,
    true,
  ),
];

async function callTool(name, args = {}) {
  try {
    const found = TOOLS.find((t) => t.listed.name === name);
    if (found === undefined)
      throw new EsError('USAGE', `There is no tool ${name}`, TOOLS.map((t) => t.listed.name).join(', '));
    check(found.listed.inputSchema, args);
    const { text: said, ...data } = await found.run(clusterFrom(process.env), args);
    return {
      content: [{ type: 'text', text: data.confirm === undefined ? said : `${said}\nconfirm: ${data.confirm}` }],
    };
  } catch (error) {
    if (!(error instanceof EsError)) process.stderr.write(`es: ${error.stack}\n`);
    const said = error instanceof EsError ? error.message : 'INTERNAL: Something went wrong inside elasticsearch-ops.';
    return { isError: true, content: [{ type: 'text', text: said }] };
  }
}

function check({ properties, required }, args) {
  const wrong = [
    ...required.filter((key) => args[key] === undefined).map((key) => `${key} is missing`),
    ...Object.entries(args).flatMap(([key, value]) => {
      if (properties[key] === undefined) return [`${key} is not known`];
      if (typeof value !== 'string') return [`${key} is not text`];
      return properties[key].enum?.includes(value) === false
        ? [`${key} is none of ${properties[key].enum.join(', ')}`]
        : [];
    }),
  ];
  if (wrong.length > 0)
    throw new EsError('BAD_REQUEST', wrong.join('; '), `It takes ${Object.keys(properties).join(', ') || 'nothing'}.`);
}

async function answer({ method, params }) {
  if (method === 'initialize') {
    const protocolVersion = params?.protocolVersion ?? '2025-06-18';
    return {
      protocolVersion,
      capabilities: { tools: {} },
      serverInfo: { name: 'elasticsearch-ops', version: '1.0.0' },
    };
  }
  if (method === 'ping') return {};
  if (method === 'tools/list') return { tools: TOOLS.map((t) => t.listed) };
  if (method === 'tools/call') return await callTool(params?.name, params?.arguments);
  return undefined;
}

createInterface({ input: process.stdin }).on('line', async (line) => {
  let message;
  try {
    message = JSON.parse(line);
  } catch {
    return;
  }
  if (message?.id === undefined) return;
  const result = await answer(message);
  const rest = result === undefined ? { error: { code: -32601, message: `Unknown: ${message.method}` } } : { result };
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id: message.id, ...rest })}\n`);
});
