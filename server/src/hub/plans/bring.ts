import { encodeFrame, endFrame, FRAMES_TYPE } from '../../contract/frames.ts';
import type { PlanEntry } from '../../domain/plan/index.ts';
import { installationsOf } from '../../storage/queries/installations.ts';
import type { HubContext, UseCase } from '../context.ts';
import { install } from '../registry/install.ts';
import { loadCatalogue } from '../registry/snapshot.ts';
import type { Plans } from './index.ts';
import { versionFrames } from './parcels.ts';

/** Bytes of new files that come with the answer; what is more, a machine fetches by itself, and again after a cut. */
const MAX_BROUGHT = 2 * 1024 * 1024;

/**
 * `install`; a machine that is going to do it at once gets all that it would ask for next in the same answer: its plan, and the versions that
 * it lacks.
 */
export function installUseCase(plans: Plans): UseCase<'install'> {
  return async (hub, call) => {
    const answer = await install(hub, call);
    const { bring, target_machines } = call.body;
    const { machineId } = call.principal;
    if (bring === undefined || machineId === null || target_machines !== undefined || 'raw' in answer) return answer;
    const plan = await plans.compute({ id: machineId });
    const told = (bring.plan === undefined ? null : plan.sealDelta(bring.plan)) ?? plan.seal();
    const needed = closureOf(plan.desired.plugins, answer.name);
    const body = Buffer.concat([
      encodeFrame({ t: 'installed', n: 0 }, Buffer.from(JSON.stringify(answer))),
      encodeFrame({ t: 'plan', etag: plan.etag, n: 0 }, Buffer.from(JSON.stringify(told))),
      ...(await lacking(hub, machineId, needed, bring.have)),
      endFrame(),
    ]);
    return { raw: true, status: 200, headers: { 'content-type': FRAMES_TYPE, 'cache-control': 'no-store' }, body };
  };
}

/** A plugin of a plan, and what it needs. */
function closureOf(entries: readonly PlanEntry[], name: string): PlanEntry[] {
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  const found = new Set<PlanEntry>();
  const visit = (of: string): void => {
    const entry = byName.get(of);
    if (entry === undefined || found.has(entry)) return;
    found.add(entry);
    for (const need of entry.dependencies) visit(need.name);
  };
  visit(name);
  return [...found];
}

/** @param have digests that the machine says it has whole: they are not sent, and others are told as differences from them */
async function lacking(
  hub: HubContext,
  machineId: string,
  entries: readonly PlanEntry[],
  have: readonly string[],
): Promise<Buffer[]> {
  const here = new Map((await installationsOf(hub.store.read, machineId)).map((p) => [p.name, p.digest]));
  const catalogue = await loadCatalogue(hub.store);
  const frames: Buffer[] = [];
  let left = MAX_BROUGHT;
  for (const { name, digest } of entries) {
    const installed = here.get(name);
    if (installed === digest || have.includes(digest)) continue;
    const base = installed !== undefined && have.includes(installed) ? installed : undefined;
    const version = await versionFrames(hub, catalogue, digest, base, left);
    if (version === null) break;
    frames.push(...version);
    left -= version.reduce((sum, frame) => sum + frame.length, 0);
  }
  return frames;
}
