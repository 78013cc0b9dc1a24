import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { expect, it } from 'vitest';
import { recover } from '../../../server/src/machine/change/transaction.ts';
import { ensureRoot } from '../../../server/src/machine/machine.ts';
import { withLock } from '../../../server/src/machine/processes/lock.ts';
import { bundleChild } from '../../machine/bundle.ts';
import { makeRig } from '../../machine/rig.ts';
import { readImage, visible } from '../home-image.ts';
import { apply, EMPTY, type Model, type Operation, view } from './operations.ts';
import { observe, storeAll } from './perform.ts';
import { SHARE, WORKERS } from './shares.ts';

interface Line {
  worker: number;
  i: number;
  operation?: Operation;
  found?: ReturnType<typeof view>;
  done?: true;
}

function readLog(log: string): Line[] {
  if (!existsSync(log)) return [];
  const lines = readFileSync(log, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Line);
}

/** Follows the log in the lock's order. An operation that was begun and not ended has happened, or it has not. */
function follow(lines: readonly Line[], last: ReturnType<typeof view>): { model: Model; undone: number; half: number } {
  let possible: Model[] = [EMPTY];
  let [undone, half] = [0, 0];
  const mustBe = (found: ReturnType<typeof view> | undefined, where: string): void => {
    const fits = possible.filter((model) => isDeepStrictEqual(view(model), found));
    const models = JSON.stringify(possible.map(view));
    if (fits.length === 0) throw new Error(`${where}\nfound ${JSON.stringify(found)}\nmodels ${models}`);
    possible = fits.slice(-1);
  };
  for (const [n, line] of lines.entries()) {
    if (line.operation === undefined) continue;
    mustBe(line.found, `before line ${n + 1}, ${JSON.stringify(line.operation)}`);
    const [before] = possible;
    if (before === undefined) break;
    const after = apply(before, line.operation);
    const ended = lines[n + 1]?.done === true;
    possible = ended ? [after] : [before, after];
    if (!ended) half++;
    const found = lines[n + 1]?.found ?? last;
    if (!ended && isDeepStrictEqual(view(before), found) && !isDeepStrictEqual(view(after), found)) undone++;
  }
  mustBe(last, 'at the end');
  return { model: possible[0] ?? EMPTY, undone, half };
}

it('8 processes with 50 random operations each, killed at random, on one HOME', { timeout: 600_000 }, async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
  console.log(`seed ${seed}`);
  const child = await bundleChild(new URL('process-child.ts', import.meta.url).pathname);
  const rig = await makeRig();
  const log = `${rig.home}-log`;
  const running = new Map<number, ChildProcess>();
  const errors: string[] = [];
  let kills = 0;
  try {
    await ensureRoot(rig.machine);
    await storeAll(rig);
    await rig.write('.claude/settings.json', '{"model": "opus"}');
    const start = (worker: number): void => {
      const from = Math.max(0, ...readLog(log).flatMap((line) => (line.worker === worker ? [line.i + 1] : [])));
      if (from >= SHARE) return;
      const args = [child.file, rig.home, log, seed, worker, from].map(String);
      const process = spawn('node', args, { stdio: ['ignore', 'ignore', 'pipe'] });
      running.set(worker, process);
      process.stderr?.on('data', (bytes) => errors.push(String(bytes)));
      process.once('close', (_code, signal) => {
        running.delete(worker);
        if (signal === 'SIGKILL') start(worker);
      });
    };
    for (let worker = 0; worker < WORKERS; worker++) start(worker);
    let seen = 0;
    while (running.size > 0 && errors.length === 0) {
      await sleep(3);
      // By work done, not by time: a slow machine sees as many kills.
      const lines = readLog(log);
      if (lines.length < seen + 2) continue;
      seen = lines.length;
      // The one that holds the lock, or any.
      const last = lines.at(-1);
      const holder = last?.done === true ? undefined : running.get(last?.worker ?? -1);
      const all = [...running.values()];
      await sleep(Math.random() * 20);
      const victim = Math.random() < 0.8 ? holder : all[Math.floor(Math.random() * all.length)];
      if (victim?.kill('SIGKILL')) kills++;
    }
    expect(errors).toEqual([]);
    // A lock of the dead would make this wait.
    await withLock(rig.machine, 'check', () => recover(rig.machine), { waitMs: 1_000 });
    const lines = readLog(log);
    const { model, undone, half } = follow(lines, await observe(rig.machine));
    const begun = lines.filter((line) => line.operation !== undefined).length;
    console.log(
      `seed ${seed}: ${begun} operations, ${kills} kills, ${half} in the middle of an operation (${undone} undone)`,
    );
    expect(begun).toBe(WORKERS * SHARE);
    expect(half).toBeGreaterThan(10);
    const texts = [...visible(readImage(rig.home)).values()].join('\n');
    expect(model.archived.filter((token) => !texts.includes(token))).toEqual([]);
    expect(JSON.parse(await rig.read('.claude/settings.json')).model).toBe('opus');
    const left = (await readdir(rig.home, { recursive: true })).filter((path) => path.endsWith('.hv-tmp'));
    expect(left.filter((path) => !path.includes('.haivemind/'))).toEqual([]);
  } finally {
    for (const process of running.values()) process.kill('SIGKILL');
    await child.close();
    await rig.close();
    await rm(log, { force: true });
  }
});
