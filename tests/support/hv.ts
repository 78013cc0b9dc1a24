// The real `hv` bundle, run the way a person's machine runs it: no node_modules above, only the HOME it is given.
import { join } from 'node:path';
import { bareRepository } from './repository.ts';
import { type ProcessResult, runProcess } from './run-process.ts';
import type { TempHome } from './temp-home.ts';

export interface HvResult extends ProcessResult {
  /** What it printed on stdout as JSON; undefined when that is not JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into replies of many shapes and fail on what is not there
  json: any;
}

export interface HvOptions {
  env?: Record<string, string>;
  cwd?: string;
  stdin?: string;
  timeoutMs?: number;
}

/** Runs `hv ARGS` in `home`; never throws for its exit code. */
export async function hv(home: TempHome, args: string[], options: HvOptions = {}): Promise<HvResult> {
  const cli = join(await bareRepository(), 'server', 'dist', 'cli.mjs');
  const run = await runProcess(process.execPath, [cli, ...args], {
    ...options,
    cwd: options.cwd ?? home.project,
    env: home.env(options.env),
  });
  return { ...run, json: parsed(run.stdout) };
}

/** As hv with --json, and throws with what it printed when it fails. Returns the JSON it printed. */
// biome-ignore lint/suspicious/noExplicitAny: as HvResult.json
export async function hvOk(home: TempHome, args: string[], options: HvOptions = {}): Promise<any> {
  const run = await hv(home, [...args, '--json'], options);
  if (run.code !== 0) throw new Error(`hv ${args.join(' ')}: exit ${run.code}\n${run.stdout}\n${run.stderr}`);
  if (run.json === undefined) throw new Error(`hv ${args.join(' ')} --json printed no JSON: ${run.stdout}`);
  return run.json;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
