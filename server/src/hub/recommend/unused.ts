import { contextCost } from '../../domain/version/context-cost.ts';
import { decodeBlob, readBlobs } from '../../storage/queries/blobs.ts';
import { installationsOf } from '../../storage/queries/installations.ts';
import { filesOf } from '../../storage/queries/plugins.ts';
import { countedSince, usageByMachine } from '../../storage/queries/usage.ts';
import type { Store } from '../../storage/store.ts';
import type { HubContext } from '../context.ts';
import type { Catalogue } from '../registry/snapshot.ts';
import { COUNTS_KEPT_DAYS, daysBefore } from '../usage/days.ts';

/** A plugin that came later, or a machine that counts for less long, has not been tried enough to say anything. */
const TRIED_DAYS = 14;
/** Components whose use is counted; a hook works unseen. */
const COUNTED = ['command', 'agent', 'skill', 'mcp'];

/** Versions never change, so neither does what they cost. */
const costs = new Map<string, number>();
const MAX_COSTS = 10_000;

/** What stands in every session's context on this machine and was not used, as far as was counted; the dearest first. */
export async function unusedOn(hub: HubContext, catalogue: Catalogue, machineId: string) {
  const { read } = hub.store;
  const now = hub.clock();
  const tried = daysBefore(now, TRIED_DAYS);
  const since = await countedSince(read, machineId);
  if (since === undefined || since > tried) return [];
  const used = new Set(
    (await usageByMachine(read, daysBefore(now, COUNTS_KEPT_DAYS), machineId)).map((row) => row.plugin_name),
  );
  const found: { name: string; version: string; tokens: number; text: string }[] = [];
  const installed = await installationsOf(read, machineId);
  for (const { name, version, installedAt } of installed) {
    if (used.has(name) || installedAt.slice(0, 10) > tried) continue;
    const known = catalogue.plugins.get(name)?.find((v) => v.version === version);
    if (known === undefined || !known.components.some((c) => COUNTED.includes(c))) continue;
    // Somebody relies on what others require, whoever is seen to call it.
    if (isRequired(catalogue, name, installed)) continue;
    const tokens = await alwaysOn(hub.store, known.id);
    if (tokens === 0) continue;
    const from = since > installedAt.slice(0, 10) ? since : installedAt.slice(0, 10);
    found.push({
      name,
      version,
      tokens,
      text: `takes about ${tokens} tokens of every session, and no use was counted here since ${from}`,
    });
  }
  return found.sort((a, b) => b.tokens - a.tokens || (a.name < b.name ? -1 : 1));
}

function isRequired(
  catalogue: Catalogue,
  name: string,
  installed: readonly { name: string; version: string }[],
): boolean {
  return installed.some((p) => {
    const version = catalogue.plugins.get(p.name)?.find((v) => v.version === p.version);
    return version?.dependencies.some((d) => d.kind === 'required' && d.name === name) === true;
  });
}

async function alwaysOn(store: Store, id: string): Promise<number> {
  const known = costs.get(id);
  if (known !== undefined) return known;
  const files = (await filesOf(store.read, id)).filter((f) => /\.(md|json)$/i.test(f.path));
  const blobs = new Map(
    (
      await readBlobs(
        store.read,
        files.map((f) => f.sha256),
      )
    ).map((b) => [b.sha256, b]),
  );
  const sources = await Promise.all(
    files.flatMap(({ path, sha256 }) => {
      const blob = blobs.get(sha256);
      return blob === undefined ? [] : [decodeBlob(blob).then((bytes) => ({ path, bytes, executable: false }))];
    }),
  );
  const { always } = contextCost(sources);
  if (costs.size >= MAX_COSTS) costs.clear();
  costs.set(id, always);
  return always;
}
