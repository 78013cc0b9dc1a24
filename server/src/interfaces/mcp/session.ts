import type { Environment } from '../environment.ts';

/** What this server does for the machine beside answering calls, while the session runs. */
export async function attendSession(_environment: Environment, _signal: AbortSignal): Promise<void> {}
