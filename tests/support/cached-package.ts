import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/**
 * The folder of a package that is too heavy for everybody's `npm ci`, installed on first use and kept for the next run; or
 * why it cannot be had here.
 */
export async function cachedPackage(
  name: string,
  version: string,
  called = name,
): Promise<{ path: string } | { missing: string }> {
  const cache = process.env.HAIVEMIND_TEST_CACHE ?? join(homedir(), '.cache', 'haivemind-tests');
  const folder = join(cache, `${called}-${version}`);
  const path = join(folder, 'node_modules', name);
  if (!existsSync(path)) {
    await mkdir(folder, { recursive: true });
    const args = ['install', '--prefix', folder, '--no-audit', '--no-fund', `${name}@${version}`];
    try {
      await promisify(execFile)('npm', args, { timeout: 170_000 });
    } catch (err) {
      return { missing: `npm cannot install ${name}@${version}: ${String(err).split('\n')[0]}` };
    }
  }
  return { path };
}
