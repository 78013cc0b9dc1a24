import type { MachineFacts } from '../../domain/desired/registry.ts';
import { HaiveError } from '../../domain/errors.ts';
import { isOperator } from '../auth.ts';
import type { HubContext, Principal } from '../context.ts';
import { loadMachineFacts } from '../machines/facts.ts';
import { allMachineFacts } from './reach.ts';

export interface Targets {
  machines: MachineFacts[];
  /** False when nobody named machines: those that do not fit are then passed over without a word. */
  named: boolean;
}

/**
 * The machines an install or uninstall is about: those named; else for a machine's token itself, for an operator all.
 * @throws HaiveError MACHINE_NOT_FOUND, FORBIDDEN (a machine reaches only itself)
 */
export async function chooseMachines(
  hub: HubContext,
  principal: Principal,
  refs: readonly string[] | undefined,
): Promise<Targets> {
  if (!isOperator(principal)) {
    if (principal.machineId === null) {
      throw new HaiveError('FORBIDDEN', 'This needs an operator, or a machine acting on itself');
    }
    const self = await loadMachineFacts(hub.store.read, principal.machineId);
    const other = refs?.find((ref) => ref !== 'me' && ref !== self.id && ref !== self.name);
    if (other !== undefined) throw new HaiveError('FORBIDDEN', `A machine may act only on itself, not on ${other}`);
    return { machines: [self], named: true };
  }
  const all = await allMachineFacts(hub.store.read);
  if (refs === undefined) return { machines: all, named: false };
  const chosen = new Map<string, MachineFacts>();
  for (const ref of refs) {
    const found = all.find((m) => m.id === ref) ?? all.find((m) => m.name === ref);
    if (found === undefined) throw new HaiveError('MACHINE_NOT_FOUND', `There is no machine ${ref}`);
    chosen.set(found.id, found);
  }
  return { machines: [...chosen.values()], named: true };
}
