import type { HookOutput } from './output.ts';
import type { FullRun } from './session-start.ts';

const MAX_OUTPUT = 64 * 1024;

/**
 * Runs the use cases in a process of its own, so that a long download outlives the hook and a killed hook cuts nothing.
 * @param file the bundle to run, with `what` and the client's process id as its arguments
 */
export async function runDetached(
  file: string,
  what: FullRun,
  waitMs: number,
): Promise<HookOutput | null | 'unfinished'> {
  // Loaded here, because most starts need no other process and would pay for it.
  const { spawn } = await import('node:child_process');
  return await new Promise((resolve) => {
    const child = spawn(process.execPath, [file, what, String(process.ppid)], {
      detached: true,
      windowsHide: true,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let text = '';
    const limit = setTimeout(() => {
      child.unref();
      child.stdout.destroy();
      resolve('unfinished');
    }, waitMs);
    const settle = (): void => {
      clearTimeout(limit);
      resolve(parse(text));
    };
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      if (text.length < MAX_OUTPUT) text += chunk;
    });
    child.on('close', settle).on('error', settle);
  });
}

function parse(text: string): HookOutput | null {
  try {
    return JSON.parse(text) as HookOutput | null;
  } catch {
    return null;
  }
}
