import semver from 'semver';
import type { Reply } from '../contract/endpoints.ts';
import { groupReaches, ineligible } from '../domain/desired-state.ts';
import { HaiveError } from '../domain/errors.ts';
import type { Finding } from '../domain/findings.ts';
import type { Packed } from '../domain/package.ts';
import type { Surface } from '../domain/surface.ts';
import { isUndeclared } from '../domain/surface-change.ts';
import type { Change } from '../domain/translate.ts';
import { pluginId } from '../domain/version-record.ts';
import { isSettled } from './acceptance.ts';
import { type ClientContext, hubFor } from './context.ts';
import type { HubClient } from './hub-client.ts';
import { requireMayPublish } from './may-publish.ts';
import { type PublishTarget, packFolder } from './publish.ts';
import { known, revokedLike } from './revoked-content.ts';

export interface PublishPreview {
  id: string;
  name: string;
  version: string;
  digest: string;
  dry_run: true;
  groups: string[];
  /** Names of machines that would get it; null when the token may not see machines. */
  machines: string[] | null;
  /** Machines that it fits and that should have a newer version, by that one. */
  instead?: Reply<'publish'>['instead'];
  /** The revoked version that it differs from in nothing but its number. */
  revoked_content?: Reply<'publish'>['revoked_content'];
  changes: Change[];
  findings: Finding[];
  /** What it can do on a machine. */
  surface?: Surface;
  /** True when it declares nothing, and its publisher must accept what it does. */
  must_accept: boolean;
  /** Against the newest version in the registry; null when there is none. */
  difference: { against: string; added: string[]; changed: string[]; removed: string[] } | null;
}

/**
 * What publishing would do, without sending anything but questions.
 * @throws HaiveError as packing, FORBIDDEN, TARGET_REQUIRED, GROUP_NOT_ALLOWED, and those of the hub
 */
export async function previewPublish(ctx: ClientContext, path: string, target: PublishTarget): Promise<PublishPreview> {
  const packed = await packFolder(ctx, path);
  const { name, version, digest } = packed.record;
  const groups = targetGroups(packed, target);
  const hub = await hubFor(ctx, 'author');
  try {
    await requireMayPublish(hub);
    const fits = await reached(hub, packed, groups);
    const newest = await known(hub, name);
    const before = newest === null ? null : difference(newest, packed);
    const instead = fits === null || before === null ? [] : await newerOn(hub, packed, new Set(fits));
    const revoked = await revokedLike(packed, newest, (id) => known(hub, id));
    const others = new Set(instead.flatMap((other) => other.machines));
    return {
      id: pluginId(name, version),
      name,
      version,
      digest,
      dry_run: true,
      groups,
      machines: fits?.filter((machine) => !others.has(machine)) ?? null,
      ...(instead.length === 0 ? {} : { instead }),
      ...(revoked === null
        ? {}
        : { revoked_content: { version: revoked.version, reason: revoked.status_reason ?? '' } }),
      changes: packed.changes,
      findings: packed.findings,
      surface: packed.surface,
      must_accept: isUndeclared(packed.manifest.raw, packed.surface) && !(await isSettled(hub, name)),
      difference: before,
    };
  } finally {
    hub.close();
  }
}

function targetGroups(packed: Packed, target: PublishTarget): string[] {
  const allowed = packed.manifest.machineGroups;
  if (target.groups !== undefined && target.groups.length > 0) {
    const outside = allowed.length === 0 ? [] : target.groups.filter((g) => !groupAllowed(allowed, g));
    if (outside.length > 0) {
      throw new HaiveError('GROUP_NOT_ALLOWED', `${outside.join(', ')}: the manifest allows ${allowed.join(', ')}`);
    }
    return target.groups;
  }
  if (target.all === true) return ['*'];
  if (allowed.length === 0) throw new HaiveError('TARGET_REQUIRED', 'Neither --groups nor --all was given');
  return allowed;
}

const groupAllowed = (allowed: readonly string[], group: string): boolean =>
  allowed.includes(group) || allowed.some((pattern) => groupReaches(pattern, [group]));

async function reached(hub: HubClient, packed: Packed, groups: readonly string[]): Promise<string[] | null> {
  const { manifest, record } = packed;
  const version = {
    id: pluginId(record.name, record.version),
    name: record.name,
    version: record.version,
    digest: record.digest,
    status: 'published' as const,
    targets: groups.map((group) => ({ group, notify: true })),
    machineGroups: manifest.machineGroups,
    requiredCapabilities: manifest.requiredCapabilities,
    minHaivemindVersion: manifest.minHaivemindVersion ?? null,
    dependencies: manifest.dependencies,
  };
  const names: string[] = [];
  try {
    for (let after: string | undefined; ; ) {
      const page = await hub.call('machines', { query: { limit: 1000, ...(after === undefined ? {} : { after }) } });
      for (const machine of page.machines) {
        const facts = { ...machine, haivemindVersion: machine.haivemind_version };
        const targeted = groups.some((group) => groupReaches(group, machine.groups));
        if (targeted && ineligible(version, facts) === null) names.push(machine.name);
      }
      if (page.next === null) return names.sort();
      after = page.next;
    }
  } catch (thrown) {
    if (thrown instanceof HaiveError && thrown.code === 'FORBIDDEN') return null;
    throw thrown;
  }
}

/** Which of the machines should have a newer version than this one. */
async function newerOn(
  hub: HubClient,
  { record }: Packed,
  machines: ReadonlySet<string>,
): Promise<NonNullable<PublishPreview['instead']>> {
  const { name, version } = record;
  const by = new Map<string, string[]>();
  for (let after: string | undefined; ; ) {
    const query = { plugin: name, limit: 1000, ...(after === undefined ? {} : { after }) };
    const page = await hub.call('fleet', { query });
    for (const { name: machine, plugins } of page.machines) {
      const desired = plugins.find((p) => p.name === name)?.desired;
      if (desired == null || !machines.has(machine) || !semver.gt(desired, version)) continue;
      by.set(desired, [...(by.get(desired) ?? []), machine]);
    }
    if (page.next === null) break;
    after = page.next;
  }
  return [...by].map(([newer, names]) => ({ version: newer, machines: names }));
}

function difference(before: Reply<'info'>, packed: Packed): NonNullable<PublishPreview['difference']> {
  const old = new Map(before.files.map((f) => [f.path, f]));
  const now = new Map(packed.record.files.map((f) => [f.path, f]));
  const differs = (path: string): boolean => {
    const [a, b] = [old.get(path), now.get(path)];
    return a !== undefined && b !== undefined && (a.sha256 !== b.sha256 || a.executable !== b.executable);
  };
  return {
    against: before.version,
    added: [...now.keys()].filter((path) => !old.has(path)),
    changed: [...now.keys()].filter(differs),
    removed: [...old.keys()].filter((path) => !now.has(path)),
  };
}
