import type * as z from 'zod';
import type { MachineState } from '../../contract/schemas.ts';
import { isUnfit } from '../../domain/plan/index.ts';
import { type InstallationRecord, installationsOfMachines } from '../../storage/queries/installations.ts';
import { listMachines, type MachineRecord } from '../../storage/queries/machines.ts';
import { listOverrides } from '../../storage/queries/overrides.ts';
import type { HubContext, UseCases } from '../context.ts';
import { versionsOf } from '../registry/choose-version.ts';
import { byMachine, desiredStates } from '../registry/reach.ts';
import { loadCatalogue, loadRegistry } from '../registry/snapshot.ts';
import { machineFacts } from './facts.ts';
import { isOnline, type Presence, reachMachine } from './machines.ts';

type State = z.output<typeof MachineState>;
type Row = State['plugins'][number];

/** Machines are read so many at a time, until enough of them are in the answer. */
const PAGE = 500;

/** `fleet`: what machines reported, against what they should have; PLUGIN_NOT_FOUND for a name that neither they nor the registry know. */
export function fleetUseCase(presence: Presence): Pick<UseCases, 'fleet'> {
  return {
    async fleet(hub, { principal, query }) {
      const { read } = hub.store;
      const { plugin, limit } = query;
      const stateOf = desiredStates(await loadRegistry(hub.store));
      const overrides = byMachine(await listOverrides(read));
      const found: State[] = [];
      let after = query.after;
      for (;;) {
        const page =
          query.machine === undefined
            ? await listMachines(read, { limit: PAGE, ...(after === undefined ? {} : { after }) })
            : [await reachMachine(read, principal, query.machine)];
        const ids = page.map((m) => m.id);
        const installed = byMachine(await installationsOfMachines(read, ids));
        for (const machine of page) {
          const mine = installed.get(machine.id) ?? [];
          const desired = stateOf(machineFacts(machine, mine, overrides.get(machine.id) ?? []));
          const state = stateOfMachine(hub, presence, machine, mine, desired);
          if (plugin !== undefined) narrow(state, plugin);
          after = machine.name;
          if (plugin !== undefined && state.plugins.length + state.problems.length === 0) continue;
          if (query.out_of_step === true && state.in_step) continue;
          if (found.length === limit) return { machines: found, next: found.at(-1)?.name ?? null };
          found.push(state);
        }
        if (query.machine !== undefined || page.length < PAGE) {
          // A machine may have what the registry does not know any more.
          const none = found.length === 0 && query.after === undefined;
          if (plugin !== undefined && none) versionsOf(await loadCatalogue(hub.store), plugin);
          return { machines: found, next: null };
        }
      }
    },
  };
}

function stateOfMachine(
  hub: HubContext,
  presence: Presence,
  machine: MachineRecord,
  installed: readonly InstallationRecord[],
  desired: { plugins: readonly { name: string; version: string; digest: string }[]; problems: State['problems'] },
): State {
  const has = new Map(installed.map((p) => [p.name, p]));
  const wants = new Map(desired.plugins.map((p) => [p.name, p]));
  const plugins = [...new Set([...has.keys(), ...wants.keys()])].sort().map((name): Row => {
    const [here, want] = [has.get(name), wants.get(name)];
    const edited = here?.edited === true;
    return {
      name,
      installed: here?.version ?? null,
      desired: want?.version ?? null,
      state: (here?.state ?? 'absent') as Row['state'],
      drift: here?.digest !== want?.digest || edited,
      edited,
      error: here?.error ?? null,
      updated_at: here?.updatedAt ?? null,
    };
  });
  const { id, name, groups, lastSeen, refused } = machine;
  const state = { id, name, groups, last_seen: lastSeen, online: isOnline(hub, presence, machine), in_step: false };
  const all: State = { ...state, plugins, problems: desired.problems, refused };
  all.in_step = isInStep(all, has, wants);
  return all;
}

/** As the machine judges itself: what may not go to it is none of its faults, what did not fit with the others is. */
function isInStep(
  state: State,
  has: ReadonlyMap<string, { digest: string }>,
  wants: ReadonlyMap<string, { digest: string }>,
): boolean {
  const well = state.plugins.every(
    (p) => p.state !== 'failed' && has.get(p.name)?.digest === wants.get(p.name)?.digest,
  );
  return well && follows(state);
}

const follows = ({ refused, problems }: State): boolean => refused === null && !problems.some(isUnfit);

/** Leaves one plugin, and judges the machine by it alone. */
function narrow(state: State, plugin: string): void {
  state.plugins = state.plugins.filter((p) => p.name === plugin);
  state.problems = state.problems.filter((p) => p.name === plugin);
  const well = state.plugins.every(
    (p) => p.state !== 'failed' && (!p.drift || (p.edited && p.installed === p.desired)),
  );
  state.in_step = well && follows(state);
}
