import { acknowledgedOf, currentRevision } from '../../storage/collective-queries.ts';
import type { HubContext, UseCases } from '../context.ts';
import { agentUseCases } from './agents.ts';
import { broadcastsFor, broadcastUseCases } from './broadcasts.ts';
import { memoryUseCases } from './memories.ts';
import { offers, settleTasks, taskOf, taskUseCases } from './tasks.ts';
import type { InboxBell } from './write.ts';

/** How long the end of a task is news to whoever delegated it, in ms. */
const NEWS_MS = 24 * 3600_000;
const WEIGHT = { critical: 0, warning: 1, info: 2 };

/** The use cases of memories, broadcasts, tasks and who is there. */
export function collectiveUseCases(bell: InboxBell) {
  return {
    ...memoryUseCases,
    ...broadcastUseCases(bell),
    ...agentUseCases(bell),
    ...taskUseCases(bell),
    inbox: inboxUseCase(bell),
  } satisfies Partial<UseCases>;
}

function inboxUseCase(bell: InboxBell): UseCases['inbox'] {
  return async (hub, { principal }) => {
    const { machineId } = principal;
    await settleTasks(hub, bell);
    const revision = await currentRevision(hub.store.read);
    if (machineId === null) return { revision, broadcasts: [], tasks: [], ended: [] };
    const all = await broadcastsFor(hub, machineId, false);
    const news = all.filter((b) => !b.acknowledged && b.machine !== principal.name);
    const broadcasts = news.sort((a, b) => WEIGHT[a.severity] - WEIGHT[b.severity]).slice(0, 20);
    const tasks = (await offers(hub, machineId, bell)).slice(0, 10);
    return { revision, broadcasts, tasks, ended: await endedFor(hub, machineId) };
  };
}

async function endedFor(hub: HubContext, machineId: string): Promise<ReturnType<typeof taskOf>[]> {
  const since = new Date(hub.clock().getTime() - NEWS_MS).toISOString();
  const rows = await hub.store.read
    .selectFrom('tasks')
    .selectAll()
    .where('from_machine_id', '=', machineId)
    .where('status', 'in', ['done', 'failed'])
    .where('updated_at', '>', since)
    .orderBy('rev', 'desc')
    .limit(10)
    .execute();
  const seen = await acknowledgedOf(
    hub.store.read,
    machineId,
    rows.map((r) => r.id),
  );
  return rows.filter((r) => !seen.has(r.id)).map(taskOf);
}
