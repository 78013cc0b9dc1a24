import { join } from 'node:path';
import { processEnvironment } from '../environment.ts';
import { runDetached } from './full-run.ts';
import { sessionStart } from './session-start.ts';

/**
 * The entry of hook.cjs: SessionStart. Small, because most starts end with a 304; hook-sync.mjs beside it does the rest. It
 * ends with 0 whatever happens, because a hook that fails disturbs a session.
 */
const end = (): void => {
  process.exitCode = 0;
};
process.on('uncaughtException', end);

sessionStart(processEnvironment(), {
  fullRun: (what, waitMs) => runDetached(join(__dirname, 'hook-sync.mjs'), what, waitMs),
  now: () => performance.now(),
}).then((output) => {
  // Ends at once where it can: waiting for sockets to close costs a millisecond of every session's start.
  if (output === null) process.exit(0);
  process.stdout.write(`${JSON.stringify(output)}\n`, () => process.exit(0));
}, end);
