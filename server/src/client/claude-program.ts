import { execFile } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { lookAt } from '../machine/files/file-port.ts';
import type { ClientEnvironment } from './context.ts';

/** The first `claude` in PATH; null where there is none. */
export async function findClaude(env: ClientEnvironment): Promise<string | null> {
  const names = process.platform === 'win32' ? ['claude.exe', 'claude.cmd'] : ['claude'];
  for (const dir of env.path.split(delimiter).filter((part) => part !== '')) {
    for (const name of names) {
      const file = join(dir, name);
      if (isThere(file)) return file;
    }
  }
  return null;
}

/** A folder in PATH that may not be read holds none. */
function isThere(file: string): boolean {
  try {
    return lookAt(file) !== null;
  } catch {
    return false;
  }
}

/** Runs it in this HOME and gives its standard output. Rejects when it fails or takes longer than `timeoutMs`. */
export async function runClaude(
  env: ClientEnvironment,
  file: string,
  args: string[],
  timeoutMs: number,
): Promise<string> {
  const { stdout } = await promisify(execFile)(file, args, {
    timeout: timeoutMs,
    cwd: env.home,
    maxBuffer: 16 * 1024 * 1024,
    env: {
      PATH: env.path,
      HOME: env.home,
      USERPROFILE: env.home,
      DISABLE_AUTOUPDATER: '1',
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      ...(env.claudeConfigDir === undefined ? {} : { CLAUDE_CONFIG_DIR: env.claudeConfigDir }),
    },
  });
  return stdout;
}
