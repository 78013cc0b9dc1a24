import type * as z from 'zod';
import type { ReportedPlugin, StatusReport } from '../../contract/schemas.ts';
import { HaiveError } from '../../domain/errors.ts';
import { checkPluginName, checkVersion } from '../../domain/names.ts';
import { type InstallationRecord, installationsOf, replaceInstallations } from '../../storage/queries/installations.ts';
import {
  capabilitiesOf,
  type MachineRow,
  noteReport,
  setMachineCapabilities,
  updateMachineFacts,
} from '../../storage/queries/machines.ts';
import { FACTS_COUNTER, nextCounter } from '../../storage/queries/meta.ts';
import { listOverrides, setOverride } from '../../storage/queries/overrides.ts';
import { confirmRevocations } from '../../storage/queries/trust.ts';
import type { Store } from '../../storage/store.ts';
import type { Tx } from '../../storage/tables/index.ts';
import { change } from '../change.ts';
import type { HubContext, Principal, UseCase } from '../context.ts';
import { desiredStates } from '../registry/reach.ts';
import { loadCatalogue } from '../registry/snapshot.ts';
import { sortedUnique } from '../sorted-unique.ts';
import { loadMachineFacts } from './facts.ts';
import { reachMachineRow } from './machines.ts';

type Report = z.output<typeof StatusReport>;
type Plugin = z.output<typeof ReportedPlugin>;
type Refused = NonNullable<Report['refused']>;
type Told = Pick<Plugin, 'name' | 'version' | 'state' | 'error'>;

/**
 * Takes down what a machine has. Only a report with a new hold takes a place in the event feed.
 * @throws HaiveError NAME_INVALID, NAME_RESERVED, VERSION_INVALID for a hold of what cannot be a plugin's version, REPORT_OUTDATED
 */
export const report: UseCase<'report'> = async (hub, { principal, params, body }) => {
  await takeReport(hub, principal, body, params.machine);
  return { ok: true };
};

/** The same of a machine that says it over the live channel. @param machine `me`, an id or a name */
export async function takeReport(hub: HubContext, principal: Principal, said: Report, ref = 'me'): Promise<void> {
  const plugins = said.plugins.map((p) => (p.error === undefined ? p : { ...p, error: short(p.error) }));
  const body = { ...said, plugins, refused: said.refused && short(said.refused) };
  const machine = await reachMachineRow(hub.store.read, principal, ref);
  for (const { name, version } of body.holds) {
    checkPluginName(name);
    checkVersion(version);
  }
  const news = await hub.store.transact((tx) => writeDown(tx, machine, body, hub.clock().toISOString()));
  await keepHolds(hub, principal, machine, body);
  for (const { name, version, state, error } of [...news, ...(await leftOut(hub, machine, body))]) {
    hub.bell.progress({
      machine: machine.name,
      plugin: name,
      version,
      state,
      ...(error === undefined ? {} : { error }),
    });
  }
}

/** Cut and not refused: no report is lost for a long text, and none fills the table that every look at a machine reads. */
const short = ({ code, message }: Refused): Refused => ({
  code: code.slice(0, 64),
  message: message.slice(0, 2000),
});

/** Of which machines it was told, and at which `seq`: whoever waits has ordered something, which moves that. */
const toldOf = new WeakMap<Store, Map<string, string>>();

/** What does not come to a machine that refuses the plan: whoever waits for it there is told, once. */
async function leftOut(hub: HubContext, machine: MachineRow, { refused, plugins }: Report): Promise<Told[]> {
  const told = toldOf.get(hub.store) ?? new Map<string, string>();
  toldOf.set(hub.store, told);
  if (refused === undefined) {
    told.delete(machine.id);
    return [];
  }
  const now = `${await hub.store.currentSeq()} ${refused.code}`;
  if (told.get(machine.id) === now) return [];
  told.set(machine.id, now);
  const wanted = desiredStates(await loadCatalogue(hub.store))(await loadMachineFacts(hub.store.read, machine.id));
  const has = new Set(plugins.map((p) => p.digest));
  return wanted.plugins
    .filter((entry) => !has.has(entry.digest))
    .map(({ name, version }) => ({ name, version, state: 'failed' as const, error: refused }));
}

/** How far the clock of a machine may be ahead of ours before its word of when something was counts for little. */
const MOST_AHEAD_MS = 60_000;

/** @returns the plugins whose version or state is news */
async function writeDown(tx: Tx, machine: MachineRow, body: Report, at: string): Promise<Plugin[]> {
  // First, because each locks the machine's row: what it had stays so until we say what it has.
  const latest = Date.parse(at) + MOST_AHEAD_MS;
  const newer = body.as_of === undefined ? null : await noteReport(tx, machine.id, body.as_of, latest);
  if (newer !== null) {
    throw new HaiveError('REPORT_OUTDATED', `${machine.name} has reported what it had later`, {
      details: { as_of: newer },
    });
  }
  await updateMachineFacts(tx, machine.id, {
    haivemindVersion: body.haivemind_version,
    lastSeen: at,
    planCounter: body.counter,
    refused: body.refused === undefined ? null : { ...body.refused, at },
  });
  const before = await installationsOf(tx, machine.id);
  const capabilities = body.capabilities && sortedUnique(body.capabilities);
  const newCapabilities =
    capabilities !== undefined && capabilities.join('\0') !== (await capabilitiesOf(tx, machine.id)).join('\0');
  const named = [...new Set([...body.plugins.map((p) => p.name), ...body.removed])];
  // A long list of names is as good as all of them, and may be longer than the database takes.
  const few = body.partial && named.length <= 500;
  const rest = body.partial ? before.filter((p) => !named.includes(p.name)) : [];
  const all = [...rest, ...body.plugins];
  if (few && named.length > 0)
    await replaceInstallations(tx, machine.id, lastOfEachName(body.plugins), at, { only: named, before });
  if (!few) await replaceInstallations(tx, machine.id, lastOfEachName(all.map(asReported)), at, { before });
  await confirmRevocations(tx, machine.id, all, at);
  if (newCapabilities) await setMachineCapabilities(tx, machine.id, capabilities);
  const changesPlan =
    newCapabilities || body.haivemind_version !== machine.haivemindVersion || versionsOf(before) !== versionsOf(all);
  // Last, so that this row, which every report shares, is held as briefly as can be.
  if (changesPlan) await nextCounter(tx, FACTS_COUNTER);
  const was = new Map(before.map((p) => [p.name, p]));
  return body.plugins.filter((p) => isNews(was.get(p.name), p));
}

function asReported(plugin: InstallationRecord | Plugin): Plugin {
  return { ...plugin, state: plugin.state as Plugin['state'] };
}

function isNews(before: InstallationRecord | undefined, now: Plugin): boolean {
  return before === undefined || before.version !== now.version || before.state !== now.state;
}

function lastOfEachName(plugins: readonly Plugin[]): Plugin[] {
  return [...new Map(plugins.map((p) => [p.name, p])).values()];
}

function versionsOf(plugins: readonly { name: string; version: string }[]): string {
  return sortedUnique(plugins.map((p) => `${p.name}@${p.version}`)).join('\0');
}

/** A rollback made on the machine becomes a hold here, so that the next plan does not undo it. */
async function keepHolds(hub: HubContext, by: Principal, machine: MachineRow, body: Report): Promise<void> {
  if (body.holds.length === 0) return;
  const known = await listOverrides(hub.store.read, machine.id);
  const fresh = body.holds.filter(
    (hold) => !known.some((o) => o.name === hold.name && o.kind === 'hold' && o.range === hold.version),
  );
  if (fresh.length === 0) return;
  await change(hub, by, async ({ tx, at }) => {
    for (const { name, version } of fresh) {
      const hold = { machineId: machine.id, name, kind: 'hold' as const, range: version, forceNonce: null };
      await setOverride(tx, { ...hold, byOperator: false, by: machine.name, at });
    }
    const data = { machine_id: machine.id, machine_ids: [machine.id], holds: fresh };
    return { result: null, trace: { type: 'machine.updated', target: machine.name, data } };
  });
}
