import { spawn } from 'node:child_process';
import { findClaude } from '../../client/claude-program.ts';
import type { VerbCall } from './verb.ts';

/** Has Claude Code asked whether it loads what just changed, by a process of its own that nobody waits for. */
export async function askLoadedBehind(call: VerbCall, changed: boolean): Promise<void> {
  if (!changed || (await findClaude(call.env)) === null) return;
  const child = spawn(process.execPath, [call.program, 'loaded'], {
    detached: true,
    stdio: 'ignore',
    cwd: call.env.home,
  });
  // What cannot be started is not asked; `hv doctor` still can.
  child.on('error', () => undefined);
  child.unref();
}
