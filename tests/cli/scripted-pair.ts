// A scripted hub and a machine that joined it: set up anew before each test of a file, or of a describe, that calls `scriptedPair`.
import { afterEach, beforeEach } from 'vitest';
import { joinedMachine, type ScriptedHub, scriptedHub } from './scripted-hub.ts';

// Of the test that runs.
export let hub: ScriptedHub;
export let m: Awaited<ReturnType<typeof joinedMachine>>;

/**
 * Hooks of the calling file that are set up later run after this is ready, and before it is taken away.
 * @param plugins the machine's `plugins` block
 */
export function scriptedPair(plugins: Record<string, unknown> = {}): void {
  beforeEach(async () => {
    hub = await scriptedHub();
    m = await joinedMachine(hub, plugins);
  });
  afterEach(async () => {
    await hub.close();
    await m.remove();
  });
}

/** Puts another machine in the place of this one. */
export async function joinAnew(plugins: Record<string, unknown>): Promise<void> {
  await m.remove();
  m = await joinedMachine(hub, plugins);
}
