import { type Carried, runCarried } from '../carried-bundle.ts';
import { processEnvironment } from '../environment.ts';
import { greet } from './greeting.ts';
import type * as serve from './serve.ts';
import type * as work from './work.ts';

/**
 * The entry of mcp.mjs: greets the client, then runs the protocol (the SDK), and at the first call the work behind it. Both are
 * carried in the same file and run with a V8 code cache that the first session writes.
 */
const environment = processEnvironment();
const cacheFolder = environment.pluginData ?? `${environment.haivemindHome}/cache`;
const toSave: Carried<unknown>['saveCodeCache'][] = [];

function load<T>(name: string): T {
  const carried = runCarried<T>(name, import.meta.url, cacheFolder);
  toSave.push(carried.saveCodeCache);
  return carried.exports;
}

// stdout is protocol only: whatever a library prints goes to stderr.
console.log = console.info = console.debug = console.error;

/** What a signal does; until the protocol is there, nothing is held that an end could lose. */
const ending = { stop: (): void => process.exit(0) };
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => ending.stop());

process.stdin.once('readable', () => {
  const first: Buffer = process.stdin.read() ?? Buffer.alloc(0);
  const end = first.indexOf(10);
  const greeting = end < 0 ? undefined : greet(first.toString('utf8', 0, end));
  const serveRest = (): void =>
    load<typeof serve>('serve').serve({
      environment,
      ending,
      first,
      greeted: greeting?.id,
      loadWork: async () => load<typeof work>('work'),
      onIdle: () => {
        for (const save of toSave.splice(0)) save?.();
      },
    });
  if (greeting === undefined) serveRest();
  else process.stdout.write(greeting.line, serveRest);
});
