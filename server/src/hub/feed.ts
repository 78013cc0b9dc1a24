import { listAudit } from '../storage/queries/audit.ts';
import { eventsAfter } from '../storage/queries/events.ts';
import { listGroupMembers } from '../storage/queries/machines.ts';
import type { UseCase } from './context.ts';
import { hearingNow } from './hearing.ts';
import { loadRegistry } from './registry/snapshot.ts';
import { sortedUnique } from './sorted-unique.ts';

/** Events after a seq that the caller may see; `seq` in the answer is where to ask from next, also past those that it may not. */
export const events: UseCase<'events'> = async (hub, { principal, query }) => {
  const rows = await eventsAfter(hub.store.read, query.after, query.limit);
  const hears = await hearingNow(hub.store, principal);
  return { events: rows.flatMap((row) => hears.event(row) ?? []), seq: rows.at(-1)?.seq ?? query.after };
};

export const audit: UseCase<'audit'> = async (hub, { query }) => {
  const rows = await listAudit(hub.store.read, query.limit + 1, query.before);
  const page = rows.slice(0, query.limit);
  const next = rows.length > query.limit ? (page.at(-1)?.id ?? null) : null;
  return { entries: page.map(({ hash: _, ...entry }) => entry), next };
};

/** Every group that a machine is in or a plugin is published to; `*` is everybody. */
export const groups: UseCase<'groups'> = async (hub) => {
  const members = new Map<string, { machines: string[]; plugins: string[] }>();
  const of = (group: string) => {
    const known = members.get(group) ?? { machines: [], plugins: [] };
    members.set(group, known);
    return known;
  };
  for (const { group, machine } of await listGroupMembers(hub.store.read)) of(group).machines.push(machine);
  const registry = await loadRegistry(hub.store);
  for (const version of [...registry.plugins.values()].flat()) {
    if (version.status !== 'published') continue;
    for (const { group } of version.targets) of(group).plugins.push(version.name);
  }
  const quorums = new Map((registry.quorums ?? []).map((q) => [q.group, q.approvals]));
  for (const group of quorums.keys()) of(group);
  const names = [...members.keys()].sort();
  return {
    groups: names.map((name) => ({
      name,
      machines: of(name).machines,
      plugins: sortedUnique(of(name).plugins),
      approvals: quorums.get(name) ?? 0,
    })),
  };
};
