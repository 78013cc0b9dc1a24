import { execFile } from 'node:child_process';
import { HaiveError } from '../../domain/errors.ts';

const TIMEOUT_MS = 300_000;

/**
 * The newest commit of a repository (or of `ref`: a branch, a tag, a commit) in the empty folder `into`, without history. Uses
 * the `git` of this machine with its owner's credentials; nothing of the repository is run.
 * @returns the commit
 * @throws HaiveError NOT_FOUND (git or the repository), BAD_REQUEST (a ref or address that reads as an option), TIMEOUT
 */
export async function cloneRepository(url: string, ref: string | undefined, into: string): Promise<string> {
  if (url.startsWith('-') || ref?.startsWith('-'))
    throw new HaiveError('BAD_REQUEST', `${url} ${ref ?? ''} is no repository`);
  await git(['init', '--quiet', into], url);
  await git(
    ['-C', into, 'fetch', '--quiet', '--depth', '1', '--no-tags', '--no-recurse-submodules', url, ref ?? 'HEAD'],
    url,
  );
  await git(['-C', into, 'checkout', '--quiet', '--detach', 'FETCH_HEAD'], url);
  return (await git(['-C', into, 'rev-parse', 'HEAD'], url)).trim();
}

/** The commit that a folder is at; null where it is no repository, or has changes that no commit holds. */
export async function commitOf(folder: string): Promise<string | null> {
  try {
    if ((await git(['-C', folder, 'status', '--porcelain', '--', '.'], folder)).trim() !== '') return null;
    return (await git(['-C', folder, 'rev-parse', 'HEAD'], folder)).trim();
  } catch {
    return null;
  }
}

const OPTIONS = { timeout: TIMEOUT_MS, maxBuffer: 8 * 1024 * 1024, windowsHide: true };
/** `ext::` and the like would run a program; prompts would hang. */
const SAFE = [
  ...['core.hooksPath=/dev/null', 'core.fsmonitor=false', 'core.askPass=true', 'protocol.allow=never'],
  ...['https', 'http', 'ssh', 'git', 'file'].map((name) => `protocol.${name}.allow=always`),
].flatMap((setting) => ['-c', setting]);

function git(args: string[], what: string): Promise<string> {
  return new Promise((done, fail) => {
    execFile('git', [...SAFE, ...args], OPTIONS, (error, stdout, stderr) => {
      if (error === null) done(stdout);
      else if (error.code === 'ENOENT')
        fail(
          new HaiveError('NOT_FOUND', 'There is no git on this machine', {
            cause: error,
            hint: 'Install git, or name a folder of this machine.',
          }),
        );
      else if (error.killed === true) fail(new HaiveError('TIMEOUT', `${what} took too long`, { cause: error }));
      else {
        const reason = stderr.trim().split('\n').at(-1)?.slice(0, 200) ?? '';
        fail(
          new HaiveError('NOT_FOUND', `git cannot read ${what}: ${reason}`, {
            cause: error,
            hint: 'Check the address and your access to it.',
          }),
        );
      }
    });
  });
}
