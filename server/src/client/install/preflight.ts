import { realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import semver from 'semver';
import { HaiveError } from '../../domain/errors.ts';
import { isJsonObject, readJson } from '../../domain/json/read.ts';
import { refuseForeignMarketplace } from '../../machine/claude/foreign-marketplace.ts';
import { checkReplaceable } from '../../machine/files/atomic-file.ts';
import { listDir, readFileOrNull } from '../../machine/files/file-port.ts';
import type { Layout } from '../../machine/receipts/index.ts';
import { findClaude } from '../claude-program.ts';
import type { ClientContext } from '../context.ts';

/** What would make an installation vain is found before anything is fetched: rights, the organisation's policy, the client's age. */

/** The first Claude Code that knows plugins and marketplaces. */
const OLDEST_CLIENT = '2.0.12';

/**
 * Looks at what the installation of anything in this layout needs. Reads only; starts no program.
 * @throws HaiveError READ_ONLY, PATH_OCCUPIED, MARKETPLACE_FORBIDDEN, NAME_CLASH for a marketplace of our name, CLIENT_TOO_OLD, SETTINGS_INVALID
 */
export async function checkBeforeInstall(ctx: ClientContext, layout: Layout): Promise<void> {
  const { paths } = ctx.machine;
  for (const path of [paths.receipts, paths.settings]) await checkReplaceable(path);
  // The loose layout is made for hosts that allow no marketplace; its files older clients read too.
  if (layout === 'loose') return checkReplaceable(paths.claudeJson);
  await refuseForeignMarketplace(ctx.machine);
  const barred = await forbiddenBy(ctx);
  if (barred !== null) {
    throw new HaiveError(
      'MARKETPLACE_FORBIDDEN',
      `${barred.file} (${barred.key}) keeps Claude Code from ${paths.root}`,
      {
        details: { ...barred, path: paths.root },
      },
    );
  }
  const version = await clientVersion(ctx);
  if (version !== null && semver.lt(version, OLDEST_CLIENT)) {
    throw new HaiveError(
      'CLIENT_TOO_OLD',
      `Claude Code ${version} loads no plugins; ${OLDEST_CLIENT} is the first that does`,
      {
        details: { version, oldest: OLDEST_CLIENT },
      },
    );
  }
}

export interface Forbidden {
  /** The managed settings that say so. */
  file: string;
  key: 'strictKnownMarketplaces' | 'allowedMarketplaces' | 'blockedMarketplaces';
}

/** What the client does on this system where no other folder is named. */
function managedFolder(platform: NodeJS.Platform): string {
  if (platform === 'darwin') return '/Library/Application Support/ClaudeCode';
  return platform === 'win32' ? 'C:\\Program Files\\ClaudeCode' : '/etc/claude-code';
}

/**
 * The managed settings that keep Claude Code from loading our marketplace folder, or null. An allow list binds where one is set,
 * and the folder must be named in it, by path or pattern; a block list binds whatever else is allowed.
 */
export async function forbiddenBy(ctx: ClientContext): Promise<Forbidden | null> {
  const folder = ctx.env.managedSettings ?? managedFolder(process.platform);
  const dropIns = (await listDir(join(folder, 'managed-settings.d')))
    .map((entry) => entry.name)
    .filter((name) => name.endsWith('.json') && !name.startsWith('.'));
  const files = [
    join(folder, 'managed-settings.json'),
    ...dropIns.map((name) => join(folder, 'managed-settings.d', name)),
  ];
  const here = ctx.machine.paths.root;
  for (const file of files) {
    const settings = readJson((await readFileOrNull(file).catch(() => null)) ?? undefined) ?? {};
    // Two names for one list; the client ignores the younger where both stand.
    for (const key of ['strictKnownMarketplaces', 'allowedMarketplaces'] as const) {
      const allowed = settings[key];
      if (key === 'allowedMarketplaces' && settings.strictKnownMarketplaces !== undefined) continue;
      if (Array.isArray(allowed) && !allowed.some((source) => names(source, here))) return { file, key };
    }
    const blocked = settings.blockedMarketplaces;
    if (Array.isArray(blocked) && blocked.some((source) => names(source, here)))
      return { file, key: 'blockedMarketplaces' };
  }
  return null;
}

/** Whether an entry of such a list means this folder. */
function names(source: unknown, folder: string): boolean {
  if (!isJsonObject(source)) return false;
  if (source.source === 'directory') return source.path === folder;
  if (source.source !== 'pathPattern' || typeof source.pathPattern !== 'string') return false;
  try {
    return new RegExp(source.pathPattern).test(folder);
  } catch {
    return false;
  }
}

/**
 * The version of the `claude` in PATH, read from where it lies (`…/versions/2.1.0`, or the package around it): starting it costs a
 * quarter of a second. Null where there is none, or it does not say.
 */
export async function clientVersion(ctx: ClientContext): Promise<string | null> {
  const found = await findClaude(ctx.env);
  const file = found === null ? null : await realpath(found).catch(() => null);
  if (file === null) return null;
  const named = /[\\/]versions[\\/]([^\\/]+)(?:[\\/]|$)/.exec(file)?.[1];
  if (named !== undefined && semver.valid(named) !== null) return named;
  for (let dir = dirname(file), up = 0; up < 3; dir = dirname(dir), up++) {
    const about = readJson((await readFileOrNull(join(dir, 'package.json')).catch(() => null)) ?? undefined);
    if (typeof about?.name === 'string' && about.name.startsWith('@anthropic-ai/claude-code'))
      return typeof about.version === 'string' ? semver.valid(about.version) : null;
  }
  return null;
}
