import type * as z from 'zod';
import type { Agent } from '../../contract/collective-schemas.ts';
import { raiseInboxRevision, roleOf, taskLoads } from '../../storage/queries/collective.ts';
import { allMachines } from '../../storage/queries/machines.ts';
import type { Tx } from '../../storage/tables/index.ts';
import type { HubContext, UseCases } from '../context.ts';
import { callingMachine, type InboxBell, write } from './write.ts';

/** How long after its last sign of life a machine without a socket here still counts as online, in ms. */
const ONLINE_MS = 150_000;

export type Present = z.output<typeof Agent> & { id: string; name: string };

/** Every machine with its role, presence and load. */
export async function presentAgents(hub: HubContext, tx: Tx, bell: InboxBell): Promise<Present[]> {
  const [machines, loads, roles] = [
    await allMachines(tx),
    await taskLoads(tx),
    await tx.selectFrom('agents').selectAll().execute(),
  ];
  const byMachine = new Map(roles.map((r) => [r.machine_id, r]));
  const now = hub.clock().getTime();
  return machines.map((m) => ({
    id: m.id,
    name: m.name,
    machine: m.name,
    role: byMachine.get(m.id)?.role ?? '',
    about: byMachine.get(m.id)?.about ?? '',
    groups: m.groups,
    capabilities: m.capabilities,
    online: bell.isConnected(m.id) || (m.lastSeen !== null && now - Date.parse(m.lastSeen) < ONLINE_MS),
    last_seen: m.lastSeen,
    load: loads.get(m.id) ?? 0,
  }));
}

/** Who is there, and what for. */
export function agentUseCases(bell: InboxBell): Pick<UseCases, 'announce' | 'agents'> {
  return {
    async announce(hub, { principal, body }) {
      const { agent, taken } = await write(hub, principal, async ({ tx, at }) => {
        const caller = await callingMachine(tx, principal);
        const taken = (await roleOf(tx, caller.id)) === body.role ? null : caller.id;
        const row = { machine_id: caller.id, role: body.role, about: body.about, updated_at: at };
        const { machine_id: _, ...set } = row;
        await tx
          .insertInto('agents')
          .values(row)
          .onConflict((oc) => oc.column('machine_id').doUpdateSet(set))
          .execute();
        // Open tasks may be for whoever has this role.
        if (taken !== null) await raiseInboxRevision(tx);
        const all = await presentAgents(hub, tx, bell);
        return { agent: agentOf(all.find((a) => a.id === row.machine_id) as Present), taken };
      });
      if (taken !== null) bell.ringInbox([taken]);
      return agent;
    },

    async agents(hub, { query }) {
      const all = await presentAgents(hub, hub.store.read, bell);
      const wanted = all
        .filter((a) => query.capability === undefined || a.capabilities.includes(query.capability))
        .filter((a) => query.group === undefined || a.groups.includes(query.group))
        .sort((a, b) => Number(b.online) - Number(a.online) || (a.name < b.name ? -1 : 1));
      return { agents: wanted.map(agentOf) };
    },
  };
}

function agentOf({ id: _id, name: _name, ...agent }: Present): z.output<typeof Agent> {
  return agent;
}
