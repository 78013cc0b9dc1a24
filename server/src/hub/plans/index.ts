import { createHash } from 'node:crypto';
import type { DesiredState } from '../../domain/desired/desired-state.ts';
import { type DeltaPlan, entryKeys, toDelta } from '../../domain/plan/delta.ts';
import { PLAN_FORMAT, PLAN_PAYLOAD_TYPE, type Plan } from '../../domain/plan/index.ts';
import type { Envelope } from '../../domain/signing/dsse.ts';
import { sealJson } from '../../domain/signing/dsse.ts';
import type { InstallationRecord } from '../../storage/queries/installations.ts';
import type { MachineRecord } from '../../storage/queries/machines.ts';
import type { Stamp } from '../../storage/store.ts';
import type { HubContext } from '../context.ts';
import { loadMachine } from '../machines/facts.ts';
import { desiredStates } from '../registry/reach.ts';
import { loadCatalogue } from '../registry/snapshot.ts';
import type { SeqGate } from '../seq-gate.ts';
import { trustWord } from '../trust/word.ts';

/** Plans of machines, and the memory of their etags that makes "nothing changed" cheap. */
export interface Plans {
  /** The etag of the machine's plan at this stamp, when it is known without computing. */
  recallEtag(machineId: string, stamp: Stamp): string | undefined;
  /** What the machine should have now, and the etag of that. */
  compute(machine: Pick<MachineRecord, 'id'>): Promise<ComputedPlan>;
}

export interface ComputedPlan {
  desired: DesiredState;
  counter: number;
  etag: string;
  /** What the machine reported last. */
  installed: readonly InstallationRecord[];
  /** The signed plan, fresh from this moment. */
  seal(): Envelope;
  /** The same as differences from the plan with this etag; null when that is not remembered. */
  sealDelta(base: string): (Envelope & { delta: { base: string; plan: DeltaPlan } }) | null;
}

interface Remembered {
  stamp: Stamp;
  etag: string;
  keys: string[];
  /** The plan before, which the machine may still have. */
  before?: { etag: string; keys: string[] };
}

const MAX_REMEMBERED = 100_000;

/** Machines' plans are mostly made of the same entries: their keys are kept once. */
const pool = new Map<string, string>();
function interned(key: string): string {
  if (pool.size > 500_000) pool.clear();
  const known = pool.get(key);
  if (known === undefined) pool.set(key, key);
  return known ?? key;
}

/**
 * @param gate its stamp moves with everything a plan depends on, so that a remembered etag of the same stamp is true
 */
export function createPlans(hub: HubContext, gate: SeqGate): Plans {
  let remembered = new Map<string, Remembered>();
  return {
    recallEtag(machineId, stamp) {
      const known = remembered.get(machineId);
      return known?.stamp.seq === stamp.seq && known.stamp.facts === stamp.facts ? known.etag : undefined;
    },
    async compute(machine) {
      // The stamp is read first: what changes while we compute makes the memory old, never wrong.
      const stamp = await gate.current();
      const registry = await loadCatalogue(hub.store);
      const { epoch, epochProof, lineage, revoked, revokedKeys, approvals } = await trustWord(hub.store, registry);
      const { facts, installed } = await loadMachine(hub.store.read, machine.id);
      const state = desiredStates(registry)(facts);
      const desired = {
        ...state,
        plugins: state.plugins.map((entry) => {
          const [approval, ...more] = approvals.get(entry.digest) ?? [];
          if (approval === undefined) return entry;
          return { ...entry, approval, ...(more.length === 0 ? {} : { approvals: more }) };
        }),
      };
      const { id, privatePem } = hub.identity;
      const said = {
        ...(revoked.length > 0 ? { revoked } : {}),
        ...(revokedKeys.length > 0 ? { revokedKeys } : {}),
        ...(epochProof === undefined ? {} : { epochProof }),
        ...(lineage.length > 0 ? { lineage } : {}),
      };
      const { groups, capabilities } = facts;
      const content = {
        format: PLAN_FORMAT,
        hub: id,
        machine: facts.id,
        epoch,
        ...desired,
        groups,
        capabilities,
        ...said,
      };
      const etag = `"${createHash('sha256').update(JSON.stringify(content)).digest('base64url').slice(0, 22)}"`;
      if (remembered.size >= MAX_REMEMBERED) remembered = new Map();
      const keys = entryKeys(desired.plugins).map(interned);
      const last = remembered.get(machine.id);
      const before = last?.etag === etag ? last.before : last;
      remembered.set(machine.id, {
        stamp,
        etag,
        keys,
        ...(before === undefined ? {} : { before: { etag: before.etag, keys: before.keys } }),
      });
      const whole = (): Plan => {
        const now = hub.clock();
        return {
          ...content,
          counter: registry.seq,
          issuedAt: now.toISOString(),
          expiresAt: new Date(now.getTime() + hub.config.planTtlMs).toISOString(),
        };
      };
      return {
        desired,
        counter: registry.seq,
        etag,
        installed,
        seal: () => sealJson(PLAN_PAYLOAD_TYPE, whole(), privatePem),
        sealDelta(base) {
          const had = [last, last?.before].find((known) => known?.etag === base);
          if (had === undefined) return null;
          const plan = whole();
          const envelope = sealJson(PLAN_PAYLOAD_TYPE, plan, privatePem);
          return { ...envelope, payload: '', delta: { base, plan: toDelta(had.keys, plan, keys) } };
        },
      };
    },
  };
}
