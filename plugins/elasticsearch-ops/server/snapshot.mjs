// Snapshots: list, and create, restore or delete in two steps (plan, then apply with the plan's code).

import { call, EsError } from './client.mjs';
import { confirmation, requireConfirmation } from './confirm.mjs';
import { indexPattern, name } from './names.mjs';

/** Repositories, or the snapshots of one. */
export async function list(cluster, { repository }) {
  if (repository === undefined) {
    const repositories = Object.entries(await call(cluster, 'GET', '/_snapshot')).map(([id, { type }]) => ({
      id,
      type,
    }));
    return {
      repositories,
      text: repositories.map((r) => `${r.id} (${r.type})`).join('\n') || 'No snapshot repository is registered.',
    };
  }
  const { snapshots = [] } = await call(cluster, 'GET', `/_snapshot/${name(repository)}/_all`);
  const rows = snapshots.map((s) => ({
    snapshot: s.snapshot,
    state: s.state,
    start: s.start_time,
    indices: s.indices?.length ?? 0,
    failed: s.shards?.failed ?? 0,
  }));
  const text = rows.map(
    (s) =>
      `${s.snapshot}: ${s.state}, ${s.start}, ${s.indices} indices${s.failed > 0 ? `, ${s.failed} shards FAILED` : ''}`,
  );
  return { snapshots: rows, text: text.join('\n') || `No snapshot is in ${repository}.` };
}

/** What an action would do, and its code. Reads only. */
export async function plan(cluster, { action, repository, snapshot, indices = '*' }) {
  const at = `/_snapshot/${name(repository)}/${name(snapshot)}`;
  const pattern = indexPattern(indices);
  const found = (await call(cluster, 'GET', at, { missing: true }))?.snapshots?.[0];
  if (action !== 'create' && found === undefined)
    throw new EsError(
      'ES_NOT_FOUND',
      `There is no snapshot ${snapshot} in ${repository}`,
      'es_snapshot_list names them.',
    );
  if (action === 'create' && found !== undefined)
    throw new EsError('ES_REFUSED', `${snapshot} is there already`, 'Choose another name.');
  if (action === 'create') await call(cluster, 'POST', `/_snapshot/${name(repository)}/_verify`);
  if (action === 'restore' && found.state !== 'SUCCESS') {
    throw new EsError(
      'ES_PARTIAL',
      `${snapshot} is ${found.state}`,
      'It does not hold everything: choose one that is SUCCESS.',
    );
  }
  const does = {
    create: `Would snapshot ${pattern} into ${repository}/${snapshot}, without the cluster state.`,
    restore: `Would restore ${pattern} of ${repository}/${snapshot} as restored-NAME beside what is there; nothing is overwritten.`,
    delete: `Would DELETE the snapshot ${repository}/${snapshot} (${found?.indices?.length ?? 0} indices). It cannot be undone.`,
  }[action];
  return {
    action,
    confirm: confirmation('snapshot', { action, repository, snapshot, pattern, state: found?.state ?? null }),
    text: does,
  };
}

/** Does what was planned. */
export async function apply(cluster, { action, repository, snapshot, indices = '*', confirm }) {
  requireConfirmation((await plan(cluster, { action, repository, snapshot, indices })).confirm, confirm);
  const at = `/_snapshot/${name(repository)}/${name(snapshot)}`;
  const chosen = { indices: indexPattern(indices), include_global_state: false };
  if (action === 'create')
    await call(cluster, 'PUT', `${at}?wait_for_completion=false`, { body: { ...chosen, ignore_unavailable: false } });
  else if (action === 'restore') {
    const renamed = { rename_pattern: '(.+)', rename_replacement: 'restored-$1' };
    await call(cluster, 'POST', `${at}/_restore?wait_for_completion=false`, {
      body: { ...chosen, ...renamed, include_aliases: false },
    });
  } else await call(cluster, 'DELETE', at);
  const said = {
    create: 'started; es_snapshot_list says when it is SUCCESS',
    restore: 'started as restored-*; es_health says when its shards are there',
    delete: 'deleted',
  }[action];
  return { action, text: `${repository}/${snapshot}: ${said}.` };
}
