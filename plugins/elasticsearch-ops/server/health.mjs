// Cluster health with causes: what is wrong, why the cluster says so, and what to look at next.
import { call } from './client.mjs';

/** Answers {cluster, version, status, problems, text}. */
export async function health(cluster) {
  const [info, state, nodes] = [
    await call(cluster, 'GET', '/'),
    await call(cluster, 'GET', '/_cluster/health'),
    await call(cluster, 'GET', '/_cat/nodes?format=json&h=name,node.role,heap.percent,disk.used_percent,cpu'),
  ];
  const problems = [];
  if (state.timed_out) problems.push('the cluster did not answer its own question in time');
  if (state.status !== 'green') {
    const indices = await call(
      cluster,
      'GET',
      `/_cat/indices?format=json&h=index,health,status&health=${state.status}`,
    );
    problems.push(
      `${state.status}: ${
        indices
          .slice(0, 20)
          .map((i) => i.index)
          .join(', ') || 'no index says which'
      }`,
    );
  }
  if (state.unassigned_shards > 0) problems.push(...(await unassigned(cluster, state.unassigned_shards)));
  for (const node of nodes) {
    if (Number(node['heap.percent']) >= 85) problems.push(`${node.name}: heap ${node['heap.percent']} %`);
    if (Number(node['disk.used_percent']) >= 85)
      problems.push(`${node.name}: disk ${node['disk.used_percent']} % (85 % stops new shards)`);
  }
  if (state.number_of_pending_tasks > 50) problems.push(`${state.number_of_pending_tasks} pending cluster tasks`);
  const product = info.version?.distribution === 'opensearch' ? 'OpenSearch' : 'Elasticsearch';
  const head = `${state.cluster_name} (${product} ${info.version?.number}): ${state.status}, ${state.number_of_nodes} nodes, ${state.active_shards} shards`;
  return {
    cluster: state.cluster_name,
    version: `${product} ${info.version?.number}`,
    status: state.status,
    problems,
    text: [head, ...problems.map((p) => `- ${p}`)].join('\n'),
  };
}

async function unassigned(cluster, count) {
  // 400 when the shard was assigned meanwhile: then there is nothing to explain.
  const why = await call(cluster, 'GET', '/_cluster/allocation/explain').catch((error) => {
    if (error.code === 'ES_ERROR') return undefined;
    throw error;
  });
  if (why === undefined) return [`${count} shards unassigned`];
  const deciders = (why.node_allocation_decisions ?? [])
    .flatMap((n) =>
      (n.deciders ?? []).filter((d) => d.decision === 'NO').map((d) => `${n.node_name}: ${d.explanation}`),
    )
    .slice(0, 3);
  const first = `${why.index}[${why.shard}]${why.primary ? ' (primary)' : ''}`;
  return [
    `${count} shards unassigned; ${first}: ${why.unassigned_info?.reason ?? why.allocate_explanation ?? 'unknown reason'}`,
    ...deciders,
  ];
}
