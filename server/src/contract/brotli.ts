import { promisify } from 'node:util';
import { brotliDecompress, brotliDecompressSync } from 'node:zlib';

const inThread = promisify(brotliDecompress);

/** Up to this many bytes unpacking takes less time than a thread of the pool needs to hear of it. */
const AT_ONCE = 64 * 1024;
/** Bytes that come out at a time: each piece costs a trip through the thread pool. */
const PIECE = 1024 * 1024;

/**
 * Unpacks what brotli packed.
 * @param size bytes that come out at most
 * @throws errors of zlib, where more would come out or it is nothing that brotli made
 */
export async function unbrotli(bytes: Uint8Array, size: number): Promise<Buffer> {
  const most = Math.max(size, 1);
  const options = { maxOutputLength: most, chunkSize: Math.min(Math.max(most, 1024), PIECE) };
  return size <= AT_ONCE ? brotliDecompressSync(bytes, options) : inThread(bytes, options);
}
