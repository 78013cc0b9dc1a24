import { type Approval, openApproval } from '../../domain/approval.ts';
import { HaiveError } from '../../domain/errors.ts';
import { CORE } from '../../domain/names.ts';
import type { Plan, PlanEntry } from '../../domain/plan/index.ts';
import { type AdmissionFacts, forbidden, type Policy, refusal } from '../../domain/policy.ts';
import { type Envelope, keyIdOf, type PublicKey } from '../../domain/signing/dsse.ts';
import { computeSurface, holdsSurface, type Surface } from '../../domain/surface/index.ts';
import { isJudged, whyUnconfined } from '../../machine/confine.ts';
import type { Machine } from '../../machine/machine.ts';
import { rememberRevoked } from '../../machine/quarantine.ts';
import type { Receipts } from '../../machine/receipts/index.ts';
import { getRecord, readBlob } from '../../machine/store/blob-store.ts';
import type { ClientContext } from '../context.ts';
import { inForce } from '../sync/plan.ts';
import type { Fetched } from '../transfer/asking.ts';
import { readPolicies } from './policy.ts';
import {
  newestOf,
  noteNewest,
  operatorsOf,
  readTrust,
  revokedKeysOf,
  type Trust,
  updateTrust,
} from './publisher-keys.ts';

/** What this machine's owner has to say before anything of a plan is carried out. */
export interface Vetting {
  /** Digests that may not run here, and why; also installed ones. */
  banned: Map<string, string>;
  /** What `judge` let pass with a word, for people. */
  warnings: readonly string[];
  /** By digest: what was fetched and may not be installed now. */
  judge(entries: readonly PlanEntry[], fetched: ReadonlyMap<string, Fetched>): Promise<Map<string, HaiveError>>;
}

/**
 * Reads policies and revocations for one sync. The lock must be held, unless `dryRun`.
 * @param options.confirmed names of plugins that a person said yes to
 * @throws HaiveError CONFIG_INVALID, IO_ERROR
 */
export async function openVetting(
  ctx: ClientContext,
  plan: Plan,
  receipts: Receipts,
  options: { confirmed?: readonly string[] | undefined; dryRun?: boolean | undefined } = {},
): Promise<Vetting> {
  const { machine } = ctx;
  const policies = await readPolicies(machine);
  const said = plan.revoked ?? [];
  const revoked =
    options.dryRun === true ? new Map(said.map((r) => [r.digest, r])) : await rememberRevoked(machine, said);
  const banned = new Map([...revoked].map(([digest, r]) => [digest, `VERSION_REVOKED: ${r.reason}`]));
  const hubKey = ctx.config.hub === undefined ? '' : keyIdOf(ctx.config.hub.public_key);
  for (const why of await nowForbidden(machine, policies, receipts, hubKey)) banned.set(...why);
  const warnings: string[] = [];
  return {
    banned,
    warnings,
    async judge(entries, fetched) {
      const refused = new Map<string, HaiveError>();
      const trust = await readTrust(machine);
      const revokedKeys = [...(plan.revokedKeys ?? []), ...revokedKeysOf(trust, plan.hub)];
      const law = { ctx, plan, receipts, policies, trust, revokedKeys, confirmed: options.confirmed ?? [] };
      for (const entry of entries) {
        const got = fetched.get(entry.digest);
        const error = got === undefined ? null : await judgeOne(law, entry, got, warnings);
        if (error !== null) refused.set(entry.digest, error);
      }
      const passed = entries.filter((entry) => fetched.has(entry.digest) && !refused.has(entry.digest));
      if (options.dryRun !== true && countsNewest(policies)) await keepNewest(machine, plan.hub, receipts, passed);
      return refused;
    },
  };
}

const countsNewest = (policies: readonly Policy[]): boolean => policies.some((p) => p.downgrade === 'signed');

/** Notes what is here and what passed, so that neither a removal nor a revocation makes an older version a new one. */
async function keepNewest(m: Machine, hub: string, receipts: Receipts, passed: readonly PlanEntry[]): Promise<void> {
  await updateTrust(m, (trust) => {
    const next = noteNewest(trust, hub, [...Object.values(receipts.plugins), ...passed]);
    return JSON.stringify(next) === JSON.stringify(trust) ? trust : next;
  });
}

/** Installed plugins that a policy forbids since it was changed. The core stays: it is what would bring the next policy. */
async function nowForbidden(
  m: Machine,
  policies: readonly Policy[],
  receipts: Receipts,
  hubKey: string,
): Promise<[string, string][]> {
  const found: [string, string][] = [];
  if (policies.length === 0) return found;
  const confining = (await m.confining?.()) ?? null;
  for (const { name, version, digest, keyid, confined } of Object.values(receipts.plugins)) {
    const kept = await getRecord(m, digest);
    if (kept === null || name === CORE) continue;
    const imported = kept.record.imported || keyid === hubKey;
    const unconfined = isJudged(confined) ? null : await whyUnconfined(m, kept.record, confining);
    const facts = { name, version, keyid, imported, surface: await surfaceHere(m, digest), unconfined };
    for (const policy of policies) {
      const why = forbidden(policy, facts);
      if (why !== null) found.push([digest, `POLICY_REFUSED: ${why}`]);
    }
  }
  return found;
}

/** What all entries of one plan are judged by. */
interface Law {
  ctx: ClientContext;
  plan: Plan;
  receipts: Receipts;
  policies: readonly Policy[];
  trust: Trust;
  /** Ids of the keys that the plan or this machine knows as revoked. */
  revokedKeys: readonly string[];
  /** Names of plugins that a person said yes to. */
  confirmed: readonly string[];
}

async function judgeOne(law: Law, entry: PlanEntry, got: Fetched, warnings: string[]): Promise<HaiveError | null> {
  const { name, version, digest } = entry;
  if (law.receipts.plugins[name]?.digest === digest) return null;
  if (law.revokedKeys.includes(got.keyid)) {
    return new HaiveError('SIGNATURE_INVALID', `${name}@${version} is signed by the revoked key ${got.keyid}`);
  }
  if (law.policies.length === 0) return null;
  const facts = await factsOf(law, entry, got);
  for (const policy of law.policies) {
    const refused = refusal(policy, facts);
    if (refused !== null) return new HaiveError(refused.code, refused.message, { details: { surface: facts.surface } });
  }
  if (facts.unconfined !== null && law.policies.some((policy) => policy.sandbox === 'confine'))
    warnings.push(`${name}@${version} runs unconfined: ${facts.unconfined}`);
  return null;
}

/** What policies ask about a version that was fetched. */
async function factsOf(law: Law, entry: PlanEntry, got: Fetched): Promise<AdmissionFacts> {
  const { ctx, plan, trust } = law;
  const { name, version, digest } = entry;
  const here = law.receipts.plugins[name];
  const signed = approvalsOf(entry, plan.hub, operatorsOf(trust, plan.hub));
  return {
    name,
    version,
    keyid: got.keyid,
    // What the hub's own key signs is the hub's, whatever the record calls itself.
    imported: got.record.imported || got.keyid === keyIdOf(ctx.config.hub?.public_key ?? ''),
    surface: await surfaceHere(ctx.machine, digest),
    before: here === undefined ? undefined : await surfaceHere(ctx.machine, here.digest),
    publishedAt: entry.publishedAt,
    groups: inForce(ctx.config, plan).groups,
    now: ctx.clock(),
    approval: signed.find((a) => a.urgent) ?? signed[0],
    signers: signed.length,
    newest: newestOf(trust, plan.hub, name, here?.version),
    confirmed: law.confirmed.includes(name),
    unconfined: await whyUnconfined(ctx.machine, got.record, (await ctx.machine.confining?.()) ?? null),
  };
}

/** What operators signed about the version of an entry: one word a key, whoever signs twice is still one operator. */
function approvalsOf(entry: PlanEntry, hub: string, operators: readonly PublicKey[]): Approval[] {
  const { name, version, digest } = entry;
  const words = [...(entry.approval === undefined ? [] : [entry.approval]), ...(entry.approvals ?? [])];
  const of = { hub, name, version, digest };
  return operators.flatMap((key) => words.map((word) => approvedWith(word, of, key)).find((a) => a !== null) ?? []);
}

/** What one operator's key says of these bytes; null for a word of somebody else, or on something else: as good as none. */
function approvedWith(word: Envelope, expected: Parameters<typeof openApproval>[1], key: PublicKey): Approval | null {
  try {
    return openApproval(word, expected, [key]);
  } catch {
    return null;
  }
}

/** The surface of a version whose bytes are in this machine's store; bytes that are gone count for nothing. */
async function surfaceHere(m: Machine, digest: string): Promise<Surface> {
  const kept = await getRecord(m, digest);
  const files = [];
  for (const { path, sha256, executable } of kept?.record.files ?? []) {
    const bytes = holdsSurface(path) ? await readBlob(m, sha256).catch(() => Buffer.alloc(0)) : Buffer.alloc(0);
    files.push({ path, bytes, executable });
  }
  return computeSurface(files);
}
