import * as z from 'zod';
import type { Reply } from '../../contract/endpoints.ts';
import { Envelope as EnvelopeSchema } from '../../contract/schemas.ts';
import { checkEpoch } from '../../domain/approval.ts';
import { HaiveError } from '../../domain/errors.ts';
import { type DeltaPlan, fromDelta, PLAN_IM } from '../../domain/plan/delta.ts';
import { PLAN_FORMAT, PLAN_PAYLOAD_TYPE, type Plan, type PlanEntry } from '../../domain/plan/index.ts';
import { type Place, whyNotFollowed } from '../../domain/plan/lineage.ts';
import { type Envelope, openJson } from '../../domain/signing/dsse.ts';
import type { Config } from '../../machine/config-file.ts';
import { writeAtomic } from '../../machine/files/atomic-file.ts';
import { readFileOrNull } from '../../machine/files/file-port.ts';
import { keepWritten, readKept } from '../../machine/files/kept-reads.ts';
import { ensureRoot, type Machine } from '../../machine/machine.ts';
import type { ClientContext } from '../context.ts';
import type { HubClient } from '../hub/hub-client.ts';
import { operatorsOf, readTrust } from '../trust/publisher-keys.ts';

/** The last plan that was accepted with this `~/.claude`, as it came: a 304 refers to it, and without the hub it is the best there is. */
const cachePath = (m: Machine): string => m.paths.plan;

export interface KeptPlan {
  plan: Plan;
  envelope: Envelope;
  /** As the hub named it; undefined where it did not. */
  etag: string | undefined;
}

/** Named in the same file: what a 304 says holds for these bytes, whatever else was put back. */
const KeptEnvelope = EnvelopeSchema.extend({ etag: z.string().optional() });

/** To be kept by `keepPlan` once the plan was acted on. */
export interface PlanAnswer extends KeptPlan {
  /** True when the hub said that nothing changed. */
  notModified: boolean;
}

/**
 * Asks the hub for this machine's plan and checks it: signature by the pinned hub key, made for this machine, never older than one
 * that was seen, and of a history in which that one was.
 * @param options.fresh ask for the whole plan even when an unchanged one is here
 * @throws HaiveError SIGNATURE_INVALID, PLAN_REPLAYED, FORMAT_UNSUPPORTED, NOT_JOINED, and those of the call
 */
export async function fetchPlan(
  ctx: ClientContext,
  hub: HubClient,
  options: { fresh?: boolean; timeoutMs?: number; signal?: AbortSignal | undefined } = {},
): Promise<PlanAnswer> {
  const kept = options.fresh === true ? null : await followedPlan(ctx);
  const etag = kept?.etag;
  const call = {
    params: { machine: 'me' },
    signal: options.signal,
    ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
  };
  const headers: Record<string, string> = kept === null ? {} : { 'a-im': PLAN_IM };
  let answer = await hub.callIfChanged('plan', etag, { ...call, headers });
  if (answer === null) {
    if (kept === null) throw new HaiveError('HUB_ANSWER_INVALID', 'The hub answers 304 to a plain request');
    return { ...kept, notModified: true };
  }
  let envelope: Envelope = answer.value;
  let expanded: { envelope: Envelope; plan: Plan } | null = null;
  if (kept !== null && answer.value.delta !== undefined) {
    expanded = expand(ctx, answer.value, kept.plan);
    if (expanded === null) answer = (await hub.callIfChanged('plan', undefined, call)) ?? answer;
    envelope = expanded?.envelope ?? answer.value;
  }
  const plan = expanded?.plan ?? checkPlan(ctx, envelope);
  const seen = ctx.config.plan;
  if (plan.epoch > (seen?.epoch ?? ctx.config.hub?.epoch ?? plan.epoch)) {
    const operators = operatorsOf(await readTrust(ctx.machine), plan.hub);
    if (operators.length > 0) checkEpoch(plan.epochProof, plan.hub, plan.epoch, operators);
  }
  const refused = whyNotFollowed(plan, seen);
  if (refused !== null) {
    throw new HaiveError('PLAN_REPLAYED', `The hub's ${refused}`);
  }
  return { plan, envelope, etag: answer.etag, notModified: false };
}

/** Said with an order for this machine: where it would not follow the plan that comes of it, there shall be none. */
export function followedPlace({ config: { plan } }: ClientContext): { followed?: Place } {
  if (plan === undefined) return {};
  const { epoch, counter, lineage } = plan;
  return { followed: { epoch, counter, ...(lineage === undefined ? {} : { lineage }) } };
}

/** The groups and capabilities that the hub goes by, as far as this machine knows. @param plan the newest that it knows */
export function inForce({ groups, capabilities }: Config, plan: Plan | null | undefined) {
  return { groups: [...(plan?.groups ?? groups)], capabilities: [...(plan?.capabilities ?? capabilities)] };
}

/**
 * The plan that lies here, where it is the one that was followed last; else null. It is another one where an old `~/.claude` was put back,
 * where a second CLAUDE_CONFIG_DIR of this HOME synced since, and after a crash between the two files.
 */
export async function followedPlan(ctx: ClientContext): Promise<KeptPlan | null> {
  const kept = await cachedPlan(ctx);
  const last = ctx.config.plan;
  if (kept === null || last === undefined || last.etag === '') return null;
  // An earlier program kept no etag with the plan.
  const { etag = last.etag, plan } = kept;
  const same = etag === last.etag && plan.counter === last.counter && plan.epoch === last.epoch;
  return same ? { ...kept, etag } : null;
}

/** Why nothing new comes of a plan; null while it is in time. */
export const whyExpired = (ctx: ClientContext, { expiresAt }: Plan): string | null =>
  new Date(expiresAt) > ctx.clock()
    ? null
    : `The hub's plan expired at ${expiresAt}: what is here stays, nothing new comes. Is a clock wrong?`;

/** The etag of the plan that is here, as `fetchPlan` names it to the hub. */
export const keptEtag = async (ctx: ClientContext): Promise<string | undefined> => (await followedPlan(ctx))?.etag;

/** A plan that came as a delta, checked; null when what is here is not the plan it was made against. */
function expand(ctx: ClientContext, reply: Reply<'plan'>, base: Plan): { envelope: Envelope; plan: Plan } | null {
  const { delta, ...rest } = reply;
  const whole = fromDelta(base, delta?.plan as unknown as DeltaPlan);
  if (whole === null) return null;
  const envelope = { ...rest, payload: Buffer.from(JSON.stringify(whole)).toString('base64') };
  try {
    return { envelope, plan: checkPlan(ctx, envelope) };
  } catch {
    return null;
  }
}

/** The last plan that was accepted here; null when there is none, or it is not one any more. */
export async function cachedPlan(ctx: ClientContext): Promise<KeptPlan | null> {
  const by = checkedBy(ctx);
  const understand = (bytes: Buffer | null): (KeptPlan & { by: string }) | null => {
    if (bytes === null) return null;
    try {
      const { etag, ...envelope } = KeptEnvelope.parse(JSON.parse(bytes.toString('utf8')));
      return { plan: checkPlan(ctx, envelope), envelope, etag, by };
    } catch {
      return null;
    }
  };
  const kept = await readKept(cachePath(ctx.machine), understand);
  // Checked for another hub or machine: this one may have left and joined since.
  return kept === null || kept.by === by ? kept : understand(await readFileOrNull(cachePath(ctx.machine)));
}

/** Whose plan it was checked to be, for whom. */
const checkedBy = ({ config: { hub, machine } }: ClientContext): string =>
  `${hub?.id} ${hub?.public_key} ${machine?.id}`;

/** Whether somebody asked for exactly this version on this machine. */
export const isPinned = ({ origin, pinned }: PlanEntry): boolean => origin === 'explicit' && pinned;

/** Keeps a plan for the 304s to come. The lock must be held. */
export async function keepPlan(ctx: ClientContext, answer: PlanAnswer): Promise<void> {
  await ensureRoot(ctx.machine);
  const { plan, envelope, etag } = answer;
  await writeAtomic(ctx.machine.port, cachePath(ctx.machine), JSON.stringify({ ...envelope, etag }), { fsync: false });
  keepWritten(cachePath(ctx.machine), { plan, envelope, etag, by: checkedBy(ctx) });
}

function checkPlan(ctx: ClientContext, envelope: Envelope): Plan {
  const { hub, machine } = ctx.config;
  if (hub === undefined || machine === undefined)
    throw new HaiveError('NOT_JOINED', 'This machine has not joined a hub');
  const plan = openJson(envelope, PLAN_PAYLOAD_TYPE, [hub.public_key]).value as Plan;
  if (plan.format !== PLAN_FORMAT) {
    throw new HaiveError('FORMAT_UNSUPPORTED', `The plan has format ${plan.format}, this program knows ${PLAN_FORMAT}`);
  }
  if (plan.machine !== machine.id || plan.hub !== hub.id) {
    throw new HaiveError(
      'SIGNATURE_INVALID',
      `The plan is for machine ${plan.machine} of hub ${plan.hub}, not for this one`,
    );
  }
  if (!Number.isSafeInteger(plan.counter) || !Number.isSafeInteger(plan.epoch) || !hasForm(plan)) {
    throw new HaiveError(
      'HUB_ANSWER_INVALID',
      'The plan lacks its counter, epoch or plugins, or they are not what a plan holds',
    );
  }
  return plan;
}

/** Whether everything that is read of a plan later is there: a signature says who wrote it, not that it is well-formed. */
function hasForm(plan: Plan): boolean {
  const {
    plugins,
    problems,
    groups = [],
    capabilities = [],
    revoked = [],
    revokedKeys = [],
    lineage = [],
    expiresAt,
  } = plan;
  const lists = [plugins, problems, groups, capabilities, revoked, revokedKeys, lineage].every(Array.isArray);
  return (
    lists &&
    typeof expiresAt === 'string' &&
    plugins.every((p) => hasTexts(p, 'id', 'name', 'version', 'digest') && Array.isArray(p.dependencies)) &&
    plugins.every((p) => p.dependencies.every((d) => hasTexts(d, 'name', 'range'))) &&
    problems.every((p) => hasTexts(p, 'name', 'code', 'message')) &&
    revoked.every((r) => hasTexts(r, 'name', 'version', 'digest')) &&
    [...groups, ...capabilities, ...revokedKeys].every((text) => typeof text === 'string') &&
    lineage.every((one) => Array.isArray(one) && typeof one[0] === 'string' && Number.isSafeInteger(one[1]))
  );
}

function hasTexts(value: unknown, ...keys: string[]): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return keys.every((key) => typeof (value as Record<string, unknown>)[key] === 'string');
}
