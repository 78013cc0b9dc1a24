import type { FleetMachine } from '../../domain/recommend.ts';
import { allInstallations } from '../../storage/queries/installations.ts';
import { allMachines } from '../../storage/queries/machines.ts';
import type { Store } from '../../storage/store.ts';

/** Advice may speak of the fleet as it was so long ago; reading all of it for each machine's status would cost too much. */
const FRESH_MS = 30_000;

const fleets = new WeakMap<Store, { at: number; machines: Promise<FleetMachine[]> }>();

/** Every machine with what it reported, at most half a minute old. */
export function loadFleet(store: Store): Promise<FleetMachine[]> {
  const known = fleets.get(store);
  const now = store.clock().getTime();
  if (known !== undefined && Math.abs(now - known.at) < FRESH_MS) return known.machines;
  const machines = read(store);
  fleets.set(store, { at: now, machines });
  machines.catch(() => fleets.delete(store));
  return machines;
}

async function read(store: Store): Promise<FleetMachine[]> {
  const [machines, installations] = await Promise.all([allMachines(store.read), allInstallations(store.read)]);
  const installed = new Map<string, Set<string>>();
  for (const { machineId, name } of installations) {
    const names = installed.get(machineId);
    if (names === undefined) installed.set(machineId, new Set([name]));
    else names.add(name);
  }
  const none: ReadonlySet<string> = new Set();
  return machines.map(({ id, groups, capabilities }) => ({
    id,
    groups,
    capabilities,
    installed: installed.get(id) ?? none,
  }));
}
