import type { Machine } from '../machine.ts';
import { checkBytes, putBlob } from './blob-store.ts';
import { putPack } from './packs.ts';

/** Bytes that wait to be written together at most, and blobs from which on they share a file. */
const MOST_WAITING = 8 * 1024 * 1024;
const PACKED_FROM = 8;

/** Blobs as they arrive: each is checked at once, and all that came are written together. */
export interface Intake {
  /** @throws HaiveError HASH_MISMATCH when the bytes are others, DISK_FULL, READ_ONLY, IO_ERROR */
  put(sha256: string, bytes: Uint8Array): Promise<void>;
  /** Writes what waits. @throws HaiveError DISK_FULL, READ_ONLY, IO_ERROR */
  settle(): Promise<void>;
}

/** Readers of `m.fresh` have what came before it is written. */
export function openIntake(m: Machine): Intake {
  let waiting = new Map<string, Uint8Array>();
  let bytesWaiting = 0;
  async function settle(): Promise<void> {
    const blobs = waiting;
    [waiting, bytesWaiting] = [new Map(), 0];
    if (blobs.size >= PACKED_FROM) await putPack(m, blobs);
    else for (const [sha256, bytes] of blobs) await putBlob(m, sha256, bytes);
  }
  return {
    async put(sha256, bytes) {
      checkBytes(sha256, bytes);
      if (waiting.has(sha256)) return;
      waiting.set(sha256, bytes);
      m.fresh?.add(sha256, bytes);
      bytesWaiting += bytes.length;
      if (bytesWaiting > MOST_WAITING) await settle();
    },
    settle,
  };
}

/** Bytes that were checked a moment ago, so that what comes next need not read and check them again. */
export interface Fresh {
  add(sha256: string, bytes: Uint8Array): void;
  get(sha256: string): Buffer | undefined;
}

/** @param most bytes that it holds; what comes beyond is read from the disk */
export function createFresh(most = 32 * 1024 * 1024): Fresh {
  const blobs = new Map<string, Buffer>();
  let left = most;
  return {
    add(sha256, bytes) {
      if (bytes.length > left || blobs.has(sha256)) return;
      left -= bytes.length;
      blobs.set(sha256, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    },
    get: (sha256) => blobs.get(sha256),
  };
}
