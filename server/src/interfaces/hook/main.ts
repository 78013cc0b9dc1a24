import { fileURLToPath } from 'node:url';
import { runCarried } from '../carried-bundle.ts';
import { processEnvironment } from '../environment.ts';
import type { background } from './background.ts';
import { runDetached } from './full-run.ts';
import type { HookOutput } from './output.ts';
import { type FullRun, sessionStart } from './session-start.ts';

/**
 * The hook's entry. Without an argument: SessionStart. With one: a full run, which the first starts when there is
 * something to do. It ends with 0 whatever happens, because a hook that fails disturbs a session.
 */
const environment = processEnvironment();
const what = process.argv[2] as FullRun | undefined;

function print(output: HookOutput | null): void {
  if (output !== null) process.stdout.write(`${JSON.stringify(output)}\n`);
}

async function run(): Promise<void> {
  if (what === undefined) {
    const fullRun = (kind: FullRun, waitMs: number) => runDetached(fileURLToPath(import.meta.url), kind, waitMs);
    print(await sessionStart(environment, { fullRun, now: () => performance.now() }));
    return;
  }
  // The reader may have gone on without us.
  process.stdout.on('error', () => {});
  const { exports } = runCarried<{ background: typeof background }>('background', import.meta.url, undefined);
  print(await exports.background(what, environment));
}

const end = (): void => {
  process.exitCode = 0;
};
process.on('uncaughtException', end);
run().then(end, end);
