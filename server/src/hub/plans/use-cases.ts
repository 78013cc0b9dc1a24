import { HaiveError } from '../../domain/errors.ts';
import { PLAN_IM } from '../../domain/plan/delta.ts';
import { installationsOf } from '../../storage/queries/installations.ts';
import { allMachines, type MachineRecord } from '../../storage/queries/machines.ts';
import { isOperator } from '../auth.ts';
import type { Call, HubContext, UseCases } from '../context.ts';
import { matches } from '../http/router.ts';
import type { Live } from '../live/live.ts';
import { reachMachine } from '../machines/machines.ts';
import type { ComputedPlan, Plans } from './index.ts';

/** `plan` and `syncAll`: what machines should have, and telling them so. */
export function planUseCases(plans: Plans, live: Pick<Live, 'ringMachines'>): Pick<UseCases, 'plan' | 'syncAll'> {
  return {
    async plan(hub, call) {
      const { machineId } = call.principal;
      const own = call.params.machine === 'me' && machineId !== null;
      const plan = await plans.compute(
        own ? { id: machineId } : await reachMachine(hub.store.read, call.principal, call.params.machine ?? ''),
      );
      const headers = { etag: plan.etag };
      if (matches(call.header('if-none-match'), plan.etag)) return { raw: true, status: 304, headers, body: null };
      const type = { 'content-type': 'application/json; charset=utf-8' };
      const base = call.header('if-none-match');
      const delta = base !== undefined && call.header('a-im') === PLAN_IM ? plan.sealDelta(base) : null;
      if (delta !== null) {
        const body = Buffer.from(JSON.stringify(delta));
        return { raw: true, status: 226, headers: { ...headers, ...type, im: PLAN_IM }, body };
      }
      const body = Buffer.from(JSON.stringify(plan.seal()));
      return { raw: true, status: 200, headers: { ...headers, ...type }, body };
    },
    async syncAll(hub, call) {
      const { force, dry_run, target_machines } = call.body;
      const operator = isOperator(call.principal);
      if (force && operator) {
        throw new HaiveError('BAD_REQUEST', 'Field force: a forced sync is done on the machine itself', {
          hint: 'Run `hv sync --force` there, or install one plugin with force.',
        });
      }
      const machines = await targets(hub, call, operator, target_machines);
      const rows = [];
      for (const machine of machines) rows.push(await changesOf(hub, machine, await plans.compute(machine)));
      const rung = operator && !dry_run;
      if (rung) await live.ringMachines(machines.map((m) => m.id));
      return { machines: rows, rung };
    },
  };
}

async function targets(
  hub: HubContext,
  call: Call<'syncAll'>,
  operator: boolean,
  named: readonly string[] | undefined,
): Promise<MachineRecord[]> {
  const { read } = hub.store;
  if (named === undefined) return operator ? allMachines(read) : [await reachMachine(read, call.principal, 'me')];
  const found = new Map<string, MachineRecord>();
  for (const ref of named) {
    const machine = await reachMachine(read, call.principal, ref);
    found.set(machine.id, machine);
  }
  return [...found.values()];
}

async function changesOf(hub: HubContext, machine: MachineRecord, plan: ComputedPlan) {
  const installed = await installationsOf(hub.store.read, machine.id);
  const has = new Map(installed.filter((p) => p.state !== 'failed').map((p) => [p.name, p]));
  const wants = new Map(plan.desired.plugins.map((p) => [p.name, p]));
  const changes: { name: string; from: string | null; to: string | null }[] = [];
  for (const name of [...new Set([...has.keys(), ...wants.keys()])].sort()) {
    const [from, to] = [has.get(name), wants.get(name)];
    if (from?.digest !== to?.digest) changes.push({ name, from: from?.version ?? null, to: to?.version ?? null });
  }
  return { machine: machine.name, desired: wants.size, changes };
}
