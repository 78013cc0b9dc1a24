import { isDeepStrictEqual } from 'node:util';
import { HaiveError } from '../../domain/errors.ts';
import { exactSet } from '../../domain/exact-set.ts';
import { isAsLocked, type LockDifference, type Locked, lockMismatch } from '../../domain/lockfile.ts';
import { isUnfit } from '../../domain/plan.ts';
import type { MachineFacts } from '../../domain/registry.ts';
import { eventsAfter } from '../../storage/event-queries.ts';
import { clearOverrides, listOverrides, type OverrideRecord, setOverride } from '../../storage/override-queries.ts';
import { isOperator } from '../auth.ts';
import { change } from '../change.ts';
import type { UseCase } from '../context.ts';
import { loadMachineFacts } from '../machine-facts.ts';
import { requireMachine } from './access.ts';
import { versionsOf } from './choose-version.ts';
import { choose, notEligible, whyNot } from './install.ts';
import { lifted } from './overrides.ts';
import { type Catalogue, loadCatalogue } from './snapshot.ts';

const ORDERED = 'set.ordered';

/** Makes one machine's desired state exactly a locked set, all in one transaction; where that cannot be, nothing is ordered. */
export const orderSet: UseCase<'orderSet'> = async (hub, { principal, params, body }) => {
  const { id, name: machine } = await requireMachine(hub.store.read, principal, params.machine ?? '');
  const catalogue = await loadCatalogue(hub.store);
  const facts = await loadMachineFacts(hub.store.read, id);
  const { order, left, problems } = exactSet(catalogue, facts, body.plugins);
  for (const wanted of order.install) check(catalogue, facts, wanted, isOperator(principal));
  if (!isAsLocked(left)) {
    const told = problems.filter(({ name, code }) => isUnfit({ code }) || left.install.some((p) => p.name === name));
    throw lockMismatch(
      left,
      told.map((p) => p.message),
    );
  }
  const install = order.install.map((p) => p.name);
  const ordered = { installed: install, excluded: order.exclude };
  if (isAsLocked(order)) return { ...ordered, seq: null, warnings: [] };
  const { seq, result } = await change(hub, principal, async ({ tx, at }) => {
    const before = (await listOverrides(tx, id)).filter((o) => [...install, ...order.exclude].includes(o.name));
    const said = before.filter((o) => install.includes(o.name));
    const row = { machineId: id, byOperator: isOperator(principal), by: principal.name, at };
    for (const { name, version } of order.install) {
      const forceNonce = said.find((o) => o.name === name && o.kind === 'install')?.forceNonce ?? null;
      await clearOverrides(tx, [id], name);
      await setOverride(tx, { ...row, name, kind: 'install', range: version, forceNonce });
    }
    for (const name of order.exclude) {
      await setOverride(tx, { ...row, name, kind: 'exclude', range: '*', forceNonce: null });
    }
    const data = { machine_id: id, machine_ids: [id], by_operator: isOperator(principal), ...order, before };
    return { result: lifted(said), trace: { type: ORDERED, target: machine, data } };
  });
  return { ...ordered, seq, warnings: isOperator(principal) ? [] : result };
};

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
  const { install, exclude, before } = event.data as unknown as LockDifference & { before: OverrideRecord[] };
  const { seq } = await change(hub, principal, async ({ tx }) => {
    const now = await listOverrides(tx, id);
    const back = [...install.map((p) => p.name), ...exclude].filter((name) => {
      const since = now.filter((o) => o.name === name && !before.some((b) => isDeepStrictEqual(b, o)));
      return since.length === 1 && since[0]?.at === event.at;
    });
    for (const name of back) await clearOverrides(tx, [id], name);
    // Said again as it was said: what is later may stand over what is earlier, not the other way round.
    const again = before.filter((o) => back.includes(o.name)).sort((a, b) => (a.at < b.at ? -1 : 1));
    for (const override of again) await setOverride(tx, override);
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
