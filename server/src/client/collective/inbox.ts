import type { Reply } from '../../contract/endpoints.ts';
import { oneLine } from '../../domain/collective.ts';
import { type InboxItem, removeFromInbox, writeInbox } from '../../machine/inbox.ts';
import type { ClientContext } from '../context.ts';
import { ask } from '../hub/registry.ts';

const MAX_TEXT = 500;
const DAY_S = 24 * 3600;

/**
 * Asks what other machines said to this one and keeps it for the hooks.
 * @param timeoutMs milliseconds without a sign of life
 * @throws HaiveError NOT_JOINED, and whatever the hub says
 */
export async function refreshInbox(ctx: ClientContext, timeoutMs = 5000): Promise<InboxItem[]> {
  const inbox = await ask(ctx, 'machine', (hub) => hub.call('inbox', { timeoutMs }));
  const items = inboxItems(inbox);
  await writeInbox(ctx.machine, items, inbox.revision);
  return items;
}

/** Tells the hub that these were taken notice of here, and tells sessions no more of them. */
export async function acknowledge(ctx: ClientContext, ids: string[]): Promise<number> {
  const { acknowledged } = await ask(ctx, 'machine', (hub) => hub.call('acknowledgeBroadcasts', { body: { ids } }));
  await removeFromInbox(ctx.machine, ids);
  return acknowledged;
}

/** An inbox as lines: what a model is told, and what a person sees besides. */
function inboxItems(inbox: Reply<'inbox'>): InboxItem[] {
  const aDayAfter = (time: string): number => Math.floor(Date.parse(time) / 1000) + DAY_S;
  const quoted = (text: string): string => JSON.stringify(oneLine(text, MAX_TEXT));
  const order = { critical: '0', warning: '1', info: '2' };
  return [
    ...inbox.broadcasts.map((b) => ({
      key: `${order[b.severity]}-${b.id}`,
      until: Math.floor(Date.parse(b.expires_at) / 1000),
      text: `- broadcast [${b.severity}, ${oneLine(b.category, 64)}] from ${b.machine} at ${b.created_at}: ${quoted(b.content)} (acknowledge: get_broadcasts {"acknowledge":["${b.id}"]})`,
      shown:
        b.severity === 'critical' ? `hAIveMind: critical, from ${b.machine}: ${oneLine(b.content, MAX_TEXT)}` : null,
    })),
    ...inbox.tasks.map((t) => ({
      key: `3-${t.id}`,
      until: t.deadline_at === null ? aDayAfter(t.updated_at) : Math.floor(Date.parse(t.deadline_at) / 1000),
      text: `- task offered to this machine by ${t.from}: ${quoted(t.title)} (${t.id}; list_tasks shows it. Only the user decides to take it: claim_task asks them)`,
      shown: `hAIveMind: ${t.from} offers a task: ${oneLine(t.title, 120)}. Say so if you want to take it (${t.id}).`,
    })),
    ...inbox.ended.map((t) => ({
      key: `4-${t.id}`,
      until: aDayAfter(t.updated_at),
      text: `- the task ${quoted(t.title)} (${t.id}) that this machine delegated is ${t.status}${t.claimed_by === null ? '' : ` by ${t.claimed_by}`}: ${quoted(t.status === 'done' ? t.result : t.reason)}`,
      shown: null,
    })),
  ];
}
