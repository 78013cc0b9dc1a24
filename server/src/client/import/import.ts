import type { Reply } from '../../contract/endpoints.ts';
import { ORIGIN_HEADER } from '../../contract/headers.ts';
import { operatorsInWords } from '../../domain/approval.ts';
import { HaiveError, toHaiveError } from '../../domain/errors.ts';
import { isUndeclared } from '../../domain/surface/change.ts';
import type { Surface } from '../../domain/surface/index.ts';
import { meantHint } from '../../domain/validate/suggest.ts';
import { type ClientContext, hubFor, proxiesOf } from '../context.ts';
import type { HubClient } from '../hub/hub-client.ts';
import { type PublishTarget, targetBody } from '../publish/index.ts';
import { requireMayPublish } from '../publish/may-publish.ts';
import { known } from '../trust/revoked-content.ts';
import { type CatalogueRow, parseCatalogue } from './catalogue.ts';
import { readEntry } from './entry.ts';
import type { EntryJob } from './given.ts';
import { openSource } from './open-source.ts';
import { zipFiles } from './zip.ts';

export interface ImportOptions {
  /** Only these entries. */
  only?: string[] | undefined;
  /** Publish what is imported. */
  publish?: PublishTarget | undefined;
  /** Only say what would be imported. */
  dryRun?: boolean | undefined;
}

export interface ImportedPlugin {
  name: string;
  version: string | null;
  /** `unchanged`: the registry has these very bytes. */
  status: 'imported' | 'unchanged' | 'failed';
  id: string | null;
  /** Where it came from: address, commit, folder. */
  origin: string | null;
  published: boolean;
  /** Why it waits for an operator, all of it or for some groups; null where it does not. */
  held: string | null;
  /** Somebody deprecated it: it is not offered again because it is imported again. */
  deprecated: boolean;
  /** What it does and does not declare; null where there is nothing to accept. */
  surface: Surface | null;
  /** How many places translation changed. */
  changes: number;
  warnings: number;
  /** Why it failed. */
  code: string | null;
  message: string | null;
}

export interface ImportReport {
  origin: string;
  commit: string | null;
  plugins: ImportedPlugin[];
  imported: number;
  unchanged: number;
  failed: number;
}

export type ImportProgress = (done: number, total: number, name: string) => void;

function absentFrom(names: readonly string[], absent: readonly string[]): HaiveError {
  const has = `It has ${names.slice(0, 10).join(', ')}${names.length > 10 ? ` and ${names.length - 10} more` : ''}.`;
  return new HaiveError('NOT_FOUND', `The marketplace has no ${absent.join(', ')}`, {
    hint: has,
    ...meantHint(absent[0] ?? '', names),
  });
}

/**
 * Takes every plugin of a marketplace into the registry. One that cannot be taken never stops the rest; what the registry has
 * already is left alone, so a run that was stopped goes on where it was.
 * @throws HaiveError NOT_FOUND, CATALOGUE_INVALID, BAD_REQUEST, FORBIDDEN (it may not publish: nothing is taken) and those
 * of the hub that concern the whole (UNAUTHENTICATED …)
 */
export async function importMarketplace(
  ctx: ClientContext,
  from: string,
  cwd: string,
  options: ImportOptions = {},
  onProgress?: ImportProgress,
): Promise<ImportReport> {
  const source = await openSource(from, cwd, proxiesOf(ctx));
  const hub = await hubFor(ctx, 'author');
  try {
    if (options.publish !== undefined) await requireMayPublish(hub, 'Run it without --publish');
    const { name: marketplace, rows, pluginRoot } = parseCatalogue(source.catalogue, source.origin);
    const wanted = options.only === undefined ? rows : rows.filter((r) => options.only?.includes(r.name));
    const absent = (options.only ?? []).filter((name) => !rows.some((r) => r.name === name));
    if (absent.length > 0)
      throw absentFrom(
        rows.map((r) => r.name),
        absent,
      );
    const plugins: ImportedPlugin[] = [];
    const maxBytes = ctx.config.plugins.max_plugin_size_mb * 1024 * 1024;
    for (const row of wanted) {
      plugins.push(await importOne(hub, row, { source, pluginRoot, marketplace, maxBytes, clock: ctx.clock }, options));
      onProgress?.(plugins.length, wanted.length, row.name);
    }
    if (options.publish !== undefined && options.dryRun !== true) await publishAll(hub, plugins, options.publish);
    const count = (status: string): number => plugins.filter((p) => p.status === status).length;
    const { origin, commit } = source;
    return {
      origin,
      commit,
      plugins,
      imported: count('imported'),
      unchanged: count('unchanged'),
      failed: count('failed'),
    };
  } finally {
    hub.close();
    await source.close();
  }
}

/** Faults of the connection or of the token end the whole import: the next plugin would fail alike. */
const ENDS_ALL = new Set([
  'HUB_UNREACHABLE',
  'UNAUTHENTICATED',
  'TOKEN_INVALID',
  'SHUTTING_DOWN',
  'HUB_ANSWER_INVALID',
  'UPGRADE_REQUIRED',
]);

async function importOne(
  hub: HubClient,
  row: CatalogueRow,
  job: EntryJob,
  options: ImportOptions,
): Promise<ImportedPlugin> {
  const failed = (code: string, message: string): ImportedPlugin => ({
    ...{ name: row.name, version: null, status: 'failed', id: null, origin: null, published: false },
    ...{ held: null, deprecated: false, surface: null, changes: 0, warnings: 0, code, message },
  });
  if (row.entry === null) return failed('CATALOGUE_INVALID', row.fault ?? 'the entry cannot be read');
  try {
    const { packed, files, origin, same } = await readEntry(row.entry, job, (ref) => known(hub, ref));
    const { name, version } = packed.record;
    const common = {
      ...{ name, version, origin, published: false, held: null, code: null, message: null },
      deprecated: same?.status === 'deprecated',
      surface: isUndeclared(packed.manifest.raw, packed.surface) ? packed.surface : null,
      changes: packed.changes.length,
      warnings: packed.findings.filter((f) => f.severity === 'warning').length,
    };
    if (same !== null) return { ...common, status: 'unchanged', id: same.id };
    if (options.dryRun === true) return { ...common, status: 'imported', id: null };
    const headers = { 'content-type': 'application/zip', [ORIGIN_HEADER]: encodeURI(origin).slice(0, 2000) };
    const { id } = await hub.call('register', { body: await zipFiles(files), headers, timeoutMs: 120_000 });
    return { ...common, status: 'imported', id };
  } catch (thrown) {
    const error = toHaiveError(thrown);
    if (ENDS_ALL.has(error.code)) throw error;
    return failed(error.code, error.message);
  }
}

/** Publishes in as many rounds as dependencies among the plugins need. */
async function publishAll(hub: HubClient, plugins: ImportedPlugin[], target: PublishTarget): Promise<void> {
  let waiting = plugins.filter((p) => p.id !== null && !p.deprecated);
  for (let before = -1; waiting.length > 0 && waiting.length !== before; ) {
    before = waiting.length;
    const again: ImportedPlugin[] = [];
    for (const plugin of waiting) {
      try {
        const told = await hub.call('publish', {
          body: {
            plugin_id: plugin.id ?? '',
            ...targetBody(target),
            accept_surface: target.accept === true,
          },
        });
        Object.assign(plugin, { published: told.held === undefined, held: waitsFor(told), code: null, message: null });
      } catch (thrown) {
        const error = toHaiveError(thrown);
        if (ENDS_ALL.has(error.code)) throw error;
        Object.assign(plugin, { code: error.code, message: error.message });
        if (error.code === 'DEPENDENCY_MISSING') again.push(plugin);
      }
    }
    waiting = again;
  }
}

function waitsFor({ held, withheld }: Reply<'publish'>): string | null {
  if (held !== undefined) return held.reason;
  return withheld === undefined
    ? null
    : `${withheld.groups.join(', ')} take only what ${operatorsInWords(withheld.approvals)} approved`;
}
