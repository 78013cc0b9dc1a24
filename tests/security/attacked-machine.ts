// A machine that has one plugin from a hub that will lie: set up anew before each test of a file that calls `attackedMachine`.
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import type { ClientContext } from '../../server/src/client/context.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { HaiveError } from '../../server/src/domain/errors.ts';
import { type PlanOptions, serve, type Version } from '../cli/scripted-hub.ts';
import { hub, m, scriptedPair } from '../cli/scripted-pair.ts';
import { snapshot } from '../machine/rig.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';

export { hub, m };
/** A folder that is not the machine's. */
export let outside: TempHome;
let served = 100;

/** Serves these versions by a plan that is newer than all before. */
export const offer = (versions: Version | Version[], plan: PlanOptions = {}): void =>
  serve(hub, [versions].flat(), { counter: ++served, etag: `"${served}"`, ...plan });

/** @param installed what is there before each test */
export function attackedMachine(installed: Version): void {
  scriptedPair({ auto_install_updates: true });
  beforeEach(async () => {
    outside = await tempHome('outside');
    offer(installed);
    await syncMachine(m.ctx, { mode: 'agent' });
  });
  afterEach(() => outside.remove());
}

/** The code of what a sync refused, thrown or told. */
export async function refusedWith(prepare?: (ctx: ClientContext) => void): Promise<string> {
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

const parts = ['versions', 'overlays', '.claude-plugin', 'alpha'];
/** What Claude Code loads, and what says so. */
export async function loaded(): Promise<string> {
  const all = await snapshot(join(m.home, '.claude'));
  return JSON.stringify(
    Object.entries(all).filter(([path]) => parts.some((p) => path.includes(p)) || path === 'settings.json'),
  );
}
