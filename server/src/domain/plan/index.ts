import type { VersionStatus } from '../desired/registry.ts';
import type { Envelope } from '../signing/dsse.ts';
import type { Dependency } from '../version/manifest.ts';
import type { Lineage } from './lineage.ts';

export const PLAN_FORMAT = 1;
export const PLAN_PAYLOAD_TYPE = 'application/vnd.haivemind.plan+json';

/** Why a version is in a machine's desired state. */
export type Origin = 'published' | 'explicit' | 'dependency';

export interface PlanEntry {
  id: string;
  name: string;
  version: string;
  digest: string;
  origin: Origin;
  /** True when the version is exact for this machine (install NAME@1.2.3, pin): it does not float. */
  pinned: boolean;
  /** False when the publisher asked that people are not told (notify_agents: false). */
  notify: boolean;
  /** Required dependencies only, as in the manifest. */
  dependencies: Dependency[];
  /** Changes when an operator asks for a reinstall (`force`); a machine that has seen it does nothing. */
  force?: string;
  status: VersionStatus;
  /** Names of plugins that require this one. */
  requiredBy: string[];
  /** When it was first published, ISO-8601. */
  publishedAt?: string | undefined;
  /** An operator's signed word on this digest (domain/approval). */
  approval?: Envelope | undefined;
  /** The words of further operators. */
  approvals?: Envelope[] | undefined;
}

/** A version that may run nowhere any more, whatever else the plan says. */
export interface Revoked {
  name: string;
  version: string;
  digest: string;
  reason: string;
}

/** Something the hub would have given this machine but could not. */
export interface PlanProblem {
  name: string;
  code: string;
  message: string;
}

/** Whether a plugin is wanted and did not fit with the others; a machine that has it keeps it. */
export const isUnfit = (problem: Pick<PlanProblem, 'code'>): boolean => problem.code.startsWith('DEPENDENCY_');

/** One machine's desired state, signed by the hub's key: it gives freshness, the publisher's key gives content. */
export interface Plan {
  format: number;
  hub: string;
  machine: string;
  /** Raised by an operator when a hub is restored; a machine never goes back. */
  epoch: number;
  /** The registry's `seq` this plan was computed at. */
  counter: number;
  issuedAt: string;
  expiresAt: string;
  plugins: PlanEntry[];
  problems: PlanProblem[];
  /** What the hub goes by: an operator may have changed them since the machine joined. Absent from an older hub. */
  groups?: readonly string[] | undefined;
  capabilities?: readonly string[] | undefined;
  /** Everything that was ever revoked: a machine may still keep it for rollback. */
  revoked?: Revoked[] | undefined;
  /** Keys whose signatures count for nothing new. */
  revokedKeys?: string[] | undefined;
  /** The operator's signature under `epoch`, where one was given. */
  epochProof?: Envelope | undefined;
  /** The histories that its registry went through; absent where it is one. */
  lineage?: Lineage[] | undefined;
}
