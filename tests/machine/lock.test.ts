import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { withLock } from '../../server/src/machine/processes/lock.ts';
import { ownIdentity } from '../../server/src/machine/processes/process-identity.ts';
import { bundleChild } from './bundle.ts';
import { makeRig, type Rig } from './rig.ts';

let rig: Rig;
let child: Awaited<ReturnType<typeof bundleChild>>;

beforeAll(async () => {
  child = await bundleChild(new URL('lock-child.ts', import.meta.url).pathname);
});
afterAll(() => child.close());
beforeEach(async () => {
  rig = await makeRig();
});
afterEach(() => rig.close());

/** A claim as another process would have made it. */
async function claim(claim: object, ageMs = 0): Promise<void> {
  await mkdir(rig.machine.paths.lock, { recursive: true });
  const numbers = (await readdir(rig.machine.paths.lock)).map((name) => Number.parseInt(name, 10));
  const path = join(rig.machine.paths.lock, String(Math.max(6, ...numbers) + 1));
  await writeFile(path, JSON.stringify({ purpose: 'sync', at: 'then', ...claim }));
  const at = new Date(Date.now() - ageMs);
  await utimes(path, at, at);
}

const take = (waitMs = 60): Promise<string> => withLock(rig.machine, 'test', async () => 'got it', { waitMs });

describe('the lock', () => {
  it('is given back, also by what fails, and names its holder to who waits', async () => {
    await expect(
      withLock(rig.machine, 'first', async () => {
        await expect(take()).rejects.toMatchObject({
          code: 'LOCKED',
          message: expect.stringContaining(`process ${process.pid}`),
        });
        throw new Error('inside');
      }),
    ).rejects.toThrow('inside');
    expect(await take()).toBe('got it');
    expect(await readdir(rig.machine.paths.lock)).toEqual(['2', '2.done']);
  });

  it('of a process that ended, of a number used again, and of a time before this boot is free', async () => {
    const own = await ownIdentity();
    await claim({ ...own, pid: 4_194_303 });
    expect(await take()).toBe('got it');
    await claim({ ...own, pid: 1, start: '-1' });
    expect(await take()).toBe('got it');
    await claim({ ...own, pid: 1, place: 'another-boot pid:[1]' });
    expect(await take()).toBe('got it');
  });

  it('of another host or container, or one that cannot be read, holds until it is too old', async () => {
    const own = await ownIdentity();
    for (const foreign of [{ ...own, host: 'elsewhere', place: 'boot x' }, {}]) {
      await claim(foreign);
      await expect(take()).rejects.toMatchObject({ code: 'LOCKED' });
      await claim(foreign, 16 * 60_000);
      expect(await take()).toBe('got it');
    }
    expect(own.host).toBe(hostname());
  });

  it('has one holder at a time among many processes, some of them killed', { timeout: 120_000 }, async () => {
    const running = new Set<ChildProcess>();
    const errors: string[] = [];
    const start = (): void => {
      const process = spawn('node', [child.file, rig.home], { stdio: ['ignore', 'ignore', 'pipe'] });
      process.stderr?.on('data', (bytes) => errors.push(String(bytes)));
      process.on('exit', () => running.delete(process));
      running.add(process);
    };
    for (let i = 0; i < 6; i++) start();
    let killed = 0;
    const count = async (): Promise<number> => Number(await readFile(rig.path('count'), 'utf8').catch(() => '0'));
    while (killed < 40 || (await count()) < 200) {
      await sleep(30 + Math.random() * 60);
      const victim = [...running][Math.floor(Math.random() * running.size)];
      if (victim !== undefined && killed < 40) {
        victim.kill('SIGKILL');
        killed++;
        start();
      }
    }
    await writeFile(rig.path('stop'), '');
    while (running.size > 0) await sleep(20);
    const numbers = (await readFile(rig.path('log'), 'utf8')).trim().split('\n');
    expect(errors).toEqual([]);
    expect(existsSync(rig.path('violations'))).toBe(false);
    // A number twice would be an update that one of two holders lost; one killed before its line leaves a gap.
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(await take(5000)).toBe('got it');
  });
});
