// A machine that has one plugin from a hub that will lie: set up anew before each test of a file that calls `attackedMachine`.
import { afterEach, beforeEach } from 'vitest';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { HaiveError } from '../../server/src/domain/errors.ts';
import {
  joinedMachine,
  type PlanOptions,
  type ScriptedHub,
  scriptedHub,
  serve,
  type Version,
} from '../cli/scripted-hub.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';

type Joined = Awaited<ReturnType<typeof joinedMachine>>;

// Of the test that runs.
export let hub: ScriptedHub;
export let m: Joined;
/** A folder that is not the machine's. */
export let outside: TempHome;
let served = 100;

/** Serves these versions by a plan that is newer than all before. */
export const offer = (versions: Version | Version[], plan: PlanOptions = {}): void =>
  serve(hub, [versions].flat(), { counter: ++served, etag: `"${served}"`, ...plan });

/** @param installed what is there before each test */
export function attackedMachine(installed: Version): void {
  beforeEach(async () => {
    hub = await scriptedHub();
    outside = await tempHome('outside');
    m = await joinedMachine(hub, { auto_install_updates: true });
    offer(installed);
    await syncMachine(m.ctx, { mode: 'agent' });
  });
  afterEach(async () => {
    await hub.close();
    await m.remove();
    await outside.remove();
  });
}

/** The code of what a sync refused, thrown or told. */
export async function refusedWith(prepare?: (ctx: Joined['ctx']) => void): Promise<string> {
  const ctx = await m.reopen();
  prepare?.(ctx);
  try {
    const result = await syncMachine(ctx, { mode: 'explicit' });
    return result.problems.map((p) => p.code).join() || 'nothing was refused';
  } catch (thrown) {
    if (!(thrown instanceof HaiveError)) throw thrown;
    return thrown.code;
  }
}
