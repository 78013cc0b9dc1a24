import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import type { Environment } from '../environment.ts';
import { createServer, type LoadWork } from './server.ts';

/** Milliseconds after the client is ready: its first questions go before the live channel. */
const SESSION_AFTER_MS = 300;
/** Milliseconds after the client is ready: by then V8 has compiled what a start needs. */
const IDLE_AFTER_MS = 1000;

export interface ServerOptions {
  environment: Environment;
  loadWork: LoadWork;
  /** Called when nobody waits: after a start and at the end. */
  onIdle: () => void;
}

/** Serves MCP on stdin and stdout until the client closes stdin or ends the process. */
export function startServer({ environment, loadWork, onIdle }: ServerOptions): void {
  // stdout is protocol only: whatever a library prints goes to stderr.
  console.log = console.info = console.debug = console.error;
  let loaded: ReturnType<LoadWork> | undefined;
  const work: LoadWork = () => {
    loaded ??= loadWork();
    return loaded;
  };
  const server = createServer(environment, work);
  const stopping = new AbortController();
  let session: Promise<void> | undefined;

  server.oninitialized = () => {
    setTimeout(() => {
      session ??= work()
        .then(({ attendSession }) => attendSession(environment, stopping.signal))
        .catch(logQuietly);
    }, SESSION_AFTER_MS).unref();
    setTimeout(onIdle, IDLE_AFTER_MS).unref();
  };

  const stop = async (): Promise<void> => {
    if (stopping.signal.aborted) return;
    stopping.abort();
    onIdle();
    // The lease and the channel are given back; a machine that hangs on it must not keep the session from ending.
    await Promise.race([session ?? Promise.resolve(), new Promise((done) => setTimeout(done, 1500))]);
    process.exit(0);
  };
  process.stdin.once('end', stop).once('close', stop);
  process.stdout.once('error', stop);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, stop);
  process.on('uncaughtException', logQuietly).on('unhandledRejection', logQuietly);
  server.connect(new StdioServerTransport()).catch((thrown) => {
    logQuietly(thrown);
    process.exit(1);
  });
}

/** One line on stderr; a defect beside a call must not end the session's tools. */
function logQuietly(thrown: unknown): void {
  const text = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  process.stderr.write(`haivemind: ${text.replace(/\s+/g, ' ')}\n`);
}
