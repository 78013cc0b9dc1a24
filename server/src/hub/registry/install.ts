import { randomUUID } from 'node:crypto';
import semverValid from 'semver/functions/valid.js';
import type { Reply } from '../../contract/endpoints.ts';
import { ineligible } from '../../domain/desired/desired-state.ts';
import type { MachineFacts, VersionStatus } from '../../domain/desired/registry.ts';
import { HaiveError } from '../../domain/errors.ts';
import { checkRange, parsePluginRef } from '../../domain/names.ts';
import { clearOverrides, listOverrides, setOverrides } from '../../storage/queries/overrides.ts';
import { isOperator } from '../auth.ts';
import { change } from '../change.ts';
import type { HubContext, UseCase } from '../context.ts';
import { loadMachineFacts } from '../machines/facts.ts';
import { requireFollower } from '../trust/followed.ts';
import { mayHearOf } from './access.ts';
import { highest, inRange, versionsOf } from './choose-version.ts';
import { lifted } from './overrides.ts';
import { allMachineFacts, desiredStates } from './reach.ts';
import { type CatalogueVersion, loadCatalogue } from './snapshot.ts';
import { chooseMachines } from './targets.ts';

type Installed = Reply<'install'>['machines'][number];

/** Puts a plugin into the desired state of machines; an exact version (or an id) pins, `latest` and ranges float. */
export const install: UseCase<'install'> = async (hub, call) => {
  const { principal, body } = call;
  const { name, range } = requested(call.params.id ?? '', body.version);
  const catalogue = await loadCatalogue(hub.store);
  const known = (v: CatalogueVersion): boolean => mayHearOf(principal, v);
  const version = choose(versionsOf(catalogue, name), range, isOperator(principal), known);
  const { machines, named } = await chooseMachines(hub, principal, body.target_machines);
  const problems = new Map(machines.map((m) => [m.id, whyNot(version, m)]));
  const fitting = machines.filter((m) => problems.get(m.id) === null);
  if (fitting.length === 0) throw notEligible(version, machines, problems);

  await requireFollower(hub, body.followed);
  const force = body.force ? randomUUID() : null;
  const { seq, result: words } = await change(hub, principal, async ({ tx, at }) => {
    const ids = fitting.map((m) => m.id);
    const itself = isOperator(principal) ? undefined : principal.machineId;
    const said = itself == null ? [] : (await listOverrides(tx, itself)).filter((o) => o.name === name);
    // Who asks for a version wants it also where an earlier pin, or the hold of a rollback, says otherwise.
    await clearOverrides(tx, ids, name, { kinds: ['pin', 'hold', 'exclude'] });
    const override = {
      name,
      kind: 'install' as const,
      range,
      byOperator: isOperator(principal),
      by: principal.name,
      at,
    };
    for (const [nonce, machineIds] of byNonce(fitting, name, force)) {
      await setOverrides(tx, machineIds, { ...override, forceNonce: nonce });
    }
    const data = { name, version: version.version, range, force: body.force, machine_ids: ids };
    return { result: lifted(said), trace: { type: 'install.requested', target: name, data } };
  });
  const shown = named ? machines : fitting;
  const pinned = semverValid(range) !== null;
  const reason = version.statusReason === '' ? '' : `: ${version.statusReason}`;
  const warnings =
    version.status === 'deprecated' ? [`${name}@${version.version} is deprecated${reason}`, ...words] : words;
  const outcome = await outcomes(hub, name, shown, problems);
  return { id: version.id, name, version: version.version, pinned, machines: outcome, warnings, seq };
};

/** The name and range that the address and `version` ask for together. */
function requested(ref: string, version: string): { name: string; range: string } {
  const { name, range: inRef } = parsePluginRef(ref);
  const asked = version === '' || version === 'latest' ? null : version;
  if (asked !== null) checkRange(asked);
  if (
    inRef !== null &&
    asked !== null &&
    inRef !== asked &&
    !(semverValid(inRef) !== null && inRange([{ version: inRef }], asked).length > 0)
  ) {
    throw new HaiveError('ID_MISMATCH', `${ref} names ${inRef}, the parameter version ${asked}`);
  }
  return { name, range: inRef ?? asked ?? '*' };
}

/**
 * The version that a range means now, by the design's status table: published, else deprecated; only an exact version may
 * also be one that is merely registered, and then only for an operator.
 * @param known whether the caller may be told that a version waits to be published
 * @throws HaiveError VERSION_NOT_FOUND, STATUS_FORBIDS
 */
export function choose(
  versions: readonly CatalogueVersion[],
  range: string,
  operator: boolean,
  known: (version: CatalogueVersion) => boolean = () => false,
): CatalogueVersion {
  const { name } = versions[0] as CatalogueVersion;
  const fitting = inRange(versions, range);
  const of = (status: VersionStatus) => highest(fitting.filter((v) => v.status === status));
  const exact = semverValid(range) !== null;
  const found = of('published') ?? of('deprecated') ?? (exact && operator ? of('registered') : undefined);
  if (found !== undefined) return found;
  const refused = fitting[0];
  if (refused === undefined || (refused.status === 'registered' && !exact)) {
    const beta = range === '*' ? versions.find((v) => v.status === 'published') : undefined;
    if (beta !== undefined)
      throw new HaiveError('VERSION_NOT_FOUND', `Only prereleases of ${name} are published`, {
        hint: `Name the one that is meant: ${name}@${beta.version}.`,
      });
    const what =
      range === '*' ? `No version of ${name} is published` : `No published version of ${name} is in ${range}`;
    const waiting = fitting.find((v) => v.status === 'registered' && known(v));
    if (waiting === undefined) throw new HaiveError('VERSION_NOT_FOUND', what);
    const waits = `${name}@${waiting.version}`;
    throw new HaiveError('VERSION_NOT_FOUND', what, {
      hint: `${waits} is registered and waits for an operator or publisher: \`hv publish ${waits}\`.`,
    });
  }
  throw new HaiveError('STATUS_FORBIDS', `${name}@${refused.version} is ${refused.status}`, {
    ...(refused.status === 'registered'
      ? { hint: 'Only an operator may install a version that is not published.' }
      : {}),
    details: { status: refused.status },
  });
}

/** Why a version may not go to a machine; null when it may. */
export function whyNot(version: CatalogueVersion, machine: MachineFacts): string | null {
  const why = ineligible(version, machine);
  return why === null ? null : `${version.name}@${version.version} ${why}`;
}

/** @param problems why each may not have it, by machine id */
export function notEligible(
  version: CatalogueVersion,
  machines: readonly MachineFacts[],
  problems: ReadonlyMap<string, string | null>,
): HaiveError {
  const first = machines[0];
  const why = first === undefined ? 'no machine has joined' : `${first.name}: ${problems.get(first.id)}`;
  const more = machines.length > 1 ? ` (and ${machines.length - 1} more)` : '';
  return new HaiveError('NOT_ELIGIBLE', `${version.name}@${version.version} fits no machine; ${why}${more}`, {
    details: { machines: Object.fromEntries(machines.slice(0, 100).map((m) => [m.name, problems.get(m.id)])) },
  });
}

/** Machines by the nonce their install gets: a new one when forced, else the one it had. */
function byNonce(machines: readonly MachineFacts[], name: string, force: string | null): Map<string | null, string[]> {
  const groups = new Map<string | null, string[]>();
  for (const machine of machines) {
    const nonce = force ?? machine.overrides.find((o) => o.name === name && o.kind === 'install')?.force ?? null;
    groups.set(nonce, [...(groups.get(nonce) ?? []), machine.id]);
  }
  return groups;
}

/** What each machine should have of the plugin now, or why not. */
async function outcomes(
  hub: HubContext,
  name: string,
  machines: readonly MachineFacts[],
  problems: ReadonlyMap<string, string | null>,
): Promise<Installed[]> {
  const stateOf = desiredStates(await loadCatalogue(hub.store));
  const { read } = hub.store;
  const facts =
    machines.length > 10
      ? await allMachineFacts(read)
      : await Promise.all(machines.map((m) => loadMachineFacts(read, m.id)));
  const now = new Map(facts.map((m) => [m.id, m]));
  return machines.map((machine) => {
    const current = now.get(machine.id);
    const known = problems.get(machine.id) ?? null;
    if (current === undefined || known !== null) return { machine: machine.name, version: null, problem: known };
    const state = stateOf(current);
    const entry = state.plugins.find((p) => p.name === name);
    const problem = state.problems.find((p) => p.name === name);
    return { machine: machine.name, version: entry?.version ?? null, problem: problem?.message ?? null };
  });
}
