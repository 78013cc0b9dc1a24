import type { MachineFacts } from '../../domain/desired/registry.ts';
import { HaiveError } from '../../domain/errors.ts';
import { type InstallationRecord, installationsOf } from '../../storage/queries/installations.ts';
import { findMachine, type MachineRecord } from '../../storage/queries/machines.ts';
import { listOverrides, type OverrideRecord } from '../../storage/queries/overrides.ts';
import type { Tx } from '../../storage/tables/index.ts';

/**
 * What desired state needs to know of one machine.
 * @throws HaiveError MACHINE_NOT_FOUND
 */
export async function loadMachineFacts(tx: Tx, id: string): Promise<MachineFacts> {
  return (await loadMachine(tx, id)).facts;
}

/** The same with all that the machine reported. @throws HaiveError MACHINE_NOT_FOUND */
export async function loadMachine(
  tx: Tx,
  id: string,
): Promise<{ facts: MachineFacts; installed: InstallationRecord[] }> {
  const machine = await findMachine(tx, id);
  if (machine === undefined) throw new HaiveError('MACHINE_NOT_FOUND', `There is no machine ${id}`);
  const installed = await installationsOf(tx, machine.id);
  return { facts: machineFacts(machine, installed, await listOverrides(tx, machine.id)), installed };
}

/** A machine's rows as desired state reads them. */
export function machineFacts(
  machine: MachineRecord,
  installed: readonly { name: string; version: string; unordered: boolean }[],
  overrides: readonly OverrideRecord[],
): MachineFacts {
  return {
    id: machine.id,
    name: machine.name,
    groups: machine.groups,
    capabilities: machine.capabilities,
    haivemindVersion: machine.haivemindVersion,
    // Nothing comes to a machine because it says that it has it.
    installed: installed.filter((p) => !p.unordered).map(({ name, version }) => ({ name, version })),
    overrides: overrides.map((o) => ({
      name: o.name,
      kind: o.kind,
      range: o.range,
      force: o.forceNonce,
      byOperator: o.byOperator,
    })),
  };
}
