import { formatError, HaiveError } from '../domain/errors.ts';
import { isUnfit, type Plan } from '../domain/plan/index.ts';
import { missingServers, missingServerText } from '../machine/claude/mcp-servers.ts';
import { inspect } from '../machine/drift.ts';
import type { Machine } from '../machine/machine.ts';
import { type Layout, type Receipts, readReceipts } from '../machine/receipts/index.ts';
import { type ClientContext, hubFor } from './context.ts';
import { hubIsAway } from './hub/hub-client.ts';
import { notInstalled } from './install/not-installed.ts';
import { howToRejoin } from './join/rejoin.ts';
import { lastRefusals } from './local-audit.ts';
import { switchedOff } from './switched-off.ts';
import { isSwitch, whyNotSwitched } from './sync/layout-wish.ts';
import { fetchPlan, followedPlan, inForce, isPinned, whyExpired } from './sync/plan.ts';

/** `shown`: not installed, but shown by `hv dev`. */
export type StatusState =
  | 'verified'
  | 'loaded'
  | 'failed'
  | 'disabled'
  | 'edited'
  | 'missing'
  | 'damaged'
  | 'waiting'
  | 'shown';

export interface StatusRow {
  name: string;
  /** Installed version, or the one that waits when nothing is installed. */
  version: string;
  digest: string;
  state: StatusState;
  /** The hub's version where it is another one. */
  available: string | null;
  /** Made by a rollback here. */
  held: boolean;
  /** `hv install NAME@VERSION` asked for exactly this version: no update moves it until `hv install NAME`. */
  pinned: boolean;
  origin: string;
  /** The folder that `hv dev` shows in its place. */
  shown_from: string | null;
  /** Files that differ from what was installed, and that are gone. */
  edited: string[];
  missing: string[];
  /** Files that were executable and are not any more. */
  unexecutable: string[];
  /** Files that this machine's overlay put there. */
  overlaid: string[];
  /** Files where an update met an edit and both were kept, each with the commands that settle it. */
  conflicts: { path: string; take_published: string; keep_mine: string }[];
  /** Earlier versions that `hv rollback` can go back to at once. */
  previous: string[];
  /** What the hub says of it (deprecated, yanked, gone from the plan), or why this machine refused the version that is available. */
  notice: string | null;
  error: { code: string; message: string } | null;
}

export interface StatusResult {
  machine: { id: string; name: string; groups: string[]; capabilities: string[] } | null;
  /** With `reachable` an error is what the hub, or what it sent, refuses this machine for; what is to be done is in it. */
  hub: { url: string; reachable: boolean; error: string | null } | null;
  /** How plugins lie here, or would. */
  layout: Layout;
  /** How the configuration wants them to lie; where that is refused, `problems` says why. */
  layout_wanted: Layout;
  in_step: boolean;
  plugins: StatusRow[];
  /** `name` is a plugin, or the key of the configuration that cannot be followed. */
  problems: { name: string; code: string; message: string; hint?: string }[];
  /** Digests that failed here and are not tried again by themselves. */
  refused: { digest: string; reason: string }[];
}

/**
 * What this machine has, against what its hub wants of it. Without the hub the last known plan serves.
 * @param name only this plugin
 * @throws HaiveError NOT_INSTALLED when a name is given that is neither here nor planned, SETTINGS_INVALID, IO_ERROR
 */
export async function machineStatus(ctx: ClientContext, name?: string): Promise<StatusResult> {
  const { config, machine } = ctx;
  const { plan, hub } = await knownPlan(ctx);
  const receipts = await readReceipts(machine);
  const rows = await rowsOf(machine, plan, receipts);
  if (name !== undefined && !rows.some((row) => row.name === name)) {
    throw notInstalled(name, receipts, ', and the hub does not plan it');
  }
  const lacks = [...(await missingServers(machine))].map(([plugin, servers]) => ({
    name: plugin,
    code: 'MCP_SERVER_MISSING' as const,
    message: missingServerText(plugin, servers),
  }));
  const { layout } = config.plugins;
  const switching = isSwitch(receipts, layout);
  const refusal = await whyNotSwitched(ctx, receipts);
  // What a hub that refuses this machine wants of it is not known.
  const isRefused = hub?.reachable === true && hub.error !== null;
  return {
    machine: config.machine === undefined ? null : { ...config.machine, ...inForce(config, plan) },
    hub,
    layout: switching ? receipts.layout : layout,
    layout_wanted: layout,
    in_step: plan !== null && !switching && !isRefused && isFollowed(plan, rows),
    plugins: name === undefined ? rows : rows.filter((row) => row.name === name),
    problems: [
      ...(refusal === null ? [] : [refusal]),
      ...[...(plan?.problems ?? []), ...lacks].filter((p) => name === undefined || p.name === name),
    ],
    refused: Object.entries(receipts.refused).map(([digest, r]) => ({ digest, reason: r.reason })),
  };
}

/** Whether just what the plan names is here, and sound. */
function isFollowed(plan: Plan, rows: readonly StatusRow[]): boolean {
  const planned = new Set(plan.plugins.map((entry) => entry.name));
  return (
    !plan.problems.some(isUnfit) &&
    !rows.some((row) => ['failed', 'missing', 'damaged', 'waiting'].includes(row.state)) &&
    rows.every((row) => row.state === 'shown' || (row.available === null && planned.has(row.name)))
  );
}

/** A row for each plugin that is installed, planned or shown here, by name. */
async function rowsOf(m: Machine, plan: Plan | null, receipts: Receipts): Promise<StatusRow[]> {
  const disk = new Map((await inspect(m)).map((p) => [p.name, p]));
  const planned = new Map((plan?.plugins ?? []).map((entry) => [entry.name, entry]));
  const behind = [...planned.values()].some((entry) => receipts.plugins[entry.name]?.digest !== entry.digest);
  const refusals = behind ? await lastRefusals(m) : new Map<string, string>();
  const off = [...disk.values()].some((p) => p.state === 'disabled') ? await switchedOff(m) : new Map<string, string>();
  const refusalOf = (digest: string): string | null => receipts.refused[digest]?.reason ?? refusals.get(digest) ?? null;
  const rows: StatusRow[] = [];
  for (const receipt of Object.values(receipts.plugins)) {
    const entry = planned.get(receipt.name);
    const here = disk.get(receipt.name);
    const same = entry === undefined || entry.digest === receipt.digest;
    rows.push({
      name: receipt.name,
      version: receipt.version,
      digest: receipt.digest,
      state: receipt.error !== undefined ? 'failed' : stateOf(here?.state, receipt.state),
      available: same ? null : entry.version,
      held: receipts.holds[receipt.name] !== undefined,
      pinned: entry !== undefined && isPinned(entry) && receipts.holds[receipt.name] === undefined,
      origin: entry?.origin ?? receipt.origin,
      shown_from: receipts.dev?.[receipt.name]?.from ?? null,
      edited: here?.edited ?? [],
      missing: here?.missing ?? [],
      unexecutable: here?.unexecutable ?? [],
      overlaid: here?.overlaid ?? [],
      conflicts: (here?.conflicts ?? []).map((path) => conflictOf(receipt.name, path)),
      previous: receipt.previous.map((p) => p.version),
      notice:
        noticeOf(plan, receipts, receipt.name) ?? (same ? (off.get(receipt.name) ?? null) : refusalOf(entry.digest)),
      error: receipt.error ?? null,
    });
  }
  for (const entry of planned.values()) {
    if (receipts.plugins[entry.name] !== undefined) continue;
    const { name, version, digest, origin } = entry;
    const notice = refusalOf(digest);
    const shown_from = receipts.dev?.[name]?.from ?? null;
    rows.push({ ...NOT_HERE, name, version, digest, state: 'waiting', available: version, origin, shown_from, notice });
  }
  for (const [name, { version, from }] of Object.entries(receipts.dev ?? {})) {
    if (receipts.plugins[name] !== undefined || planned.has(name)) continue;
    rows.push({ ...NOT_HERE, name, version, digest: '', state: 'shown', origin: 'dev', shown_from: from });
  }
  return rows.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What a row says of a plugin that is not installed. */
const NOT_HERE = {
  available: null,
  held: false,
  pinned: false,
  edited: [],
  missing: [],
  unexecutable: [],
  overlaid: [],
  conflicts: [],
  previous: [],
  notice: null,
  error: null,
};

function conflictOf(name: string, path: string): StatusRow['conflicts'][number] {
  const file = /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
  return { path, take_published: `hv repair ${name} ${file}`, keep_mine: `hv repair ${name} ${file} --keep` };
}

function stateOf(disk: string | undefined, receipt: 'verified' | 'loaded' | 'failed'): StatusState {
  if (disk === undefined) return 'missing';
  return disk === 'verified' ? receipt : (disk as StatusState);
}

function noticeOf(plan: Plan | null, { plugins }: Receipts, name: string): string | null {
  if (plan === null) return null;
  const entry = plan.plugins.find((p) => p.name === name);
  if (entry === undefined) {
    const problem = plan.problems.find((p) => p.name === name);
    if (problem !== undefined) return problem.message;
    // What stays for want of a dependency keeps the others that it has.
    const keepers = plan.problems.filter(
      (p) => isUnfit(p) && plugins[p.name]?.dependencies.some((d) => d.name === name && d.kind === 'required'),
    );
    const then = keepers.length === 0 ? '`hv sync` removes it' : `${keepers.map((p) => p.name).join(', ')} needs it`;
    return `the hub no longer plans it here; ${then}`;
  }
  return entry.status === 'published' || entry.status === 'registered' ? null : entry.status;
}

async function knownPlan(ctx: ClientContext): Promise<{ plan: Plan | null; hub: StatusResult['hub'] }> {
  const url = ctx.env.hubUrl ?? ctx.config.hub_url;
  if (url === undefined || ctx.config.token === undefined) return { plan: null, hub: null };
  const hub = await hubFor(ctx, 'machine', 3_000);
  try {
    let answer = await fetchPlan(ctx, hub);
    if (answer.notModified && whyExpired(ctx, answer.plan) !== null)
      answer = await fetchPlan(ctx, hub, { fresh: true });
    return { plan: answer.plan, hub: { url, reachable: true, error: whyExpired(ctx, answer.plan) } };
  } catch (thrown) {
    if (!(thrown instanceof HaiveError)) throw thrown;
    const cached = await followedPlan(ctx);
    const { code, message } = thrown;
    const hint = code === 'TOKEN_INVALID' ? howToRejoin(ctx) : thrown.hint;
    const error = formatError({ code, message, hint });
    return { plan: cached?.plan ?? null, hub: { url, reachable: !hubIsAway(thrown), error } };
  } finally {
    hub.close();
  }
}
