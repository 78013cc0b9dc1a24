import semverValid from 'semver/functions/valid.js';
import { overrideText } from '../../domain/desired/explain.ts';
import { HaiveError } from '../../domain/errors.ts';
import { checkPluginName, checkRange } from '../../domain/names.ts';
import {
  clearOverrides,
  setOverride as keepOverride,
  type OverrideRecord,
  WISHES,
} from '../../storage/queries/overrides.ts';
import { isOperator } from '../auth.ts';
import { change } from '../change.ts';
import type { UseCase } from '../context.ts';
import { loadMachineFacts } from '../machines/facts.ts';
import { requireMachine } from './access.ts';
import { inRange, versionsOf } from './choose-version.ts';
import { leaving } from './leaving.ts';
import { type Catalogue, loadCatalogue } from './snapshot.ts';

type Kind = Parameters<UseCase<'setOverride'>>[1]['body']['kind'];

/** Pins, holds, excludes or installs one plugin on one machine. */
export const setOverride: UseCase<'setOverride'> = async (hub, call) => {
  const { principal, body } = call;
  const machine = await requireMachine(hub.store.read, principal, call.params.machine ?? '');
  const name = call.params.name ?? '';
  checkPluginName(name);
  const { kind, range } = body;
  checkRange(range);
  if (kind === 'hold' && semverValid(range) === null) {
    throw new HaiveError('VERSION_INVALID', 'A hold names one exact version', { hint: 'Use `pin` for a range.' });
  }
  const catalogue = await loadCatalogue(hub.store);
  // A machine repeats what it was told (a rollback's hold, a lockfile), also of what is gone here.
  const warnings = isOperator(principal) ? refuseUnknown(catalogue, name, kind, range) : [];
  if (kind === 'install') versionsOf(catalogue, name);
  const { along, wishes } =
    kind === 'exclude'
      ? leaving(catalogue, await loadMachineFacts(hub.store.read, machine.id), name)
      : { along: [], wishes: [] };
  const { seq, result } = await change(hub, principal, async ({ tx, at }) => {
    const row = { machineId: machine.id, name, kind, range, forceNonce: null };
    await keepOverride(tx, { ...row, byOperator: isOperator(principal), by: principal.name, at });
    for (const wish of wishes) await clearOverrides(tx, [machine.id], wish, { kinds: WISHES });
    const data = { machine_id: machine.id, machine_ids: [machine.id], plugin: name, kind, range, along };
    return { result: at, trace: { type: 'override.set', target: machine.name, data } };
  });
  return { name, kind, range, by: principal.name, at: result, along, seq, warnings };
};

/**
 * What is misspelled would do nothing, for ever.
 * @returns what is right and fits nothing yet
 * @throws HaiveError PLUGIN_NOT_FOUND, VERSION_NOT_FOUND for an exact version that there is not
 */
function refuseUnknown(catalogue: Catalogue, name: string, kind: Kind, range: string): string[] {
  const versions = versionsOf(catalogue, name).filter((v) => v.status !== 'deleted');
  if (kind === 'exclude' || range === '*' || inRange(versions, range).length > 0) return [];
  const message = `${name} has no version ${range}`;
  if (semverValid(range) !== null) throw new HaiveError('VERSION_NOT_FOUND', message);
  return [`${message} yet`];
}

/** Back to what the groups say; a machine takes back its own word only, and what operators said of it holds again. */
export const clearOverride: UseCase<'clearOverride'> = async (hub, call) => {
  const { principal } = call;
  const machine = await requireMachine(hub.store.read, principal, call.params.machine ?? '');
  const name = call.params.name ?? '';
  checkPluginName(name);
  const { kind } = call.query;
  const { seq } = await change(hub, principal, async ({ tx }) => {
    const which = { kinds: kind === undefined ? undefined : [kind], own: !isOperator(principal) };
    const cleared = await clearOverrides(tx, [machine.id], name, which);
    const data = { machine_id: machine.id, machine_ids: [machine.id], plugin: name, cleared };
    return { result: undefined, trace: { type: 'override.cleared', target: machine.name, data } };
  });
  return { ok: true, seq };
};

/** What operators said against an order that a machine gives for itself, and that the order lifts: one sentence each. */
export function lifted(overrides: readonly OverrideRecord[]): string[] {
  return overrides
    .filter((o) => o.byOperator && o.kind !== 'install')
    .map((o) => `${o.name} was ${overrideText(o, o.by)}; that is lifted now`);
}
