import { isDeepStrictEqual } from 'node:util';
import { exactSet } from '../../domain/desired/exact-set.ts';
import { isAsLocked, type LockDifference, type Locked, lockMismatch } from '../../domain/desired/lockfile.ts';
import type { MachineFacts } from '../../domain/desired/registry.ts';
import { HaiveError } from '../../domain/errors.ts';
import { isUnfit } from '../../domain/plan/index.ts';
import { eventsAfter } from '../../storage/queries/events.ts';
import {
  clearOverrides,
  insertOverrides,
  listOverrides,
  type OverrideRecord,
  setOverridesOf,
} from '../../storage/queries/overrides.ts';
import { isOperator } from '../auth.ts';
import { change } from '../change.ts';
import type { UseCase } from '../context.ts';
import { loadMachineFacts } from '../machines/facts.ts';
import { requireMachine } from './access.ts';
import { versionsOf } from './choose-version.ts';
import { choose, notEligible, whyNot } from './install.ts';
import { lifted } from './overrides.ts';
import { type Catalogue, catalogueIn, loadCatalogue } from './snapshot.ts';

const ORDERED = 'set.ordered';

/** What the event of an order says of it. */
interface SetOrder {
  install: Pick<Locked, 'name' | 'version'>[];
  exclude: string[];
  /** What was said of these plugins until then. */
  before: OverrideRecord[];
}

/** What an order is reckoned from. */
interface Known {
  catalogue: Catalogue;
  facts: MachineFacts;
}

/** Makes one machine's desired state exactly a locked set, all in one transaction; where that cannot be, nothing is ordered. */
export const orderSet: UseCase<'orderSet'> = async (hub, { principal, params, body }) => {
  const { id, name: machine } = await requireMachine(hub.store.read, principal, params.machine ?? '');
  const byOperator = isOperator(principal);
  const known = { catalogue: await loadCatalogue(hub.store), facts: await loadMachineFacts(hub.store.read, id) };
  const reckoned = reckon(known, body.plugins, byOperator);
  if (isAsLocked(reckoned)) return { installed: [], excluded: [], seq: null, warnings: [] };
  const { seq, result } = await change(hub, principal, async ({ tx, at }) => {
    // What was published or said meanwhile counts too; mostly it is nothing, and others wait for this transaction.
    const now = { catalogue: await catalogueIn(tx, known.catalogue), facts: await loadMachineFacts(tx, id) };
    const { install, exclude } = isSame(known, now) ? reckoned : reckon(now, body.plugins, byOperator);
    const installed = install.map((p) => p.name);
    const named = new Set([...installed, ...exclude]);
    const before = (await listOverrides(tx, id)).filter((o) => named.has(o.name));
    const excluded = new Set(exclude);
    const said = before.filter((o) => !excluded.has(o.name));
    const nonces = new Map(said.filter((o) => o.kind === 'install').map((o) => [o.name, o.forceNonce]));
    const row = { machineId: id, byOperator, by: principal.name, at };
    await clearOverrides(tx, [id], installed);
    const wanted = install.map((p) => ({ name: p.name, range: p.version, forceNonce: nonces.get(p.name) ?? null }));
    await setOverridesOf(tx, { ...row, kind: 'install' }, wanted);
    const unwanted = exclude.map((name) => ({ name, range: '*', forceNonce: null }));
    await setOverridesOf(tx, { ...row, kind: 'exclude' }, unwanted);
    const order = { install: install.map(({ name, version }) => ({ name, version })), exclude, before };
    const data = { machine_id: id, machine_ids: [id], by_operator: byOperator, ...order };
    const warnings = byOperator ? [] : lifted(said);
    return { result: { installed, excluded: exclude, warnings }, trace: { type: ORDERED, target: machine, data } };
  });
  return { ...result, seq };
};

const isSame = (known: Known, now: Known): boolean =>
  known.catalogue.plugins === now.catalogue.plugins &&
  isDeepStrictEqual([known.catalogue.quorums, known.facts], [now.catalogue.quorums, now.facts]);

/** What to order so that the machine is to have the locked set. @throws HaiveError LOCK_MISMATCH where that cannot be, and those of check */
function reckon({ catalogue, facts }: Known, locked: readonly Locked[], operator: boolean): LockDifference {
  const { order, left, problems } = exactSet(catalogue, facts, locked);
  for (const wanted of order.install) check(catalogue, facts, wanted, operator);
  // A lock may say the same of a plugin twice.
  if (isAsLocked(left)) return { ...order, install: [...new Map(order.install.map((p) => [p.name, p])).values()] };
  const told = problems.filter(({ name, code }) => isUnfit({ code }) || left.install.some((p) => p.name === name));
  throw lockMismatch(
    left,
    told.map((p) => p.message),
  );
}

/**
 * Takes such an order back: what was said before holds again, of plugins of which nothing else was said since.
 * @throws HaiveError BAD_REQUEST for what is no such order; to a machine an operator's is none
 */
export const takeBackSet: UseCase<'takeBackSet'> = async (hub, { principal, params, query }) => {
  const { id, name: machine } = await requireMachine(hub.store.read, principal, params.machine ?? '');
  const [event] = await eventsAfter(hub.store.read, query.seq - 1, 1);
  const isTheirs = isOperator(principal) || event?.data.by_operator === false;
  if (event?.seq !== query.seq || event.type !== ORDERED || event.data.machine_id !== id || !isTheirs) {
    throw new HaiveError('BAD_REQUEST', `${query.seq} is no order of a set for ${machine}`);
  }
  const { install, exclude, before } = event.data as unknown as SetOrder;
  const stood = new Map(before.map((o) => [`${o.name} ${o.kind}`, o]));
  const { seq } = await change(hub, principal, async ({ tx }) => {
    const said = (await listOverrides(tx, id)).filter((o) => !isDeepStrictEqual(stood.get(`${o.name} ${o.kind}`), o));
    const back = [...install.map((p) => p.name), ...exclude].filter((name) => {
      const since = said.filter((o) => o.name === name);
      return since.length === 1 && since[0]?.at === event.at;
    });
    await clearOverrides(tx, [id], back);
    const again = new Set(back);
    await insertOverrides(
      tx,
      before.filter((o) => again.has(o.name)),
    );
    const data = { machine_id: id, machine_ids: [id], order: query.seq, plugins: back };
    return { result: undefined, trace: { type: 'set.taken-back', target: machine, data } };
  });
  return { ok: true, seq };
};

/** @throws HaiveError PLUGIN_NOT_FOUND, VERSION_NOT_FOUND, LOCK_MISMATCH for other bytes, STATUS_FORBIDS, NOT_ELIGIBLE */
function check(catalogue: Catalogue, machine: MachineFacts, locked: Locked, operator: boolean): void {
  const { name, version, digest } = locked;
  const versions = versionsOf(catalogue, name);
  const there = versions.find((v) => v.version === version);
  if (there !== undefined && there.digest !== digest) {
    throw new HaiveError('LOCK_MISMATCH', `This hub's ${name}@${version} has other bytes than the locked ones`, {
      details: { name, version, locked: digest, hub: there.digest },
    });
  }
  const chosen = choose(versions, version, operator);
  const problem = whyNot(chosen, machine);
  if (problem !== null) throw notEligible(chosen, [machine], new Map([[machine.id, problem]]));
}
