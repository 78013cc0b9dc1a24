import type * as z from 'zod';
import type { Inbox } from '../../contract/collective-schemas.ts';
import { acknowledgedOf, inboxRevision } from '../../storage/queries/collective.ts';
import type { HubContext, RawReply, UseCases } from '../context.ts';
import { matches } from '../http/router.ts';
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

/** Asked at every session start without a live channel: while nobody changed an inbox, two reads answer it with a 304. */
function inboxUseCase(bell: InboxBell): UseCases['inbox'] {
  return async (hub, { principal, header }) => {
    await settleTasks(hub, bell);
    const revision = await inboxRevision(hub.store.read);
    const etag = `"inbox-${revision}"`;
    if (matches(header('if-none-match'), etag)) return { raw: true, status: 304, headers: { etag }, body: null };
    const { machineId } = principal;
    const inbox = machineId === null ? { broadcasts: [], tasks: [], ended: [] } : await inboxOf(hub, machineId, bell);
    return json({ revision, ...inbox }, etag);
  };
}

function json(value: z.output<typeof Inbox>, etag: string): RawReply {
  const headers = { etag, 'content-type': 'application/json; charset=utf-8' };
  return { raw: true, status: 200, headers, body: Buffer.from(JSON.stringify(value)) };
}

async function inboxOf(
  hub: HubContext,
  machineId: string,
  bell: InboxBell,
): Promise<Omit<z.output<typeof Inbox>, 'revision'>> {
  const news = (await broadcastsFor(hub, machineId, false)).filter((b) => !b.acknowledged && !b.own);
  const broadcasts = news
    .sort((a, b) => WEIGHT[a.severity] - WEIGHT[b.severity])
    .slice(0, 20)
    .map(({ own: _, ...b }) => b);
  const tasks = (await offers(hub, machineId, bell)).slice(0, 10);
  return { broadcasts, tasks, ended: await endedFor(hub, machineId) };
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
