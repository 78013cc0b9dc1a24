// A real hub in a process of its own: the bundle that ships, on a port the system chooses.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { builtRepository } from './repository.ts';
import type { TempHome } from './temp-home.ts';

export interface HubProcess {
  url: string;
  /** Printed at the first start of a data folder only; null on later ones. */
  adminToken: string | null;
  /** The token of hub.json: may join and publish. */
  joinToken: string;
  /** Everything the hub printed when it was ready. */
  ready: Record<string, unknown>;
  pid: number;
  stderr(): string;
  /** Nobody reads its log any more. */
  closeStderr(): void;
  /** SIGTERM, and waits for the end. Returns the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL, and waits for the end. */
  kill(): Promise<void>;
}

export interface HubOptions {
  /** Default: `hub-data` beside the HOME's project. */
  dataDir?: string;
  env?: Record<string, string>;
  args?: string[];
  /** Where its log goes instead, a file descriptor. */
  stderr?: number;
}

const READY_WITHIN_MS = 60_000;

/** Starts `hv hub --port 0 --json` in `home` and waits until it says it is ready. */
export async function startHubProcess(home: TempHome, options: HubOptions = {}): Promise<HubProcess> {
  const cli = join(await builtRepository(), 'server', 'dist', 'cli.mjs');
  const dataDir = options.dataDir ?? join(home.project, '..', 'hub-data');
  const args = [cli, 'hub', '--port', '0', '--json', '--data-dir', dataDir, ...(options.args ?? [])];
  const child = spawn(process.execPath, args, {
    cwd: home.project,
    env: home.env(options.env),
    stdio: ['ignore', 'pipe', options.stderr ?? 'pipe'],
  });
  let stderr = '';
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  const ended = once(child, 'exit');
  const ready = await readyLine(child, () => stderr);
  const hubJson = JSON.parse(await readFile(join(home.home, '.haivemind', 'hub.json'), 'utf8')) as { token: string };
  return {
    url: String(ready.url),
    adminToken: typeof ready.admin_token === 'string' ? ready.admin_token : null,
    joinToken: hubJson.token,
    ready,
    pid: child.pid ?? 0,
    stderr: () => stderr,
    closeStderr: () => void child.stderr?.destroy(),
    async stop() {
      child.kill('SIGTERM');
      await ended;
      return child.exitCode;
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** The line in which a hub started with --json says that it is ready. */
export function readyLine(child: ChildProcess, stderr: () => string): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    let stdout = '';
    const give = (why: string) => reject(new Error(`the hub ${why}\nstdout: ${stdout}\nstderr: ${stderr()}`));
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      give(`was not ready after ${READY_WITHIN_MS} ms`);
    }, READY_WITHIN_MS);
    child.on('exit', (code) => {
      clearTimeout(timer);
      give(`ended with ${code} before it was ready`);
    });
    child.stdout?.on('data', (chunk) => {
      stdout += chunk;
      for (const line of stdout.split('\n').slice(0, -1)) {
        if (!line.startsWith('{')) continue;
        const message = JSON.parse(line) as Record<string, unknown>;
        if (typeof message.url !== 'string') continue;
        clearTimeout(timer);
        resolve(message);
        return;
      }
    });
  });
}
