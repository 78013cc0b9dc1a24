import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cachedPackage } from '../support/cached-package.ts';

/** A real Chroma server from npm, of the version that runs on this system's C library. */

const PACKAGE = 'chromadb-js-bindings-linux-x64-gnu';
const VERSION = '1.0.5';

/** Where the server's binding is, installed on first use (400 MB); or why there is none here. */
export async function chromaBinding(): Promise<{ path: string } | { missing: string }> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return { missing: `no ${PACKAGE} for this system` };
  return cachedPackage(PACKAGE, VERSION, 'chroma-bindings');
}

export interface ChromaServer {
  url: string;
  /** Kills it without warning. */
  kill(): Promise<void>;
  /** On the same port, with the data it had or with none. */
  start(options?: { wiped?: boolean }): Promise<void>;
  drop(): Promise<void>;
}

export async function startChroma(binding: string): Promise<ChromaServer> {
  const folder = await mkdtemp(join(tmpdir(), 'hv chroma '));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let child: ChildProcess | undefined;

  const kill = async (): Promise<void> => {
    const running = child;
    child = undefined;
    if (running === undefined || running.exitCode !== null) return;
    const gone = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGKILL');
    await gone;
  };
  const start: ChromaServer['start'] = async ({ wiped = false } = {}) => {
    const data = join(folder, 'data');
    if (wiped) await rm(data, { recursive: true, force: true });
    const run = ['chroma', 'run', '--path', data, '--host', '127.0.0.1', '--port', String(port)];
    const code = `require(${JSON.stringify(binding)}).cli(${JSON.stringify(run)})`;
    child = spawn(process.execPath, ['-e', code], { cwd: folder, stdio: 'ignore' });
    for (let i = 0; i < 200; i++) {
      if (child.exitCode !== null) throw new Error(`Chroma ended with ${child.exitCode}`);
      const up = await fetch(`${url}/api/v2/heartbeat`).then(
        (r) => r.ok,
        () => false,
      );
      if (up) return;
      await sleep(50);
    }
    throw new Error('Chroma did not start within 10 s');
  };
  await start();
  return {
    url,
    kill,
    start,
    async drop() {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
