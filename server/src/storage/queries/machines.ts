import { chunksOf, inChunks } from '../chunks.ts';
import type { MachinesTable, Tx } from '../tables/index.ts';
import { countedNames, moveCounts } from './installation-counts.ts';

/** Why a machine does not follow this hub's plans, as it said itself. */
export interface Refusal {
  code: string;
  message: string;
  /** When it said so last, ISO-8601. */
  at: string;
}

export interface MachineRow {
  id: string;
  name: string;
  platform: string;
  haivemindVersion: string;
  joinedAt: string;
  lastSeen: string | null;
  planCounter: number | null;
  refused: Refusal | null;
}

export interface MachineRecord extends MachineRow {
  /** Sorted. */
  groups: string[];
  /** Sorted. */
  capabilities: string[];
}

export interface NewMachine {
  id: string;
  name: string;
  platform: string;
  haivemindVersion: string;
  joinedAt: string;
  groups: readonly string[];
  capabilities: readonly string[];
}

/** Insert. A name already taken is a unique violation (dialect.isUniqueViolation). */
export async function insertMachine(tx: Tx, machine: NewMachine): Promise<void> {
  await tx
    .insertInto('machines')
    .values({
      id: machine.id,
      name: machine.name,
      platform: machine.platform,
      haivemind_version: machine.haivemindVersion,
      joined_at: machine.joinedAt,
      last_seen: machine.joinedAt,
      plan_counter: null,
      refused: null,
      reported_as_of: null,
    })
    .execute();
  await setMachineGroups(tx, machine.id, machine.groups);
  await setMachineCapabilities(tx, machine.id, machine.capabilities);
}

async function withSets(tx: Tx, rows: MachinesTable[]): Promise<MachineRecord[]> {
  const ids = rows.map((r) => r.id);
  const groups = await inChunks(ids, (chunk) =>
    tx.selectFrom('machine_groups').selectAll().where('machine_id', 'in', chunk).execute(),
  );
  const capabilities = await inChunks(ids, (chunk) =>
    tx.selectFrom('machine_capabilities').selectAll().where('machine_id', 'in', chunk).execute(),
  );
  const byId = new Map<string, MachineRecord>(rows.map((r) => [r.id, { ...toRow(r), groups: [], capabilities: [] }]));
  for (const row of groups) byId.get(row.machine_id)?.groups.push(row.group_name);
  for (const row of capabilities) byId.get(row.machine_id)?.capabilities.push(row.capability);
  for (const machine of byId.values()) {
    machine.groups.sort();
    machine.capabilities.sort();
  }
  return [...byId.values()];
}

function toRow(r: MachinesTable): MachineRow {
  return {
    id: r.id,
    name: r.name,
    platform: r.platform,
    haivemindVersion: r.haivemind_version,
    joinedAt: r.joined_at,
    lastSeen: r.last_seen,
    planCounter: r.plan_counter,
    refused: r.refused === null ? null : (JSON.parse(r.refused) as Refusal),
  };
}

async function rowOf(tx: Tx, ref: string): Promise<MachinesTable | undefined> {
  const rows = await tx
    .selectFrom('machines')
    .selectAll()
    .where((eb) => eb.or([eb('id', '=', ref), eb('name', '=', ref)]))
    .execute();
  return rows.find((r) => r.id === ref) ?? rows[0];
}

/** The machine with this id, or else with this name. */
export async function findMachine(tx: Tx, ref: string): Promise<MachineRecord | undefined> {
  const row = await rowOf(tx, ref);
  return row === undefined ? undefined : (await withSets(tx, [row]))[0];
}

/** The same without its groups and capabilities, which take a look each. */
export async function findMachineRow(tx: Tx, ref: string): Promise<MachineRow | undefined> {
  const row = await rowOf(tx, ref);
  return row === undefined ? undefined : toRow(row);
}

/** A machine's capabilities, sorted. */
export async function capabilitiesOf(tx: Tx, id: string): Promise<string[]> {
  const rows = await tx.selectFrom('machine_capabilities').select('capability').where('machine_id', '=', id).execute();
  return rows.map((r) => r.capability).sort();
}

export interface MachineQuery {
  group?: string | undefined;
  /** Only names after this one. */
  after?: string | undefined;
  limit: number;
}

/** A page of machines by name. */
export async function listMachines(tx: Tx, query: MachineQuery): Promise<MachineRecord[]> {
  let select = tx.selectFrom('machines').selectAll().orderBy('name').limit(query.limit);
  const { group, after } = query;
  if (after !== undefined) select = select.where('name', '>', after);
  if (group !== undefined) {
    select = select.where('id', 'in', (eb) =>
      eb.selectFrom('machine_groups').select('machine_id').where('group_name', '=', group),
    );
  }
  return withSets(tx, await select.execute());
}

/** Every machine, by name: for computing what all of them should have. */
export async function allMachines(tx: Tx): Promise<MachineRecord[]> {
  return withSets(tx, await tx.selectFrom('machines').selectAll().orderBy('name').execute());
}

/** Every group that a machine is in, and its machines' names. */
export async function listGroupMembers(tx: Tx): Promise<{ group: string; machine: string }[]> {
  return tx
    .selectFrom('machine_groups')
    .innerJoin('machines', 'machines.id', 'machine_groups.machine_id')
    .select(['machine_groups.group_name as group', 'machines.name as machine'])
    .orderBy('machine_groups.group_name')
    .orderBy('machines.name')
    .execute();
}

export async function setMachineGroups(tx: Tx, id: string, groups: readonly string[]): Promise<void> {
  await tx.deleteFrom('machine_groups').where('machine_id', '=', id).execute();
  for (const chunk of chunksOf(groups)) {
    await tx
      .insertInto('machine_groups')
      .values(chunk.map((group_name) => ({ machine_id: id, group_name })))
      .execute();
  }
}

export async function setMachineCapabilities(tx: Tx, id: string, capabilities: readonly string[]): Promise<void> {
  await tx.deleteFrom('machine_capabilities').where('machine_id', '=', id).execute();
  for (const chunk of chunksOf(capabilities)) {
    await tx
      .insertInto('machine_capabilities')
      .values(chunk.map((capability) => ({ machine_id: id, capability })))
      .execute();
  }
}

export interface MachineFacts {
  platform?: string;
  haivemindVersion?: string;
  lastSeen?: string;
  planCounter?: number;
  refused?: Refusal | null;
}

/** Changes the facts that are given; @returns false when there is no such machine */
export async function updateMachineFacts(tx: Tx, id: string, facts: MachineFacts): Promise<boolean> {
  const set = {
    ...(facts.platform === undefined ? {} : { platform: facts.platform }),
    ...(facts.haivemindVersion === undefined ? {} : { haivemind_version: facts.haivemindVersion }),
    ...(facts.lastSeen === undefined ? {} : { last_seen: facts.lastSeen }),
    ...(facts.planCounter === undefined ? {} : { plan_counter: facts.planCounter }),
    ...(facts.refused === undefined ? {} : { refused: facts.refused && JSON.stringify(facts.refused) }),
  };
  if (Object.keys(set).length === 0) return (await findMachine(tx, id)) !== undefined;
  const done = await tx.updateTable('machines').set(set).where('id', '=', id).executeTakeFirst();
  return done.numUpdatedRows > 0n;
}

/** These machines were heard of at one moment. @param at ISO-8601 */
export async function markSeen(tx: Tx, ids: Iterable<string>, at: string): Promise<void> {
  for (const chunk of chunksOf(ids)) {
    await tx.updateTable('machines').set({ last_seen: at }).where('id', 'in', chunk).execute();
  }
}

/**
 * Notes of when a report is, unless a newer one was noted; that locks the machine's row until the commit. @param asOf milliseconds
 * @param latest what was noted after this is of a clock that ran ahead, and no newer than a report from before it
 * @returns what was noted before, where that is newer; null where this one is the newest
 */
export async function noteReport(tx: Tx, id: string, asOf: number, latest: number): Promise<number | null> {
  const done = await tx
    .updateTable('machines')
    .set({ reported_as_of: asOf })
    .where('id', '=', id)
    .where((eb) =>
      eb.or([
        eb('reported_as_of', 'is', null),
        eb('reported_as_of', '<=', asOf),
        ...(asOf <= latest ? [eb('reported_as_of', '>', latest)] : []),
      ]),
    )
    .executeTakeFirst();
  if (done.numUpdatedRows > 0n) return null;
  const row = await tx.selectFrom('machines').select('reported_as_of').where('id', '=', id).executeTakeFirst();
  return row?.reported_as_of ?? null;
}

/** Keeps others from writing what this machine has until the commit. */
async function lockMachine(tx: Tx, id: string): Promise<void> {
  await tx
    .updateTable('machines')
    .set((eb) => ({ last_seen: eb.ref('last_seen') }))
    .where('id', '=', id)
    .execute();
}

/** Deletes a machine with its groups, capabilities, overrides and installations (not its tokens). */
export async function deleteMachine(tx: Tx, id: string): Promise<boolean> {
  await lockMachine(tx, id);
  const had = await tx
    .selectFrom('plugin_installations')
    .select(['name', 'status as state'])
    .where('machine_id', '=', id)
    .execute();
  await moveCounts(tx, countedNames(had), new Set());
  const done = await tx.deleteFrom('machines').where('id', '=', id).executeTakeFirst();
  return done.numDeletedRows > 0n;
}
