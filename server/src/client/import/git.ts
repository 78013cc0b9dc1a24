import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { HaiveError } from '../../domain/errors.ts';
import { withoutLogin } from '../../domain/redact.ts';

const TIMEOUT_MS = 300_000;
/** Line ends as other machines get them, whatever this one's owner likes in working copies. */
const AS_COMMITTED = ['-c', 'core.autocrlf=false', '-c', 'core.eol=lf'];

/**
 * The newest commit of a repository (or of `ref`: a branch, a tag, a commit) in the empty folder `into`, without history. Uses
 * the `git` of this machine with its owner's credentials; nothing of the repository is run.
 * @returns the commit
 * @throws HaiveError NOT_FOUND (git or the repository), BAD_REQUEST (a ref or address that reads as an option), TIMEOUT
 */
export async function cloneRepository(url: string, ref: string | undefined, into: string): Promise<string> {
  if (url.startsWith('-') || ref?.startsWith('-'))
    throw new HaiveError('BAD_REQUEST', `${url} ${ref ?? ''} is no repository`);
  const inIt = (...args: string[]): Promise<string> => git(['-C', into, ...args], withoutLogin(url));
  await git(['init', '--quiet', into], withoutLogin(url));
  await inIt('fetch', '--quiet', '--depth', '1', '--no-tags', '--no-recurse-submodules', url, ref ?? 'HEAD');
  await inIt(...AS_COMMITTED, 'checkout', '--quiet', '--detach', 'FETCH_HEAD');
  return (await inIt('rev-parse', 'HEAD')).trim();
}

// Windows looks for a program in the working folder first, which may be the one that is imported.
const OPTIONS = { cwd: tmpdir(), timeout: TIMEOUT_MS, maxBuffer: 8 * 1024 * 1024, windowsHide: true };
/** `ext::` and the like would run a program; prompts would hang. */
const SAFE = [
  ...['core.hooksPath=/dev/null', 'core.fsmonitor=false', 'core.askPass=true', 'submodule.recurse=false'],
  'protocol.allow=never',
  ...['https', 'http', 'ssh', 'git', 'file'].map((name) => `protocol.${name}.allow=always`),
].flatMap((setting) => ['-c', setting]);

/**
 * Runs git, told nothing by hooks and asking nobody. It reads the configuration of the repository that it is in: that must be ours.
 * @param what what it is about, for the message
 * @returns its standard output
 * @throws HaiveError NOT_FOUND, TIMEOUT
 */
export function git(args: string[], what: string): Promise<string> {
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
        fail(
          new HaiveError('NOT_FOUND', `git cannot read ${what}: ${reasonIn(stderr)}`, {
            cause: error,
            hint: 'Check the address and your access to it.',
          }),
        );
      }
    });
  });
}

/** The line that says why: git adds others behind every failure of another computer. */
function reasonIn(stderr: string): string {
  const lines = stderr.split(/\r?\n/).filter((line) => line.trim() !== '' && !/^(?:warning|hint):/i.test(line));
  const behind = lines.findIndex((line) => /^fatal: could not read from remote/i.test(line));
  const told = behind > 0 ? lines.slice(0, behind) : lines;
  const line = told.find((text) => /^(?:fatal|error): /.test(text)) ?? told.at(-1) ?? '';
  return line.replace(/^(?:fatal|error): /, '').slice(0, 200);
}
