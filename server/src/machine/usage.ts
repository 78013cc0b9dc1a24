import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import * as z from 'zod';
import { UseCount } from '../contract/usage-endpoints.ts';
import { errnoOf } from '../domain/errors.ts';
import { isJsonObject } from '../domain/json/read.ts';
import { type Counted, type Use, useKey } from '../domain/use.ts';
import { writeAtomic } from './files/atomic-file.ts';
import { listDir, makeDirs, readFileOrNull, removeFile } from './files/file-port.ts';
import { makeDir } from './files/make-dirs.ts';
import type { Machine } from './machine.ts';
import { livenessOf, ownIdentity } from './processes/process-identity.ts';
import { jsonOf } from './receipts/index.ts';

/**
 * What was used on this machine. Each counting process has a file of its own, which nobody else writes and which holds all it
 * ever counted: sending it again, in whatever state a crash left things, tells the hub nothing twice. Each file says as whose member
 * it was counted: another hub is told nothing of it. One of an earlier program says nothing, and is of whom was told last.
 */

const FORMAT = 1;
/** Rows of one process; what is used beyond that is not counted. */
const MAX_ROWS = 500;
/** Files of sessions that could not be told for so long are let go: the hub would not take them either. */
const MAX_AGE_MS = 25 * 24 * 3600_000;
const TOLD = 'told.json';

/** What the hub would not take, for one odd row of which it refuses the whole report, never goes. */
const Row = UseCount.omit({ session: true });
const File = z.object({
  format: z.literal(FORMAT),
  member: z.string().optional(),
  session: UseCount.shape.session,
  process: z.object({ pid: z.number(), start: z.string(), host: z.string(), place: z.string() }),
  counts: z.array(z.unknown()).max(MAX_ROWS),
});
const Told = z.object({
  format: z.literal(FORMAT),
  member: z.string().optional(),
  at: z.string().nullable(),
  /** By session: how many uses of it the hub has taken. */
  sessions: z.record(z.string(), z.number().int()),
  /** The last report that the hub took, as it was sent. */
  last: z.array(UseCount),
  /** How many rows of it the hub did not count. */
  ignored: z.number().int().default(0),
  /** Why the hub refused a report after that one. */
  refused: z.string().nullable().default(null),
});
type Told = z.output<typeof Told>;

export interface SessionUsage {
  session: string;
  counts: Counted[];
}

/** Counts in this process; one for each machine folder and membership. */
export class UsageCounter {
  readonly #machine: Machine;
  readonly #member: string;
  readonly #session = randomBytes(9).toString('base64url');
  readonly #rows = new Map<string, Counted>();
  #writing: Promise<void> = Promise.resolve();

  /** @param member of which hub this machine is which member, in one word */
  constructor(machine: Machine, member: string) {
    this.#machine = machine;
    this.#member = member;
  }

  /** Resolves when the use is on the disk, or this machine has left meanwhile. @throws HaiveError DISK_FULL, READ_ONLY, IO_ERROR */
  add(use: Use): Promise<void> {
    const day = this.#machine.clock().toISOString().slice(0, 10);
    const { plugin, version, kind, component } = use;
    const key = useKey({ ...use, day });
    const known = this.#rows.get(key);
    if (known !== undefined) known.count++;
    else if (this.#rows.size < MAX_ROWS) this.#rows.set(key, { plugin, version, kind, component, day, count: 1 });
    const write = () => this.#write();
    this.#writing = this.#writing.then(write, write);
    return this.#writing;
  }

  async #write(): Promise<void> {
    const { port, paths } = this.#machine;
    const file = {
      format: FORMAT,
      member: this.#member,
      session: this.#session,
      process: await ownIdentity(),
      counts: [...this.#rows.values()],
    };
    const path = join(paths.usage, `session-${this.#session}.json`);
    try {
      await makeDir(port, paths.usage);
      await writeAtomic(port, path, JSON.stringify(file), { mode: 0o600 });
    } catch (error) {
      // Our folder is gone, and nothing is counted for whom this machine has left.
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }
}

/** What was counted here as this member and the hub was not told yet, and what it was told last. */
export async function readUsage(
  m: Machine,
  member: string,
): Promise<{ waiting: SessionUsage[]; told: Pick<Told, 'at' | 'last' | 'ignored' | 'refused'> }> {
  const { told, files } = await readAll(m, member);
  const waiting = files
    .filter((file) => file.member === member && total(file.usage.counts) > (told.sessions[file.usage.session] ?? 0))
    .map((file) => file.usage);
  return { waiting, told };
}

/** What the hub said of a report: how many of its rows it did not count, or why it refused all of it. */
export type UsageAnswer = { ignored: number } | { refused: string };

/**
 * Notes what the hub has taken, and lets go of sessions that are over, or counted for another, and of files that hold no
 * counts. The lock must be held.
 */
export async function usageTold(
  m: Machine,
  member: string,
  sent: readonly SessionUsage[],
  answer: UsageAnswer,
): Promise<void> {
  const { told, files, unreadable } = await readAll(m, member);
  const next = { ...told, ...('refused' in answer ? answer : taken(told, sent, answer.ignored, m.clock())) };
  const kept = new Set(files.map((f) => f.usage.session));
  next.sessions = Object.fromEntries(Object.entries(next.sessions).filter(([session]) => kept.has(session)));
  await makeDirs(m.port, m.paths.usage);
  await writeAtomic(m.port, join(m.paths.usage, TOLD), JSON.stringify(next), { mode: 0o600 });
  const old = new Date(m.clock().getTime() - MAX_AGE_MS).toISOString().slice(0, 10);
  for (const { path, usage, process, member: counter } of files) {
    const done = counter !== member || total(usage.counts) <= (next.sessions[usage.session] ?? 0);
    const forgotten = usage.counts.every((c) => c.day < old);
    if ((done || forgotten) && (await livenessOf(process)) === 'dead') await removeFile(m.port, path);
  }
  // A process that still counts writes its own whole again.
  for (const path of unreadable) await removeFile(m.port, path);
}

function taken(told: Told, sent: readonly SessionUsage[], ignored: number, now: Date): Told {
  const sessions = { ...told.sessions };
  for (const { session, counts } of sent) sessions[session] = total(counts);
  const last = sent.flatMap(({ session, counts }) => counts.map((count) => ({ session, ...count })));
  return { ...told, at: now.toISOString(), sessions, last, ignored, refused: null };
}

const total = (counts: readonly Counted[]): number => counts.reduce((sum, c) => sum + c.count, 0);

/** All that lies here, each with whose member it is of. */
async function readAll(m: Machine, member: string) {
  const kept = Told.safeParse(await readJson(join(m.paths.usage, TOLD))).data;
  const before = kept?.member ?? member;
  const none: Told = { format: FORMAT, at: null, sessions: {}, last: [], ignored: 0, refused: null };
  const told: Told = { ...(before === member ? (kept ?? none) : none), member };
  return { told, ...(await readFiles(m, before)) };
}

/** @param before of whom those are that name no member */
async function readFiles(m: Machine, before: string) {
  const files: (Pick<z.output<typeof File>, 'member' | 'process'> & { path: string; usage: SessionUsage })[] = [];
  const unreadable: string[] = [];
  for (const { name } of await listDir(m.paths.usage)) {
    if (!/^session-[A-Za-z0-9_-]+\.json$/.test(name)) continue;
    const path = join(m.paths.usage, name);
    const value = await readJson(path);
    const parsed = File.safeParse(value).data;
    if (parsed === undefined) {
      if (!isNewer(value)) unreadable.push(path);
      continue;
    }
    const { session, member = before, process } = parsed;
    const counts = parsed.counts.flatMap((row) => Row.safeParse(row).data ?? []);
    files.push({ path, usage: { session, counts }, member, process });
  }
  return { files, unreadable };
}

/** Of a program that knows more: it tells the hub itself. */
const isNewer = (value: unknown): boolean => isJsonObject(value) && Number(value.format) > FORMAT;

/** Undefined for what is not there or no JSON: counts are no reason to stop anything. */
async function readJson(path: string): Promise<unknown> {
  const bytes = await readFileOrNull(path);
  return bytes === null ? undefined : jsonOf(bytes);
}
