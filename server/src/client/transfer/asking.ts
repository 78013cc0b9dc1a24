import type { HaiveError } from '../../domain/errors.ts';
import type { VersionRecord } from '../../domain/version/record.ts';
import type { Intake } from '../../machine/store/intake.ts';
import type { Keys } from './keys.ts';

export interface Wanted {
  id: string;
  name: string;
  version: string;
  digest: string;
}

export interface Fetched {
  record: VersionRecord;
  /** Who signed it. */
  keyid: string;
}

export interface TransferResult {
  /** By digest: complete on this machine, every byte checked. */
  fetched: Map<string, Fetched>;
  /** By digest: what may not be installed, and why. */
  failed: Map<string, HaiveError>;
  /** Bytes received. */
  bytes: number;
}

export interface TransferOptions {
  hub: { id: string; public_key: string };
  /** Largest plugin that is accepted, bytes. */
  maxBytes: number;
  /** Versions that are installed here. */
  installed: readonly { name: string; digest: string }[];
  /** Calls before a cut connection is given up. */
  attempts: number;
  signal?: AbortSignal | undefined;
  onBytes?: ((received: number) => void) | undefined;
}

/** What a record, or a file of it, is told as a difference from. */
export type Base = Pick<VersionRecord, 'files'>;

export interface Asking {
  result: TransferResult;
  keys: Keys;
  options: TransferOptions;
  /** Whether records and files may come as differences from what is here. */
  differences: boolean;
}

/** What one answer has told so far. */
export interface Answering extends Asking {
  wanted: Map<string, Wanted>;
  /** Bytes of blobs that accepted records name, by sha256. */
  expected: Map<string, number>;
  /** Where the bytes go. */
  intake: Intake;
  /** The record that came last, and the one that it was told as a difference from. */
  newest: { record: VersionRecord; base: Base | null } | null;
  /** A difference did not fit. */
  misfit: boolean;
}
