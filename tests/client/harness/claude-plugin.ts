// `claude plugin …` of the real client.
import { cp } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { bareRepository } from '../../support/repository.ts';
import { type ProcessResult, runProcess } from '../../support/run-process.ts';
import type { TempHome } from '../../support/temp-home.ts';
import { claudeBinary } from './claude-binary.ts';
import { clientEnv } from './session.ts';

export interface ListedPlugin {
  id: string;
  version?: string;
  scope?: string;
  enabled: boolean;
  installPath?: string;
  errors?: string[];
}

/** Runs `claude plugin ARGS` in `home`; never throws for its exit code. */
export async function claudePlugin(home: TempHome, ...args: string[]): Promise<ProcessResult> {
  return runProcess(await claudeBinary(), ['plugin', ...args], { cwd: home.project, env: clientEnv(home) });
}

/** As claudePlugin, and throws with what it printed when it fails. */
export async function claudePluginOk(home: TempHome, ...args: string[]): Promise<ProcessResult> {
  const run = await claudePlugin(home, ...args);
  if (run.code !== 0)
    throw new Error(`claude plugin ${args.join(' ')}: exit ${run.code}\n${run.stdout}\n${run.stderr}`);
  return run;
}

/** Installs the core by the stock client, from a copy without package.json: the client would run npm for it first. */
export async function installCore(home: TempHome): Promise<void> {
  const from = await bareRepository();
  const copy = join(home.project, 'core');
  await cp(from, copy, { recursive: true, filter: (path) => !/^package(-lock)?\.json$/.test(relative(from, path)) });
  await claudePluginOk(home, 'marketplace', 'add', copy);
  await claudePluginOk(home, 'install', 'haivemind-core@haivemind');
}

/** What `claude plugin list --json` lists. */
export async function listPlugins(home: TempHome): Promise<ListedPlugin[]> {
  return JSON.parse((await claudePluginOk(home, 'list', '--json')).stdout) as ListedPlugin[];
}
