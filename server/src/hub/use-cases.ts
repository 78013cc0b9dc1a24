import { bundleUseCases, type MachineBundle } from './bundle.ts';
import { collectiveUseCases } from './collective/index.ts';
import type { UseCases } from './context.ts';
import { audit, events, groups } from './feed.ts';
import { type HealthParts, healthUseCases } from './health.ts';
import type { Live } from './live/live.ts';
import { fleetUseCase } from './machines/fleet.ts';
import { join } from './machines/join.ts';
import { machineUseCases } from './machines/machines.ts';
import { report } from './machines/report.ts';
import { installUseCase } from './plans/bring.ts';
import type { Plans } from './plans/index.ts';
import { planUseCases } from './plans/use-cases.ts';
import { why } from './plans/why.ts';
import { recommend } from './recommend/recommend.ts';
import { registryUseCases } from './registry/index.ts';
import { register } from './registry/register.ts';
import { createToken, revokeToken, tokens, whoami } from './tokens.ts';
import { trustUseCases } from './trust/index.ts';
import type { Turns } from './turns.ts';
import { usageUseCases } from './usage/index.ts';

export interface UseCaseParts extends HealthParts {
  plans: Plans;
  live: Live;
  bundle: MachineBundle | null;
  registrations: Turns;
}

/** One use case for each endpoint of the contract. */
export function createUseCases(parts: UseCaseParts): UseCases {
  return {
    ...registryUseCases,
    register: (hub, call) => parts.registrations.run(call.principal.tokenId, () => register(hub, call)),
    ...trustUseCases,
    ...healthUseCases(parts),
    ...bundleUseCases(parts.bundle),
    ...machineUseCases(parts.plans, parts.live),
    ...fleetUseCase(parts.live),
    ...planUseCases(parts.plans, parts.live),
    install: installUseCase(parts.plans),
    ...collectiveUseCases(parts.live),
    ...usageUseCases,
    audit,
    createToken,
    events,
    groups,
    join,
    recommend,
    report,
    revokeToken,
    tokens,
    whoami,
    why,
  };
}
