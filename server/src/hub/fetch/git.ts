import { execFile } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HaiveError } from '../../domain/errors.ts';
import { checkPath } from '../../domain/safe-path.ts';
import { timeLimit } from '../../domain/time-limit.ts';
import { closed, type FetchLimits, isAllowedHost, isPublicAddress, parseSourceUrl } from './url.ts';

/** What a git plugin_url names: `https://host/repo.git`, `#REF` and `:FOLDER` behind it. */
export interface GitAddress {
  url: URL;
  ref: string;
  folder: string;
}

/** Whether a plugin_url names a repository: its path ends in `.git`, or it starts with `git+`. */
export function isGitUrl(text: string): boolean {
  return /^git\+https?:\/\//i.test(text) || /^https?:\/\/[^#?]+\.git\/?(?:#|$)/i.test(text);
}

/** @throws HaiveError BAD_REQUEST, PATH_UNSAFE */
export function parseGitUrl(text: string): GitAddress {
  const cut = text.indexOf('#');
  const url = parseSourceUrl((cut === -1 ? text : text.slice(0, cut)).replace(/^git\+/i, ''));
  const [ref = '', folder = ''] = cut === -1 ? [] : text.slice(cut + 1).split(':', 2);
  if (ref !== '' && (!/^[\w][\w./+-]*$/.test(ref) || ref.includes('..')))
    throw new HaiveError('BAD_REQUEST', 'The ref of plugin_url is not one');
  return { url, ref: ref || 'HEAD', folder: folder === '' ? '' : checkPath(folder.replace(/\/+$/, '')) };
}

/**
 * Fetches one commit of a repository and gives it as a zip. The host must be public or allowed; git is told the address that was
 * checked, follows no redirect, reads no configuration and runs nothing of the repository.
 * @throws HaiveError BAD_REQUEST, FORBIDDEN (closed address), NOT_FOUND, SOURCE_UNSUPPORTED (a submodule), PLUGIN_TOO_LARGE, TIMEOUT
 */
export async function fetchGit(text: string, limits: FetchLimits): Promise<{ zip: Buffer; commit: string }> {
  const { url, ref, folder } = parseGitUrl(text);
  const pinned = await pinAddress(url, limits.allowedHosts);
  const work = await mkdtemp(join(tmpdir(), 'hv-git-'));
  const deadline = timeLimit(limits.timeoutMs ?? 120_000);
  const tooLarge = new AbortController();
  const watch = setInterval(() => {
    sizeOf(work).then(
      (size) => size > limits.maxBytes * 2 && tooLarge.abort(),
      () => undefined,
    );
  }, 250);
  const git = (args: string[], maxBuffer = 1024 * 1024): Promise<Buffer> =>
    run(['-C', work, ...SETTINGS, ...pinned, ...args], work, AbortSignal.any([deadline, tooLarge.signal]), maxBuffer);
  try {
    await git(['init', '--quiet', '--bare']);
    await git(['fetch', '--quiet', '--depth', '1', '--no-tags', '--no-recurse-submodules', url.href, ref]);
    const commit = (await git(['rev-parse', 'FETCH_HEAD^{commit}'])).toString().trim();
    const tree = folder === '' ? commit : `${commit}:${folder}`;
    refuseSubmodules(await git(['ls-tree', '-r', '-z', tree], limits.maxBytes * 2));
    const zip = await git(['archive', '--format=zip', tree], limits.maxBytes * 2);
    return { zip, commit };
  } catch (thrown) {
    if (thrown instanceof HaiveError) throw thrown;
    if (tooLarge.signal.aborted || (thrown as { code?: unknown }).code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER')
      throw new HaiveError('PLUGIN_TOO_LARGE', `The repository is over ${limits.maxBytes} bytes`, { cause: thrown });
    if (deadline.aborted) throw new HaiveError('TIMEOUT', `${url.host} took too long`, { cause: thrown });
    throw new HaiveError('NOT_FOUND', `git cannot read ${url.host}${url.pathname} at ${ref}${folder && `:${folder}`}`, {
      cause: thrown,
      hint: 'Check the address, the ref and the folder; the hub reads public repositories only.',
    });
  } finally {
    clearInterval(watch);
    await rm(work, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** What a plugin lacks with a submodule, only its author knows. */
function refuseSubmodules(listing: Buffer): void {
  const path = /(?:^|\0)160000 commit [0-9a-f]+\t([^\0]*)/.exec(listing.toString())?.[1];
  if (path === undefined) return;
  throw new HaiveError('SOURCE_UNSUPPORTED', `${path.slice(0, 200)} is a git submodule, which the hub does not fetch`, {
    hint: 'Clone it with --recurse-submodules and send that folder with `hv register`.',
  });
}

const SETTINGS = [
  'core.hooksPath=/dev/null',
  'credential.helper=',
  'http.followRedirects=false',
  'http.proxy=',
  'http.lowSpeedLimit=1000',
  'http.lowSpeedTime=20',
  'protocol.allow=never',
  'protocol.https.allow=always',
  'protocol.http.allow=always',
].flatMap((setting) => ['-c', setting]);

/** Resolves the host once and tells git to connect there and nowhere else. */
async function pinAddress(url: URL, allowedHosts: readonly string[]): Promise<string[]> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const allowed = isAllowedHost(url, allowedHosts);
  if (isIP(host) !== 0) {
    if (!allowed && !isPublicAddress(host)) throw closed(url.hostname);
    return [];
  }
  let addresses: { address: string }[];
  try {
    addresses = await lookup(host, { all: true });
  } catch (cause) {
    throw new HaiveError('NOT_FOUND', `${url.host} cannot be found`, { cause, hint: 'Check plugin_url.' });
  }
  const open = allowed ? addresses : addresses.filter((a) => isPublicAddress(a.address));
  const first = open[0]?.address;
  if (first === undefined) throw closed(url.hostname);
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return ['-c', `http.curloptResolve=${host}:${port}:${isIP(first) === 6 ? `[${first}]` : first}`];
}

function run(args: string[], home: string, signal: AbortSignal, maxBuffer: number): Promise<Buffer> {
  const env = {
    PATH: PATH_OF_GIT,
    HOME: home,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
  };
  return new Promise((done, fail) => {
    execFile(
      'git',
      args,
      { env, signal, maxBuffer, encoding: 'buffer', killSignal: 'SIGKILL', windowsHide: true },
      (error, stdout) => {
        if (error === null) done(stdout);
        else if (error.code === 'ENOENT')
          fail(new HaiveError('NOT_FOUND', "There is no git on the hub's host", { hint: 'Send a zip instead.' }));
        else fail(error);
      },
    );
  });
}

const PATH_OF_GIT = '/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin';

async function sizeOf(folder: string): Promise<number> {
  let size = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile())
      size += await stat(join(entry.parentPath ?? entry.path, entry.name)).then(
        (s) => s.size,
        () => 0,
      );
  }
  return size;
}
