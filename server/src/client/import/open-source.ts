import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HaiveError } from '../../domain/errors.ts';
import type { ProxySettings } from '../../domain/proxy.ts';
import { withoutLogin } from '../../domain/redact.ts';
import { unreadable } from '../../machine/read-plugin.ts';
import { createSender } from '../hub/http.ts';
import { readAll } from '../hub/http-body.ts';
import { githubUrl, parseCatalogue } from './catalogue.ts';
import { cloneRepository } from './git.ts';
import { commitOf } from './working-copy.ts';

/** A marketplace that is being imported. */
export interface OpenSource {
  /** Its folder; null for a catalogue fetched alone. */
  root: string | null;
  catalogue: string;
  /** What is said of where it comes from: a path, a git address, an address; without a login. */
  origin: string;
  commit: string | null;
  /** Fetches another repository that an entry names, each only once. */
  repository(url: string, ref: string | undefined): Promise<{ folder: string; commit: string }>;
  close(): Promise<void>;
}

const CATALOGUE = '.claude-plugin/marketplace.json';
const MAX_CATALOGUE = 10 * 1024 * 1024;

/**
 * Opens a folder, a marketplace.json with the folder that it is in, a git address, `owner/repo[@ref]`, or the address of a
 * marketplace.json.
 * @throws HaiveError NOT_FOUND, CATALOGUE_INVALID, BAD_REQUEST, TIMEOUT, HUB_UNREACHABLE (the address does not answer)
 */
export async function openSource(source: string, cwd: string, proxies?: ProxySettings): Promise<OpenSource> {
  const work = await mkdtemp(join(tmpdir(), 'hv-import-'));
  const clones = new Map<string, Promise<{ folder: string; commit: string }>>();
  const repository = (url: string, ref: string | undefined) => {
    const key = JSON.stringify([url, ref]);
    const known = clones.get(key);
    if (known !== undefined) return known;
    const folder = join(work, String(clones.size));
    const cloned = cloneRepository(url, ref, folder).then((commit) => ({ folder, commit }));
    clones.set(key, cloned);
    return cloned;
  };
  const base = { repository, close: () => rm(work, { recursive: true, force: true, maxRetries: 3 }) };
  try {
    const path = resolve(cwd, source);
    if ((await kindOf(path)) === 'folder')
      return { ...base, ...(await folderSource(path)), origin: path, commit: await commitOf(path, work) };
    for (const file of [path, pathIn(source)])
      if ((await kindOf(file)) === 'file') {
        const root = rootOf(file);
        return {
          ...base,
          root,
          catalogue: await readCatalogue(file),
          origin: root,
          commit: await commitOf(root, work),
        };
      }
    if (/^https?:\/\/.*\.json(?:[?#].*)?$/.test(source))
      return {
        ...base,
        root: null,
        catalogue: await fetchText(source, proxies),
        origin: withoutLogin(source),
        commit: null,
      };
    const [url, ref] = gitAddress(source);
    const { folder, commit } = await repository(url, ref);
    return { ...base, ...(await folderSource(folder)), origin: withoutLogin(url), commit };
  } catch (thrown) {
    await base.close();
    throw thrown;
  }
}

async function kindOf(path: string): Promise<'folder' | 'file' | null> {
  const info = await stat(path).catch(() => null);
  return info?.isDirectory() ? 'folder' : info?.isFile() ? 'file' : null;
}

/** The path that a file address names; empty where it is none of this machine. */
function pathIn(address: string): string {
  try {
    return fileURLToPath(address);
  } catch {
    return '';
  }
}

/** The marketplace that a catalogue is of. */
function rootOf(file: string): string {
  const folder = dirname(file);
  return basename(folder) === dirname(CATALOGUE) ? dirname(folder) : folder;
}

/** @throws HaiveError CATALOGUE_INVALID (no JSON, as for any other file that is named), IO_ERROR */
async function readCatalogue(file: string): Promise<string> {
  try {
    const text = (await stat(file)).size > MAX_CATALOGUE ? '' : await readFile(file, 'utf8');
    parseCatalogue(text, file);
    return text;
  } catch (error) {
    throw unreadable(error, file);
  }
}

async function folderSource(root: string): Promise<{ root: string; catalogue: string }> {
  try {
    return { root, catalogue: await readFile(join(root, CATALOGUE), 'utf8') };
  } catch (cause) {
    throw new HaiveError('NOT_FOUND', `There is no ${CATALOGUE} in ${basename(root)}`, {
      cause,
      hint: 'Name a marketplace; a single plugin is taken by `hv register`.',
    });
  }
}

/** `owner/repo[@ref]`, or a git address with `#ref`. */
function gitAddress(source: string): [url: string, ref: string | undefined] {
  const short = /^([\w-][\w.-]*\/[\w-][\w.-]*?)(?:@(.+))?$/.exec(source);
  if (short?.[1] !== undefined) return [githubUrl(short[1]), short[2]];
  if (!/^(?:https?|ssh|git|file):\/\/|^[\w.-]+@[\w.-]+:|\.git$/.test(source)) {
    throw new HaiveError('NOT_FOUND', `There is nothing at ${source.slice(0, 200)}`, {
      hint: 'Name a folder, a marketplace.json or its address, owner/repo, or a git address.',
    });
  }
  const cut = source.indexOf('#');
  return cut === -1 ? [source, undefined] : [source.slice(0, cut), source.slice(cut + 1)];
}

async function fetchText(address: string, proxies: ProxySettings | undefined): Promise<string> {
  const sender = createSender(undefined, proxies);
  try {
    let url = new URL(address);
    for (let left = 5; left >= 0; left--) {
      const answer = await sender.send({
        method: 'GET',
        url,
        headers: { accept: 'application/json' },
        timeoutMs: 30_000,
      });
      const { location } = answer.headers;
      if (answer.status >= 300 && answer.status < 400 && location !== undefined) {
        answer.body.resume();
        url = new URL(location, url);
        if (url.protocol !== 'http:' && url.protocol !== 'https:') break;
        continue;
      }
      if (answer.status === 200) return (await readAll(answer, MAX_CATALOGUE)).toString('utf8');
      answer.body.resume();
      throw new HaiveError('NOT_FOUND', `${url.host} answers ${answer.status}`, {
        hint: 'Check the address of the marketplace: it leads to a marketplace.json or a git repository.',
      });
    }
    throw new HaiveError('BAD_REQUEST', `${withoutLogin(address).slice(0, 200)} redirects too often or elsewhere`);
  } finally {
    sender.close();
  }
}
