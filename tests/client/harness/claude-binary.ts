// The pinned real client. It is installed once a machine into a cache of the tests' own, never into this package.
import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, relative } from 'node:path';

const CLAUDE_VERSION = '2.1.330';

let located: Promise<string> | undefined;

/** The absolute path of the client's native binary; installs it on first use. Throws when npm cannot install it. */
export function claudeBinary(): Promise<string> {
  located ??= locate();
  return located;
}

async function locate(): Promise<string> {
  const cache = process.env.HAIVEMIND_TEST_CACHE ?? join(homedir(), '.cache', 'haivemind-tests');
  const home = join(cache, `claude-code-${CLAUDE_VERSION}`);
  const binary = join(home, 'node_modules', platformPackage(), process.platform === 'win32' ? 'claude.exe' : 'claude');
  if (await runnable(binary)) return binary;
  await mkdir(cache, { recursive: true });
  const staging = await mkdtemp(join(cache, '.installing-'));
  try {
    await writeFile(join(staging, 'package.json'), '{"name":"claude-code-for-tests","private":true}\n');
    await npmInstall(staging);
    if (!(await runnable(join(staging, relative(home, binary)))))
      throw new Error(`npm installed no ${platformPackage()} in ${staging}`);
    // Another test process may have finished first, or an older half install may lie there: the complete one wins.
    await rename(staging, home).catch(async (error: NodeJS.ErrnoException) => {
      if (await runnable(binary)) return;
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST' && error.code !== 'EPERM') throw error;
      await rm(home, { recursive: true, force: true });
      await rename(staging, home);
    });
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  return binary;
}

function platformPackage(): string {
  return `@anthropic-ai/claude-code-${process.platform}-${process.arch}${isMusl() ? '-musl' : ''}`;
}

function isMusl(): boolean {
  if (process.platform !== 'linux') return false;
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report.header?.glibcVersionRuntime === undefined;
}

async function runnable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function npmInstall(prefix: string): Promise<void> {
  const npm = process.platform === 'win32' ? join(dirname(process.execPath), 'npm.cmd') : 'npm';
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', '--prefix', prefix];
  return new Promise((resolve, reject) => {
    const child = spawn(npm, [...args, `@anthropic-ai/claude-code@${CLAUDE_VERSION}`], { cwd: prefix, stdio: 'pipe' });
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    child.stderr.on('data', (chunk) => {
      output += chunk;
    });
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`npm could not install claude-code ${CLAUDE_VERSION}: ${output}`)),
    );
  });
}
