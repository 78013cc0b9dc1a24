import { HaiveError } from '../../domain/errors.ts';
import { checkGroupsOfMachine } from '../../domain/names.ts';
import { installationsOf } from '../../storage/queries/installations.ts';
import { dropMachineKey } from '../../storage/queries/machine-keys.ts';
import {
  deleteMachine,
  findMachine,
  findMachineRow,
  listMachines,
  type MachineRecord,
  type MachineRow,
  setMachineCapabilities,
  setMachineGroups,
} from '../../storage/queries/machines.ts';
import { listOverrides } from '../../storage/queries/overrides.ts';
import { listTokens, revokeMachineTokens } from '../../storage/queries/tokens.ts';
import { forgetUsageOf } from '../../storage/queries/usage.ts';
import type { Tx } from '../../storage/tables/index.ts';
import { requireSelf } from '../auth.ts';
import { change } from '../change.ts';
import type { HubContext, Principal, UseCases } from '../context.ts';
import type { Plans } from '../plans/index.ts';
import { sortedUnique } from '../sorted-unique.ts';
import { refuseFewerApprovals } from '../trust/quorums.ts';

/** How long after its last sign of life a machine without a socket here still counts as online, in ms. */
const ONLINE_MS = 150_000;

export interface Presence {
  isConnected(machineId: string): boolean;
}

/** Whether a machine is connected here, or was heard of a short while ago, perhaps by another hub process. */
export function isOnline(hub: HubContext, presence: Presence, { id, lastSeen }: MachineRecord): boolean {
  return presence.isConnected(id) || (lastSeen !== null && hub.clock().getTime() - Date.parse(lastSeen) < ONLINE_MS);
}

/**
 * The machine that an address names: `me`, an id or a name, if this caller may reach it.
 * @throws HaiveError FORBIDDEN, MACHINE_NOT_FOUND
 */
export function reachMachine(tx: Tx, principal: Principal, ref: string): Promise<MachineRecord> {
  return reach(principal, ref, (name) => findMachine(tx, name));
}

/** The same without its groups and capabilities, for one look into the database. @throws HaiveError FORBIDDEN, MACHINE_NOT_FOUND */
export function reachMachineRow(tx: Tx, principal: Principal, ref: string): Promise<MachineRow> {
  return reach(principal, ref, (name) => findMachineRow(tx, name));
}

async function reach<T extends MachineRow>(
  principal: Principal,
  ref: string,
  find: (ref: string) => Promise<T | undefined>,
): Promise<T> {
  if (ref === 'me' && principal.machineId === null) {
    throw new HaiveError('MACHINE_NOT_FOUND', '`me` is a machine, and this token is not one');
  }
  const machine = await find(ref === 'me' ? (principal.machineId ?? '') : ref);
  // Before saying whether it exists: a machine's token learns nothing of others.
  requireSelf(principal, machine?.id);
  if (machine === undefined) throw new HaiveError('MACHINE_NOT_FOUND', `There is no machine ${ref}`);
  return machine;
}

/** The ids of a machine's tokens, for telling every hub process whose sockets end. */
export async function tokenIdsOf(tx: Tx, machineId: string): Promise<string[]> {
  return (await listTokens(tx)).filter((t) => t.machineId === machineId && t.revokedAt === null).map((t) => t.id);
}

type MachineCases = Pick<UseCases, 'machines' | 'machine' | 'updateMachine' | 'removeMachine'>;

export function machineUseCases(plans: Plans, presence: Presence): MachineCases {
  const row = (hub: HubContext, m: MachineRecord) => ({
    id: m.id,
    name: m.name,
    groups: m.groups,
    capabilities: m.capabilities,
    platform: m.platform,
    haivemind_version: m.haivemindVersion,
    joined_at: m.joinedAt,
    last_seen: m.lastSeen,
    online: isOnline(hub, presence, m),
  });
  return {
    async machines(hub, { query }) {
      const rows = await listMachines(hub.store.read, { ...query, limit: query.limit + 1 });
      const page = rows.slice(0, query.limit);
      const next = rows.length > query.limit ? (page.at(-1)?.name ?? null) : null;
      return { machines: page.map((m) => row(hub, m)), next };
    },
    async machine(hub, { principal, params }) {
      const found = await reachMachine(hub.store.read, principal, params.machine ?? '');
      const [installed, overrides, plan] = await Promise.all([
        installationsOf(hub.store.read, found.id),
        listOverrides(hub.store.read, found.id),
        plans.compute(found),
      ]);
      return {
        ...row(hub, found),
        plugins: installed.map(({ machineId: _, installedAt: __, unordered: ___, updatedAt, state, ...plugin }) => ({
          ...plugin,
          state: state as 'verified',
          updated_at: updatedAt,
        })),
        desired: plan.desired.plugins.map(({ name, version, origin }) => ({ name, version, origin })),
        overrides: overrides.map(({ name, kind, range, by, at }) => ({ name, kind, range, by, at })),
        problems: plan.desired.problems,
        refused: found.refused,
      };
    },
    async updateMachine(hub, { principal, params, body }) {
      const groups = body.groups && sortedUnique(body.groups);
      const capabilities = body.capabilities && sortedUnique(body.capabilities);
      const { result } = await change(hub, principal, async ({ tx }) => {
        const found = await reachMachine(tx, principal, params.machine ?? '');
        checkGroupsOfMachine(groups ?? [], found.groups);
        if (groups !== undefined) {
          await refuseFewerApprovals(tx, principal, found.groups, groups);
          await setMachineGroups(tx, found.id, groups);
        }
        if (capabilities !== undefined) await setMachineCapabilities(tx, found.id, capabilities);
        const before = { groups: found.groups, capabilities: found.capabilities };
        const after = { groups: groups ?? found.groups, capabilities: capabilities ?? found.capabilities };
        const data = { machine_id: found.id, machine_ids: [found.id], name: found.name, before, after };
        return { result: { ...found, ...after }, trace: { type: 'machine.updated', target: found.name, data } };
      });
      return row(hub, result);
    },
    async removeMachine(hub, { principal, params }) {
      await change(hub, principal, async ({ tx, at }) => {
        const found = await reachMachine(tx, principal, params.machine ?? '');
        const tokens = await tokenIdsOf(tx, found.id);
        await revokeMachineTokens(tx, found.id, at);
        await deleteMachine(tx, found.id);
        await forgetUsageOf(tx, found.id);
        await dropMachineKey(tx, found.id);
        const data = { machine_id: found.id, name: found.name, tokens };
        return { result: null, trace: { type: 'machine.removed', target: found.name, data } };
      });
      return { ok: true };
    },
  };
}
