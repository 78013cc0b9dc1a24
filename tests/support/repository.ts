// The repository as a person gets it: a copy of its files with bundles in server/dist, built at most once a test run.
import { execFile, execFileSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url)).replace(/[\\/]$/, '');

/** Set by tests/global-setup.ts to a folder of this test run, below node_modules so that the hub finds its natives. */
export const RUN_FOLDER_VARIABLE = 'HAIVEMIND_TEST_RUN';

/** Set there too: the same in the system's temporary folder, where no node_modules lies anywhere above. */
export const BARE_FOLDER_VARIABLE = 'HAIVEMIND_TEST_BARE';

let ready: Promise<string> | undefined;

/** The root of a copy of this repository with built bundles. The hub's native modules are found from it. */
export function builtRepository(): Promise<string> {
  ready ??= build();
  return ready;
}

/** `server/dist` of builtRepository(). */
export async function buildDist(): Promise<string> {
  return join(await builtRepository(), 'server', 'dist');
}

/** The same copy where nothing can be found but what it holds itself: how an installed plugin lies on a machine. */
export async function bareRepository(): Promise<string> {
  await builtRepository();
  return join(folder(BARE_FOLDER_VARIABLE), 'haivemind-core');
}

/** A fresh copy of the repository with built bundles, in a temporary folder with no node_modules anywhere above it. */
export async function pluginCopy(): Promise<{ root: string; remove(): Promise<void> }> {
  const built = await builtRepository();
  const parent = await mkdtemp(join(await realpath(tmpdir()), 'hv copy-'));
  const root = join(parent, 'haivemind-core');
  await cp(built, root, { recursive: true });
  return { root, remove: () => rm(parent, { recursive: true, force: true }) };
}

async function build(): Promise<string> {
  const run = folder(RUN_FOLDER_VARIABLE);
  const [root, claim, failure] = [join(run, 'repository'), join(run, 'claim'), join(run, 'failed')];
  try {
    await mkdir(claim);
  } catch {
    // Another worker builds: wait for what comes of it.
    while (!(await exists(root))) {
      if (await exists(failure)) throw new Error('the bundles did not build; see the first failure');
      await sleep(50);
    }
    return root;
  }
  try {
    const staging = join(run, 'staging');
    await copyFiles(staging);
    const dist = process.env.HAIVEMIND_TEST_DIST;
    if (dist) await cp(dist, join(staging, 'server', 'dist'), { recursive: true });
    else await bundle(join(staging, 'server', 'dist'));
    await cp(staging, join(folder(BARE_FOLDER_VARIABLE), 'haivemind-core'), { recursive: true });
    await rename(staging, root);
    return root;
  } catch (error) {
    await writeFile(failure, String(error));
    throw error;
  }
}

function folder(variable: string): string {
  const value = process.env[variable];
  if (!value) throw new Error(`${variable} is unset: tests/global-setup.ts has not run`);
  return value;
}

async function copyFiles(to: string): Promise<void> {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: REPOSITORY,
    encoding: 'utf8',
  });
  for (const path of listed.split('\0').filter((name) => name !== '' && !name.startsWith('server/dist/'))) {
    await mkdir(dirname(join(to, path)), { recursive: true });
    // A file that git lists and somebody has just deleted is no part of the repository any more.
    await cp(join(REPOSITORY, path), join(to, path)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }
}

function bundle(to: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, HAIVEMIND_DIST: `${to}/` };
    execFile(process.execPath, [join(REPOSITORY, 'build.mjs')], { cwd: REPOSITORY, env }, (error, stdout, stderr) =>
      error ? reject(new Error(`build.mjs failed\n${stdout}\n${stderr}`)) : resolve(),
    );
  });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
