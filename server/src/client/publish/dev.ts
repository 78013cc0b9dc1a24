import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { HaiveError } from '../../domain/errors.ts';
import { type Finding, hasErrors } from '../../domain/findings/index.ts';
import { readJson } from '../../domain/json/read.ts';
import { checkPluginName } from '../../domain/names.ts';
import { type Change, translate } from '../../domain/translate/index.ts';
import { MANIFEST_PATH } from '../../domain/version/file-types.ts';
import { isLeftOut } from '../../domain/version/left-out.ts';
import { invalidPlugin } from '../../domain/version/package.ts';
import { showDev, shownTrees, stopDev } from '../../machine/dev-override.ts';
import { withLock } from '../../machine/processes/lock.ts';
import { readReceipts } from '../../machine/receipts/index.ts';
import type { ClientContext } from '../context.ts';
import { readAuthorFiles } from './author-files.ts';
import { allFindings } from './validate.ts';

export interface DevResult {
  name: string;
  findings: Finding[];
  changes: Change[];
  /** Files that the client sees differently now: `/reload-plugins` is due in open sessions when there are any. */
  written: string[];
  removed: string[];
}

/**
 * Shows a plugin's folder, translated, to this machine's client in the place of the installed one.
 * @throws HaiveError COMPONENT_INVALID (what was shown before stays), MANIFEST_MISSING, NAME_INVALID, LAYOUT_UNSUPPORTED, LOCKED, those
 * of reading and of files
 */
export async function devOnce(ctx: ClientContext, dir: string): Promise<DevResult> {
  const read = await readAuthorFiles(ctx, dir);
  const { files } = read;
  const findings = [...(await allFindings(ctx, files)), ...read.findings];
  if (hasErrors(findings)) throw invalidPlugin(findings);
  const translated = translate(files);
  const manifest = readJson(translated.files.find((f) => f.path === MANIFEST_PATH)?.bytes);
  if (manifest === undefined) throw new HaiveError('MANIFEST_MISSING', `There is no ${MANIFEST_PATH}`);
  const name = String(manifest.name ?? '');
  checkPluginName(name);
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  const plugin = {
    name,
    version: text(manifest.version) || '0.0.0',
    description: text(manifest.description),
    files: translated.files,
  };
  const shown = await withLock(ctx.machine, 'dev', () => showDev(ctx.machine, plugin, dir));
  return { name, findings, changes: translated.changes, ...shown };
}

/**
 * Ends the showing of a folder or of a plugin by name, or of all.
 * @returns their names
 * @throws HaiveError NOT_FOUND when nothing of it is shown, LOCKED, those of files
 */
export async function devStop(ctx: ClientContext, which?: { dir: string; name: string }): Promise<string[]> {
  const stopped = await withLock(ctx.machine, 'dev', () =>
    stopDev(ctx.machine, (name, from) => which === undefined || name === which.name || from === which.dir),
  );
  if (stopped.length > 0) return stopped;
  const shown = shownTrees(await readReceipts(ctx.machine));
  throw new HaiveError('NOT_FOUND', 'Nothing of it is shown by `hv dev` here', {
    hint: shown.length === 0 ? 'No plugin is: nothing has to be ended.' : `Shown is ${shown.join(', ')}.`,
  });
}

export interface DevWatch {
  signal: AbortSignal;
  onShown(result: DevResult): void;
  onError(error: unknown): void;
  /** Milliseconds between looks at the folder; more where a look takes long. */
  everyMs?: number;
}

/** Shows the folder, and again after every save, until the signal. What was shown last stays. */
export async function devWatch(ctx: ClientContext, dir: string, watch: DevWatch): Promise<void> {
  let seen = '';
  while (!watch.signal.aborted) {
    const started = performance.now();
    try {
      const now = await stamp(dir);
      if (now !== seen) {
        // An editor writes in several steps: only what has come to rest is shown.
        await pause(100, watch.signal);
        if ((await stamp(dir)) !== now) continue;
        seen = now;
        watch.onShown(await devOnce(ctx, dir));
      }
    } catch (error) {
      watch.onError(error);
    }
    await pause(Math.max(watch.everyMs ?? 300, (performance.now() - started) * 3), watch.signal);
  }
}

/** Everything that tells one state of a folder from another without reading it. */
async function stamp(dir: string): Promise<string> {
  const parts: string[] = [];
  const look = async (segments: readonly string[]): Promise<void> => {
    for (const entry of await readdir(join(dir, ...segments), { withFileTypes: true }).catch(() => [])) {
      const inside = [...segments, entry.name];
      if (isLeftOut(inside)) continue;
      if (entry.isDirectory()) await look(inside);
      else {
        const info = await lstat(join(dir, ...inside)).catch(() => null);
        parts.push(`${inside.join('/')} ${info?.mtimeMs} ${info?.size} ${info?.mode}`);
      }
    }
  };
  await look([]);
  return parts.sort().join('\n');
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      done();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}
