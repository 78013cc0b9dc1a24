import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';

/**
 * Which computer this is, as a short hash, so that a copied HOME is noticed; null where nothing lasting tells.
 * Containers have host names of the day, so on Linux only the machine id counts.
 */
export async function hostIdentity(): Promise<string | null> {
  const id =
    process.platform === 'linux' ? (await readFile('/etc/machine-id', 'utf8').catch(() => '')).trim() : hostname();
  return id === '' ? null : createHash('sha256').update(`haivemind ${id}`).digest('hex').slice(0, 16);
}
