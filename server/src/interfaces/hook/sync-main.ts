import { processEnvironment } from '../environment.ts';
import { background } from './background.ts';
import type { FullRun } from './session-start.ts';

/** The entry of hook-sync.mjs: a full run in a process of its own, which prints what hook.cjs shall say. */
const end = (): void => {
  process.exitCode = 0;
};
process.on('uncaughtException', end);
// The reader may have gone on without us.
process.stdout.on('error', () => {});

const session = Number(process.argv[3] ?? process.ppid);
background((process.argv[2] ?? 'sync') as FullRun, processEnvironment(), session).then((output) => {
  process.stdout.write(`${JSON.stringify(output)}\n`);
}, end);
