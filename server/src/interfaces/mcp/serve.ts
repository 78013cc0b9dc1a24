import { PassThrough } from 'node:stream';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import type { Environment } from '../environment.ts';
import { createServer, type LoadWork } from './server.ts';

/** Milliseconds after the client is ready: its first questions go before the live channel. */
const SESSION_AFTER_MS = 300;
/** Milliseconds after the client is ready: by then V8 has compiled what a session needs. */
const IDLE_AFTER_MS = 1500;
/** Milliseconds that calls may still take after the client has closed stdin. */
const FINISH_MS = 5000;
/** Milliseconds for giving back what this process holds for the machine. */
const RELEASE_MS = 1500;

export interface ServeOptions {
  environment: Environment;
  /** Signals call `stop`; this server puts its own there. */
  ending: { stop: () => void };
  /** What was read from stdin before. */
  first: Buffer;
  /** Id of the `initialize` in it that is answered already. */
  greeted: string | number | undefined;
  loadWork: LoadWork;
  /** Called when nobody waits: some time after a start, and at the end. */
  onIdle: () => void;
}

/** Stdin and stdout, without the answer to a request that was answered before the SDK was there. */
class GreetedTransport extends StdioServerTransport {
  private greeted: string | number | undefined;

  constructor(input: PassThrough, greeted: string | number | undefined) {
    super(input, process.stdout);
    this.greeted = greeted;
  }

  override async send(message: JSONRPCMessage): Promise<void> {
    const repeats = this.greeted !== undefined && 'result' in message && message.id === this.greeted;
    if (!repeats) return super.send(message);
    this.greeted = undefined;
  }
}

/** Serves MCP on stdin and stdout until the client closes stdin or ends the process. */
export function serve({ environment, ending, first, greeted, loadWork, onIdle }: ServeOptions): void {
  let loaded: ReturnType<LoadWork> | undefined;
  const work: LoadWork = () => {
    loaded ??= loadWork();
    return loaded;
  };
  const { server, idle } = createServer(environment, work);
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
  server.onerror = logQuietly;

  const stop = async (): Promise<void> => {
    if (stopping.signal.aborted) return;
    stopping.abort();
    onIdle();
    // The lease and the channel are given back; a disk that hangs on it must not keep the session from ending.
    await atMost(RELEASE_MS, session ?? Promise.resolve());
    process.exit(0);
  };
  /** The client closed stdin: what it asked for is finished first, unless that takes too long. */
  const finish = async (): Promise<void> => {
    await atMost(FINISH_MS, idle());
    await stop();
  };

  process.stdin.once('end', finish).once('close', finish);
  process.stdout.once('error', stop);
  ending.stop = stop;
  process.on('uncaughtException', logQuietly).on('unhandledRejection', logQuietly);
  const input = new PassThrough();
  input.write(first);
  process.stdin.pipe(input);
  server.connect(new GreetedTransport(input, greeted)).catch((thrown) => {
    logQuietly(thrown);
    process.exit(1);
  });
}

function atMost(ms: number, done: Promise<unknown>): Promise<unknown> {
  return Promise.race([done, new Promise((resolve) => setTimeout(resolve, ms))]);
}

/** One line on stderr: a defect beside a call must not end the session's tools. */
function logQuietly(thrown: unknown): void {
  const text = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  process.stderr.write(`haivemind: ${text.replace(/\s+/g, ' ').slice(0, 300)}\n`);
}
