import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { bundleChild } from '../machine/bundle.ts';

const run = promisify(execFile);
const MOUNT = 'mount -t tmpfs -o size=1m tmpfs "$1"';

/** In a name space of its own; null where the system forbids that. */
async function inNamespace(script: string, args: string[]): Promise<string | null> {
  const { stdout } = await run('unshare', ['-rm', 'sh', '-c', script, 'sh', ...args], { maxBuffer: 1 << 24 });
  return stdout;
}

it('every change on a real disk of 1 MB that is full is made whole or not at all', { timeout: 180_000 }, async (t) => {
  const disk = await mkdtemp(join(tmpdir(), 'hv-disk-'));
  const child = await bundleChild(new URL('full-disk-child.ts', import.meta.url).pathname);
  try {
    await inNamespace(MOUNT, [disk]).catch((error: unknown) => {
      console.log(`skipped: no tmpfs can be mounted here: ${String(error)}`);
      t.skip();
    });
    const said = await inNamespace(`${MOUNT} && exec "$2" "$3" "$1"`, [disk, process.execPath, child.file]);
    const found = JSON.parse(said ?? '{}');
    console.log(
      `full disk: ${found.tries} changes, ${found.full} without room, ${found.differed.length} states differed`,
    );
    expect(found.size).toBe(1 << 20);
    expect(found.differed.slice(0, 5)).toEqual([]);
    expect(found.full).toBeGreaterThan(50);
    expect(found.done).toBeGreaterThan(20);
  } finally {
    await child.close();
    await rm(disk, { recursive: true, force: true });
  }
});
