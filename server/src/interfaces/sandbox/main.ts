import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import type { Confinement } from '../../domain/confine.ts';
import { launcherEnvironment, useTemporaryFolder } from '../environment.ts';
import { environmentFor, holds, hostAllowed, scopesOf } from './profile.ts';

/**
 * The launcher: `node sandbox.mjs ROOT CONFINEMENT --shell LINE | -- PROGRAM ARGUMENT…` runs a plugin's program confined, with the
 * launcher's own input and output, and ends as it ends. Where nothing can be confined it refuses, or warns and runs it as it is.
 */

const FAILED = 1;

async function main(): Promise<number> {
  const [root, profile, how, ...words] = process.argv.slice(2);
  if (root === undefined || profile === undefined || words.length === 0) {
    process.stderr.write('usage: sandbox.mjs ROOT CONFINEMENT --shell LINE | -- PROGRAM ARGUMENT...\n');
    return FAILED;
  }
  const confinement = JSON.parse(profile) as Confinement;
  const shell = how === '--shell' ? SHELL : null;
  const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'hv-')));
  try {
    return await confined(confinement, root, shell, words, scratch);
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    if (confinement.fallback !== 'warn') {
      process.stderr.write(`hAIveMind: not started, because it cannot be confined here: ${reason}\n`);
      return FAILED;
    }
    process.stderr.write(`hAIveMind: runs unconfined, because it cannot be confined here: ${reason}\n`);
    return await run(shell === null ? words : [shell, '-c', words[0] ?? ''], launcherEnvironment().all);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** What Claude Code runs a hook's line with. */
const SHELL = '/bin/sh';

async function confined(
  confinement: Confinement,
  root: string,
  shell: string | null,
  words: readonly string[],
  scratch: string,
): Promise<number> {
  const env = launcherEnvironment();
  const temporary = realpathSync(tmpdir());
  const scopes = scopesOf(confinement, {
    home: env.home,
    project: env.projectDir ?? process.cwd(),
    root,
    data: env.pluginData,
    scratch,
    temporary,
    path: env.path.split(delimiter).filter((dir) => dir !== ''),
    node: process.execPath,
    ours: [env.haivemindHome, join(env.claudeDir, 'plugins', '.haivemind'), dirname(process.argv[1] ?? '')],
  });
  // Its own sockets lie in the scratch folder too: the system's one is kept from the program.
  useTemporaryFolder(scratch);
  const allowRead = scopes.allowRead.flatMap((path) => around(path, scopes.allowWrite));
  const { SandboxManager } = await import('@anthropic-ai/sandbox-runtime/dist/sandbox/sandbox-manager.js');
  const filter = socketFilter();
  const network = { allowedDomains: [], deniedDomains: [], allowAllUnixSockets: filter === undefined };
  const seccomp = filter === undefined ? {} : { seccomp: { applyPath: filter } };
  await SandboxManager.initialize(
    { network, filesystem: { ...scopes, allowRead }, ...seccomp },
    async ({ host, port }) => hostAllowed(confinement.hosts, host, port),
  );
  try {
    const line = shell === null ? words.map(quoted).join(' ') : (words[0] ?? '');
    const { argv } = await SandboxManager.wrapWithSandboxArgv(line, shell ?? '/bin/sh');
    return await run(argv, environmentFor(confinement.environment, env.all, scratch));
  } finally {
    SandboxManager.cleanupAfterCommand();
    await SandboxManager.reset();
  }
}

/** A folder, or what lies in it beside places that are writable: a folder laid over those as a whole would make them readable only. */
function around(dir: string, writable: readonly string[]): string[] {
  const inside = writable.filter((path) => path !== dir && holds(dir, path));
  if (inside.length === 0) return [dir];
  return readdirSync(dir)
    .map((name) => join(dir, name))
    .flatMap((path) => (inside.includes(path) ? [] : around(path, inside)));
}

/** A native helper that also forbids local sockets, where the sandbox's own package is installed for all; places of sockets are hidden anyway. */
function socketFilter(): string | undefined {
  const below = join('node_modules/@anthropic-ai/sandbox-runtime/vendor/seccomp', process.arch, 'apply-seccomp');
  const folders = [join(dirname(dirname(process.execPath)), 'lib'), '/usr/local/lib', '/usr/lib'];
  return folders.map((folder) => join(folder, below)).find((path) => existsSync(path));
}

const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

/** Runs a program on our own input and output, passes signals on, and gives the code it ended with. */
function run(argv: readonly string[], env: Record<string, string | undefined>): Promise<number> {
  return new Promise((resolve, reject) => {
    const [program = '', ...args] = argv;
    const child = spawn(program, args, { stdio: 'inherit', env });
    const pass = (signal: NodeJS.Signals) => child.kill(signal);
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, pass);
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? 128 + (constants.signals[signal ?? 'SIGKILL'] ?? 9)));
  });
}

main().then(
  (code) => process.exit(code),
  (thrown) => {
    process.stderr.write(`hAIveMind: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
    process.exit(FAILED);
  },
);
