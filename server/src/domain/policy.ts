import semver from 'semver';
import type { Approval } from './approval.ts';
import type { ErrorCode } from './errors.ts';
import { CORE, nameMatches } from './names.ts';
import { beyond, compareSurfaces, covers, isWider, type Permissions, surfaceText } from './surface/change.ts';
import { NO_SURFACE, SURFACE_KEYS, type Surface } from './surface/index.ts';

/** What a machine allows, whatever its hub says. Where several policies hold, each of them must agree. */
export interface Policy {
  /** `published`: signed by a publisher · `imported`: packed by the hub. Absent: both. */
  sources?: ('published' | 'imported')[] | undefined;
  /** Key ids that may sign. Absent: every key that is pinned. */
  publishers?: string[] | undefined;
  /** Names, `*` as wildcard; what is denied is denied also where it is allowed. */
  plugins?: { allow?: string[] | undefined; deny?: string[] | undefined } | undefined;
  /** Patterns that no plugin may have; `["*"]` forbids all of a kind. */
  forbid?: Permissions | undefined;
  /** Everything a plugin does must be covered by these patterns; a missing kind allows nothing. */
  max_surface?: Permissions | undefined;
  /** Hours since a version was published. */
  min_age_hours?: number | undefined;
  /** The same for machines in groups (patterns); the longest counts. */
  min_age_groups?: Record<string, number> | undefined;
  /** When a person is asked first. */
  confirm?: 'never' | 'new' | 'wider' | 'always' | undefined;
  /** When an operator's signature is demanded, so that no hub can let something pass. */
  signed_approval?: 'never' | 'wider' | 'always' | undefined;
  /** How many different operators' keys must have signed then; 1 where nothing is said. */
  signed_approvals?: number | undefined;
  /** `signed`: a version lower than the newest that this machine has let in comes only with the signature of an operator. */
  downgrade?: 'allow' | 'signed' | undefined;
  /** `refuse`: no plugin that runs programs · `confine`: hooks and servers are started through a launcher that confines them. */
  sandbox?: 'off' | 'refuse' | 'confine' | undefined;
  /** What becomes of plugins whose programs cannot be confined here; `refuse` where nothing is said. */
  sandbox_fallback?: 'refuse' | 'warn' | undefined;
}

export interface VersionFacts {
  name: string;
  version: string;
  /** Who signed it. */
  keyid: string;
  imported: boolean;
  surface: Surface;
  /** Why hooks or servers of it would run unconfined here; null when there are none, or the launcher confines them. */
  unconfined: string | null;
}

export interface AdmissionFacts extends VersionFacts {
  /** What the installed version can do; undefined when there is none. */
  before: Surface | undefined;
  publishedAt: string | undefined;
  groups: readonly string[];
  now: Date;
  /** Already checked: signed by an operator for these bytes. */
  approval: Approval | undefined;
  /** How many keys of operators that this machine knows signed so. */
  signers: number;
  /** The newest version that was let in here; undefined where nobody keeps count. */
  newest: string | undefined;
  /** A person said yes to this plugin just now. */
  confirmed: boolean;
}

export interface Refusal {
  code: Extract<ErrorCode, 'POLICY_REFUSED' | 'APPROVAL_REQUIRED' | 'CONFIRMATION_REQUIRED'>;
  message: string;
}

/** Why a version may not be on this machine at all, installed or not; null when it may. */
export function forbidden(policy: Policy, facts: VersionFacts): string | null {
  const { name, keyid, imported, surface } = facts;
  const { allow, deny } = policy.plugins ?? {};
  if (deny?.some((pattern) => nameMatches(pattern, name))) return `the policy denies ${name}`;
  if (allow !== undefined && name !== CORE && !allow.some((pattern) => nameMatches(pattern, name))) {
    return `the policy allows only ${allow.join(', ')}`;
  }
  const source = imported ? 'imported' : 'published';
  if (policy.sources !== undefined && !policy.sources.includes(source)) return `the policy takes no ${source} plugins`;
  if (policy.publishers !== undefined && !policy.publishers.includes(keyid)) {
    return `it is signed by ${keyid}, which the policy does not list`;
  }
  // a policy on hooks and servers would make the machine deaf
  if (name === CORE) return null;
  const runs = surface.commands.length > 0 || surface.mcp_servers.length > 0;
  if (policy.sandbox === 'refuse' && runs) {
    return "it runs programs, and the policy's sandbox refuses those";
  }
  if (policy.sandbox === 'confine' && policy.sandbox_fallback !== 'warn' && facts.unconfined !== null) {
    return `its programs cannot be confined here: ${facts.unconfined}`;
  }
  const bad: Partial<Surface> = {};
  for (const key of SURFACE_KEYS) {
    const hits = surface[key].filter((item) => policy.forbid?.[key]?.some((pattern) => covers(pattern, item)));
    if (hits.length > 0) bad[key] = hits;
  }
  if (isWider(bad)) return `the policy forbids ${surfaceText(bad)}`;
  const over = policy.max_surface === undefined ? {} : beyond(surface, policy.max_surface);
  return isWider(over) ? `it goes beyond the policy's max_surface: ${surfaceText(over)}` : null;
}

/** Why a version may not be installed now; null when it may. */
export function refusal(policy: Policy, facts: AdmissionFacts): Refusal | null {
  const what = `${facts.name}@${facts.version}`;
  const why = forbidden(policy, facts);
  if (why !== null) return { code: 'POLICY_REFUSED', message: `${what}: ${why}` };
  if (facts.name === CORE) return null;
  const young = tooYoung(policy, facts);
  if (young !== null) return { code: 'POLICY_REFUSED', message: `${what}: ${young}` };
  if (policy.downgrade === 'signed' && isOlder(facts) && facts.signers === 0) {
    const why = `it is older than ${facts.newest}, which was here, and no operator that this machine knows signed it`;
    return { code: 'POLICY_REFUSED', message: `${what}: ${why}` };
  }
  const added = compareSurfaces(facts.before ?? NO_SURFACE, facts.surface).added;
  const wider = isWider(added);
  const asks = (when: 'never' | 'new' | 'wider' | 'always' | undefined): boolean =>
    when === 'always' || (when === 'new' && facts.before === undefined) || (when === 'wider' && wider);
  const does = wider ? `; it adds ${surfaceText(added)}` : '';
  const keys = policy.signed_approvals ?? 1;
  if (asks(policy.signed_approval) && facts.signers < keys) {
    const lacks =
      facts.signers === 0
        ? "carries no operator's signature that this machine knows"
        : `is signed by ${facts.signers} of the ${keys} operators that the policy demands`;
    return { code: 'APPROVAL_REQUIRED', message: `${what} ${lacks}${does}` };
  }
  if (asks(policy.confirm) && !facts.confirmed) {
    return { code: 'CONFIRMATION_REQUIRED', message: `${what} waits for your yes${does}` };
  }
  return null;
}

function tooYoung(policy: Policy, facts: AdmissionFacts): string | null {
  const byGroup = Object.entries(policy.min_age_groups ?? {}).filter(([pattern]) =>
    facts.groups.some((group) => nameMatches(pattern, group)),
  );
  const hours = Math.max(policy.min_age_hours ?? 0, ...byGroup.map(([, age]) => age));
  if (hours === 0 || facts.approval?.urgent === true) return null;
  const since = Date.parse(facts.publishedAt ?? '');
  const age = (facts.now.getTime() - since) / 3600_000;
  if (age >= hours) return null;
  return Number.isNaN(age)
    ? `nobody says when it was published, and the policy wants ${hours} hours`
    : `it was published ${age.toFixed(1)} hours ago, and the policy wants ${hours}`;
}

const isOlder = ({ version, newest }: Pick<AdmissionFacts, 'version' | 'newest'>): boolean =>
  newest !== undefined && semver.lt(version, newest);
