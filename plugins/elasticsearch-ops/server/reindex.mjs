// Reindexing without surprises: plan (reads only), start with the plan's code, watch, finish (settings back, counts compared).

import { call, EsError } from './client.mjs';
import { confirmation, requireConfirmation } from './confirm.mjs';
import { indexName } from './names.mjs';

/** Settings that a new index may not be given. */
const OWN = ['uuid', 'creation_date', 'provided_name', 'version', 'resize', 'routing', 'history_uuid'];

/** Reads source and destination; answers the plan and its code. */
export async function plan(cluster, { source, dest }) {
  const [from, to] = [indexName(source), indexName(dest)];
  if (from === to) throw new EsError('ES_REFUSED', 'Source and destination are the same', 'Name another destination.');
  const state = await call(cluster, 'GET', '/_cluster/health');
  if (state.status === 'red')
    throw new EsError('ES_REFUSED', 'The cluster is red', 'Mend it first: es_health says why.');
  const count = await counted(cluster, from);
  const settings = Object.values(await call(cluster, 'GET', `/${from}/_settings`))[0]?.settings?.index ?? {};
  const mappings = Object.values(await call(cluster, 'GET', `/${from}/_mapping`))[0]?.mappings ?? {};
  if ((await call(cluster, 'HEAD', `/${to}`, { missing: true })) !== undefined) {
    throw new EsError(
      'ES_REFUSED',
      `${dest} is there already`,
      'Choose another name: this never writes into an existing index.',
    );
  }
  const kept = Object.fromEntries(Object.entries(settings).filter(([key]) => !OWN.includes(key)));
  const replicas = kept.number_of_replicas ?? '1';
  const refresh = kept.refresh_interval ?? null;
  const create = { settings: { index: { ...kept, number_of_replicas: 0, refresh_interval: '-1' } }, mappings };
  const made = { source, dest, count, replicas, refresh, create };
  const text = [
    `Would copy ${count} documents from ${source} to the new index ${dest}:`,
    `- create ${dest} with the settings and mappings of ${source}, without replicas and refresh while copying`,
    `- POST /_reindex in the background, sliced; documents written to ${source} meanwhile are not copied`,
    `- es_reindex_finish then sets replicas ${replicas}, refreshes and compares the counts; ${source} stays`,
  ].join('\n');
  return { ...made, confirm: confirmation('reindex', made), text };
}

/** Creates the destination and starts the copy. `confirm` is the plan's code: what changed since asks for a new plan. */
export async function start(cluster, { source, dest, confirm }) {
  const made = await plan(cluster, { source, dest });
  requireConfirmation(made.confirm, confirm);
  await call(cluster, 'PUT', `/${indexName(dest)}`, { body: made.create });
  const body = { source: { index: source }, dest: { index: dest, op_type: 'create' } };
  const { task } = await call(cluster, 'POST', '/_reindex?wait_for_completion=false&slices=auto', { body });
  return { task, text: `Copying in the background as task ${task}. es_reindex_status says how far it is.` };
}

export async function status(cluster, { task }) {
  if (!/^[\w-]+:\d+$/.test(task))
    throw new EsError('ES_REFUSED', `${task} is no task id`, 'Use the one that es_reindex_start answered.');
  const found = await call(cluster, 'GET', `/_tasks/${encodeURIComponent(task)}`);
  const { total = 0, created = 0 } = found.task?.status ?? {};
  const failures = [...(found.response?.failures ?? []), ...(found.error === undefined ? [] : [found.error])];
  const state = !found.completed ? 'running' : failures.length > 0 ? 'failed' : 'done';
  const why = failures
    .slice(0, 3)
    .map((f) => `- ${f.cause?.reason ?? f.reason ?? f.type ?? JSON.stringify(f).slice(0, 200)}`);
  return {
    state,
    total,
    created,
    failures: failures.length,
    text: [`${state}: ${created} of ${total} documents, ${failures.length} failures`, ...why].join('\n'),
  };
}

/** Settings back to the source's, refresh, and both counts; refuses to call different counts a success. */
export async function finish(cluster, { source, dest }) {
  const [from, to] = [indexName(source), indexName(dest)];
  const settings = Object.values(await call(cluster, 'GET', `/${from}/_settings`))[0]?.settings?.index ?? {};
  const index = {
    number_of_replicas: settings.number_of_replicas ?? '1',
    refresh_interval: settings.refresh_interval ?? null,
  };
  await call(cluster, 'PUT', `/${to}/_settings`, { body: { index } });
  await call(cluster, 'POST', `/${to}/_refresh`);
  const [a, b] = [await counted(cluster, from), await counted(cluster, to)];
  if (a !== b) {
    throw new EsError(
      'ES_COUNTS_DIFFER',
      `${source} has ${a} documents, ${dest} has ${b}`,
      'Was the source written to meanwhile, or did the copy fail? es_reindex_status says. Do not switch over.',
    );
  }
  return {
    count: b,
    text: `${dest} holds all ${b} documents, with replicas and refresh as in ${source}. ${source} is untouched.`,
  };
}

async function counted(cluster, index) {
  const { count, _shards } = await call(cluster, 'GET', `/${index}/_count`);
  if (_shards?.failed > 0) {
    throw new EsError(
      'ES_PARTIAL',
      `${_shards.failed} of ${_shards.total} shards did not answer for the count`,
      'A count of a part proves nothing: look at es_health first.',
    );
  }
  return count;
}
