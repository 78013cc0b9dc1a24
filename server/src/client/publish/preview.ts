import type { Reply } from '../../contract/endpoints.ts';
import { HaiveError } from '../../domain/errors.ts';
import type { Finding } from '../../domain/findings/index.ts';
import { isUndeclared } from '../../domain/surface/change.ts';
import type { Surface } from '../../domain/surface/index.ts';
import type { Change } from '../../domain/translate/index.ts';
import type { Packed } from '../../domain/version/package.ts';
import { pluginId } from '../../domain/version/record.ts';
import { type ClientContext, hubFor } from '../context.ts';
import type { HubClient } from '../hub/hub-client.ts';
import { isSettled } from '../trust/acceptance.ts';
import { known, revokedLike } from '../trust/revoked-content.ts';
import { type PublishTarget, packFolder } from './index.ts';
import { requireMayPublish } from './may-publish.ts';

export interface PublishPreview {
  id: string;
  name: string;
  version: string;
  digest: string;
  dry_run: true;
  groups: string[];
  /** Names of machines that would get it; null where the hub is older and cannot tell. */
  machines: string[] | null;
  /** Machines that it fits and that should have another version, by that one. */
  instead?: Reply<'publish'>['instead'];
  /** Set when it would wait for an operator. */
  held?: Reply<'publish'>['held'];
  /** True where the hub decides by its bytes whether it waits for an operator. */
  may_be_held?: Reply<'preview'>['may_be_held'];
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
 * @returns no groups where none are named, here or in the manifest: publishing itself would refuse
 * @throws HaiveError as packing, FORBIDDEN, GROUP_NOT_ALLOWED, and those of the hub
 */
export async function previewPublish(ctx: ClientContext, path: string, target: PublishTarget): Promise<PublishPreview> {
  const packed = await packFolder(ctx, path);
  const { name, version, digest } = packed.record;
  const hub = await hubFor(ctx, 'author');
  try {
    await requireMayPublish(hub);
    const reached = await reach(hub, packed, target);
    const newest = await known(hub, name);
    const before = newest === null ? null : difference(newest, packed);
    const revoked = await revokedLike(packed, newest, (id) => known(hub, id));
    return {
      id: pluginId(name, version),
      name,
      version,
      digest,
      dry_run: true,
      ...reached,
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

/** Where it would go, by the hub's own rules. */
async function reach(
  hub: HubClient,
  { manifest, record }: Packed,
  target: PublishTarget,
): Promise<Pick<PublishPreview, 'groups' | 'machines' | 'instead' | 'held' | 'may_be_held'>> {
  const { name, version, digest } = record;
  const body = {
    name,
    version,
    digest,
    machine_groups: manifest.machineGroups,
    required_capabilities: manifest.requiredCapabilities,
    min_haivemind_version: manifest.minHaivemindVersion ?? null,
    dependencies: manifest.dependencies,
    ...(target.groups === undefined ? {} : { target_groups: target.groups }),
    all: target.all === true,
  };
  try {
    return await hub.call('preview', { body });
  } catch (thrown) {
    // What is sent and what translation changes can be shown all the same.
    if (thrown instanceof HaiveError && thrown.code === 'TARGET_REQUIRED' && isUnaimed(target)) {
      return { groups: [], machines: [] };
    }
    // A hub from before this question.
    if (!(thrown instanceof HaiveError) || thrown.code !== 'METHOD_NOT_ALLOWED') throw thrown;
    return { groups: body.all ? ['*'] : (target.groups ?? manifest.machineGroups), machines: null };
  }
}

/** Neither groups nor everybody was named. */
const isUnaimed = ({ groups = [], all }: PublishTarget): boolean => groups.length === 0 && all !== true;

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
