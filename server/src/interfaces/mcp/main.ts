import { runCarried } from '../carried-bundle.ts';
import { processEnvironment } from '../environment.ts';
import { type LoadWork, serveTools } from './server.ts';
import type * as work from './work.ts';

/**
 * The entry of mcp.mjs: the protocol at once, the work behind it (carried in the same file) at the first call or shortly
 * after the session stands, with a V8 code cache that the first session writes. Ends when the client closes stdin.
 */

/** Milliseconds after the client is ready: its first questions go before the live channel. */
const SESSION_AFTER_MS = 300;
/** Milliseconds after the client is ready: by then V8 has compiled what a session needs. */
const IDLE_AFTER_MS = 1500;
/** Milliseconds that calls may still take after the client has closed stdin. */
const FINISH_MS = 5000;
/** Milliseconds for giving back what this process holds for the machine. */
const RELEASE_MS = 1500;

const environment = processEnvironment();
const stopping = new AbortController();
let session: Promise<void> | undefined;
let loaded: ReturnType<LoadWork> | undefined;
let saveCodeCache: (() => void) | undefined;

// stdout is protocol only: whatever a library prints goes to stderr.
console.log = console.info = console.debug = console.error;

const loadWork: LoadWork = () => {
  loaded ??= (async () => {
    const cacheFolder = environment.pluginData ?? `${environment.haivemindHome}/cache`;
    const carried = runCarried<typeof work>('work', import.meta.url, cacheFolder);
    saveCodeCache = carried.saveCodeCache;
    return carried.exports;
  })();
  return loaded;
};

function onIdle(): void {
  saveCodeCache?.();
  saveCodeCache = undefined;
}

const server = serveTools({ input: process.stdin, output: process.stdout }, environment, loadWork, () => {
  setTimeout(() => {
    session ??= loadWork()
      .then(({ attendSession }) => attendSession(environment, stopping.signal))
      .catch(logQuietly);
  }, SESSION_AFTER_MS).unref();
  setTimeout(onIdle, IDLE_AFTER_MS).unref();
});

/** The client closed stdin: what it asked for is finished first, unless that takes too long. */
async function finish(): Promise<void> {
  await atMost(FINISH_MS, server.idle());
  await stop();
}

async function stop(): Promise<void> {
  if (stopping.signal.aborted) return;
  stopping.abort();
  server.close();
  onIdle();
  // The lease and the channel are given back; a disk that hangs on it must not keep the session from ending.
  await atMost(RELEASE_MS, session ?? Promise.resolve());
  process.exit(0);
}

function atMost(ms: number, done: Promise<unknown>): Promise<unknown> {
  return Promise.race([done, new Promise((resolve) => setTimeout(resolve, ms))]);
}

/** One line on stderr: a defect beside a call must not end the session's tools. */
function logQuietly(thrown: unknown): void {
  const text = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  process.stderr.write(`haivemind: ${text.replace(/\s+/g, ' ')}\n`);
}

process.stdin.once('end', finish).once('close', finish);
process.stdout.once('error', stop);
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, stop);
process.on('uncaughtException', logQuietly).on('unhandledRejection', logQuietly);
