import type { Locked } from '../../domain/desired/lockfile.ts';
import type { Change } from '../../machine/change/transaction.ts';
import type { Receipts } from '../../machine/receipts/index.ts';
import type { HubClient } from '../hub/hub-client.ts';

/** `session`: at a session's start, bounded · `agent`: by itself, in the background · `explicit`: a person asked for it. */
export type SyncMode = 'session' | 'explicit' | 'agent';

export interface SyncProgress {
  step: 'plan' | 'fetch' | 'apply' | 'report';
  /** Plugins this is about. */
  names?: string[];
  /** The version that comes, by plugin. */
  versions?: Record<string, string>;
  /** Bytes received so far, while fetching. */
  bytes?: number;
}

export interface SyncOptions {
  mode: SyncMode;
  /** Only says what would change. */
  dryRun?: boolean;
  /** Reinstalls what is in step too, over the user's edits (kept in a backup), and tries refused versions again. */
  force?: boolean;
  /** Only these plugins, and what they need. */
  only?: string[];
  /** Installed and updated whatever the policy says. */
  always?: string[];
  /** Follow the policy of the configuration though the mode is explicit (at join). */
  byPolicy?: boolean;
  /** What is to be here in the end, all of it and nothing else; nothing changes where this machine does not take all of it. */
  whole?: readonly Locked[];
  /** Names of plugins that a person looked at and said yes to. */
  confirmed?: readonly string[];
  /** What is told to the hub first. */
  order?: Order;
  reason?: Change['reason'];
  /** Updates replace the user's edits (kept in a backup). */
  discardEdits?: boolean;
  /** What was here when a person asked (absent: as the sync begins). What another process updated since is held to `discardEdits` and `force` too. */
  since?: Receipts | undefined;
  /** Of what is removed, these keep no edits as an overlay. */
  purge?: string[];
  onProgress?: (progress: SyncProgress) => void;
  signal?: AbortSignal | undefined;
  /** Stands before the hub: what a parcel brought is taken from there. */
  through?: ((hub: HubClient) => HubClient) | undefined;
}

/** The machine's lock is held in both: no other process carries out what this one may not come to. */
export interface Order {
  /** Once the hub's plan is one that is followed here; the plan that comes of it is asked for after. */
  give(hub: HubClient): Promise<void>;
  /** After a failure. @throws what is to be thrown in place of it */
  takeBack(hub: HubClient, failure: unknown): Promise<void>;
}

/** How patient a sync is, milliseconds. */
export interface Patience {
  lock: number;
  /** Without a sign of life in one call. */
  call: number;
  /** In all, and more by what a transfer brings. */
  all: number;
  /** A transfer of so many bytes a second has all the time it needs. */
  bytesPerSecond: number;
  attempts: number;
}

const SLOW_LINE = 32 * 1024;

export const PATIENCE: Record<SyncMode, Patience> = {
  // Somebody waits for the session to start: the background goes on.
  session: { lock: 500, call: 2_000, all: 6_000, bytesPerSecond: Number.POSITIVE_INFINITY, attempts: 1 },
  agent: { lock: 10_000, call: 30_000, all: 600_000, bytesPerSecond: SLOW_LINE, attempts: 4 },
  explicit: { lock: 30_000, call: 30_000, all: 1_800_000, bytesPerSecond: SLOW_LINE, attempts: 4 },
};
