import { type Carried, runCarried } from '../carried-bundle.ts';
import { processEnvironment } from '../environment.ts';
import type { startServer } from './main.ts';
import type * as work from './work.ts';

/**
 * The file's entry: runs the protocol at once, the work behind it at the first call, each with a V8 code cache that
 * is written after it was first used.
 */
const environment = processEnvironment();
const folder = environment.pluginData ?? `${environment.haivemindHome}/cache`;
const toSave: Carried<unknown>['saveCodeCache'][] = [];

function load<T>(text: CarriedText, name: string): T {
  const { exports, saveCodeCache } = runCarried<T>(text, import.meta.url, { folder, name });
  toSave.push(saveCodeCache);
  return exports;
}

load<{ startServer: typeof startServer }>(__PROTOCOL__, 'mcp').startServer({
  environment,
  loadWork: async () => load<typeof work>(__WORK__, 'work'),
  onIdle: () => {
    for (const save of toSave.splice(0)) save?.();
  },
});
