import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Log } from '../context.ts';

/** A Chroma server of this hub's own: started, started again when it dies, ended with the hub. It listens on loopback only. */
export interface LocalChroma {
  /** Where it answers, or will. */
  url: string;
  close(): Promise<void>;
}

const PROBE_MS = 20_000;
const FIRST_PAUSE_MS = 500;
const LAST_PAUSE_MS = 30_000;
/** One that ran so long was well: the next pause is short again. */
const WELL_AFTER_MS = 60_000;
/** How often a running server's database is looked at, in ms. */
const LOOK_MS = 2_000;
/** Newer servers may not end at SIGTERM; SIGINT, and after so many ms SIGKILL. */
const END_MS = 5_000;

interface Options {
  /** Its data go to `chroma` below this folder. */
  dataDir: string;
  /** Folder of the native package that brings the server; found beside `chromadb` when absent. */
  binding?: string | undefined;
  log: Log;
}

/**
 * Looks whether this computer can run the server that comes with npm's chromadb, and keeps one running. Where it cannot, says so
 * in the log and answers undefined: the search goes on without.
 */
export async function startLocalChroma({ dataDir, binding, log }: Options): Promise<LocalChroma | undefined> {
  const runner = binding ?? findBinding();
  if (runner === undefined) {
    log.warn(
      {},
      'No Chroma server for this system is installed (npm install chromadb): the search keeps its vectors itself',
    );
    return undefined;
  }
  const problem = await probe(runner);
  if (problem !== undefined) {
    log.warn(
      { runner, err: problem },
      'This computer cannot run the Chroma server: the search keeps its vectors itself',
    );
    return undefined;
  }
  const folder = join(dataDir, 'chroma');
  await endLeftover(dataDir, folder);
  const supervisor = new Supervisor(runner, folder, await freePort(), log, pidFile(dataDir));
  supervisor.start();
  return { url: supervisor.url, close: () => supervisor.close() };
}

/** The native packages that chromadb may have brought, the first that is there. */
function findBinding(): string | undefined {
  const require = createRequire(import.meta.url);
  const system = `${process.platform}-${process.arch}`;
  for (const name of [
    `chromadb-js-bindings-${system}`,
    `chromadb-js-bindings-${system}-gnu`,
    `chromadb-js-bindings-${system}-msvc`,
  ]) {
    try {
      return require.resolve(name);
    } catch {
      // Not this one.
    }
  }
  return undefined;
}

const code = (runner: string, args: readonly string[]): string =>
  `require(${JSON.stringify(runner)}).cli(${JSON.stringify(['chroma', ...args])})`;

/** Why it does not run here; undefined where it does. A library too old for it ends the process that loads it. */
async function probe(runner: string): Promise<string | undefined> {
  try {
    await promisify(execFile)(process.execPath, ['-e', `require(${JSON.stringify(runner)})`], { timeout: PROBE_MS });
    return undefined;
  } catch (thrown) {
    const { stderr = '', message = '' } = thrown as { stderr?: string; message?: string };
    return (/^.*(Error|GLIBC).*$/m.exec(stderr)?.[0] ?? message).slice(0, 300);
  }
}

const pidFile = (dataDir: string): string => join(dataDir, 'chroma.pid');

/** A hub that was killed leaves its server behind, which holds the same data. What runs under its number is looked at first. */
async function endLeftover(dataDir: string, folder: string): Promise<void> {
  try {
    const pid = Number(JSON.parse(await readFile(pidFile(dataDir), 'utf8')).pid);
    // Only Linux tells what a process was started with; elsewhere none is ended on suspicion.
    const started = await readFile(`/proc/${pid}/cmdline`, 'utf8');
    if (started.includes(JSON.stringify(folder))) process.kill(pid, 'SIGKILL');
  } catch {
    // None was left, or it cannot be looked at.
  }
}

class Supervisor {
  readonly url: string;
  readonly #runner: string;
  readonly #folder: string;
  readonly #port: number;
  readonly #log: Log;
  readonly #pidFile: string;
  readonly #ending = new AbortController();
  #child: ChildProcess | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(runner: string, folder: string, port: number, log: Log, pidPath: string) {
    this.#runner = runner;
    this.#folder = folder;
    this.#port = port;
    this.#log = log;
    this.#pidFile = pidPath;
    this.url = `http://127.0.0.1:${port}`;
  }

  start(): void {
    this.#running = this.#keepRunning();
  }

  async close(): Promise<void> {
    this.#ending.abort();
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      child.kill('SIGINT');
      const late = setTimeout(() => child.kill('SIGKILL'), END_MS);
      await this.#running;
      clearTimeout(late);
    } else await this.#running;
    await rm(this.#pidFile, { force: true });
  }

  async #keepRunning(): Promise<void> {
    let pause = FIRST_PAUSE_MS;
    while (!this.#ending.signal.aborted) {
      const began = Date.now();
      const how = await this.#runOnce();
      if (this.#ending.signal.aborted) return;
      if (Date.now() - began > WELL_AFTER_MS) pause = FIRST_PAUSE_MS;
      this.#log.warn({ how, againInMs: pause }, 'The Chroma server ended');
      await sleep(pause, undefined, { signal: this.#ending.signal, ref: false }).catch(() => undefined);
      pause = Math.min(LAST_PAUSE_MS, pause * 2);
    }
  }

  /** Answers how it ended. */
  async #runOnce(): Promise<string> {
    try {
      // It may have been taken away since the last time.
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    } catch (err) {
      return (err as Error).message;
    }
    const args = ['run', '--path', this.#folder, '--host', '127.0.0.1', '--port', String(this.#port)];
    const child = spawn(process.execPath, ['-e', code(this.#runner, args)], { cwd: this.#folder, stdio: 'ignore' });
    this.#child = child;
    const ended = new Promise<string>((resolve) => {
      child.once('exit', (status, signal) => resolve(signal ?? `exit ${status}`));
      child.once('error', (err) => resolve(err.message));
    });
    const { pid } = child;
    if (pid !== undefined)
      await writeFile(this.#pidFile, JSON.stringify({ pid }), { mode: 0o600 }).catch(() => undefined);
    // Closed while it was being started.
    if (this.#ending.signal.aborted) child.kill('SIGKILL');
    const look = this.#endWithoutData(child);
    return ended.finally(() => clearInterval(look));
  }

  /** A server whose data were taken away goes on, and fails at all it is asked: it begins anew with none. */
  #endWithoutData(child: ChildProcess): NodeJS.Timeout {
    const places = [this.#folder, join(this.#folder, 'chroma.sqlite3')];
    let known = places.map(inodeOf);
    return setInterval(() => {
      const found = places.map(inodeOf);
      if (known.some((inode, i) => inode !== undefined && inode !== found[i])) {
        this.#log.warn({ folder: this.#folder }, 'The data of the Chroma server were taken away or replaced');
        child.kill('SIGKILL');
      }
      known = found;
    }, LOOK_MS).unref();
  }
}

function inodeOf(path: string): number | undefined {
  try {
    return statSync(path).ino;
  } catch {
    return undefined;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
