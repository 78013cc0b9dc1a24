import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** How an agent ends that has replaced its own program, where the one above it or a service manager starts it again. */
export const REPLACED = 75;

/** Whether an earlier agent started this one and stands above it. */
export const isBelow = (): boolean => process.channel !== undefined;

/** Calls `stop` when the agent above is told to stop, or is gone. */
export function heedAbove(stop: () => void): void {
  process.once('disconnect', stop);
  process.channel?.unref();
}

/**
 * Goes on as the program that lies there now. Node cannot become another program: this process stays above it, and starts it again
 * as often as it has replaced itself.
 * @returns the exit code for this process
 */
export async function goOnAs(program: string, args: string[], stop: AbortSignal): Promise<number> {
  if (isBelow()) return REPLACED;
  for (;;) {
    const child = spawn(process.execPath, [program, ...args], { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] });
    const tell = (): void => {
      if (child.connected) child.disconnect();
    };
    stop.addEventListener('abort', tell);
    const [code] = (await once(child, 'exit')) as [number | null];
    stop.removeEventListener('abort', tell);
    if (code !== REPLACED || stop.aborted) return code ?? 1;
  }
}
