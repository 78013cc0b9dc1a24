import { sql } from 'kysely';
import { chunksOf, inChunks } from '../chunks.ts';
import type { Tx } from '../tables/index.ts';

/** On how many machines each plugin is installed, kept up by whoever writes installations: each with the machine's row locked. */

/** States of a plugin that is there (any version), not one that only arrives, nor failed. */
export const INSTALLED = ['verified', 'loaded', 'waiting', 'disabled'];

/** Names of the plugins that count among what a machine reported. */
export function countedNames(plugins: Iterable<{ name: string; state: string }>): Set<string> {
  const names = new Set<string>();
  for (const { name, state } of plugins) if (INSTALLED.includes(state)) names.add(name);
  return names;
}

/** Notes what one machine had and has now. */
export async function moveCounts(tx: Tx, before: ReadonlySet<string>, after: ReadonlySet<string>): Promise<void> {
  const came = [...after].filter((name) => !before.has(name)).map((name) => ({ name, machines: 1 }));
  const went = [...before].filter((name) => !after.has(name)).map((name) => ({ name, machines: -1 }));
  // In one order, so that two machines never wait for each other crosswise.
  const moved = [...came, ...went].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const rows of chunksOf(moved)) {
    await tx
      .insertInto('installation_counts')
      .values(rows)
      .onConflict((oc) =>
        oc
          .column('name')
          .doUpdateSet((eb) => ({ machines: eb('installation_counts.machines', '+', eb.ref('excluded.machines')) })),
      )
      .execute();
  }
}

/** Machines that report each of these plugins installed; none is left out where there are none. */
export async function installationCounts(tx: Tx, names: readonly string[]): Promise<Map<string, number>> {
  const rows = await inChunks(names, (chunk) =>
    tx.selectFrom('installation_counts').selectAll().where('name', 'in', chunk).where('machines', '>', 0).execute(),
  );
  return new Map(rows.map((r) => [r.name, r.machines]));
}

/** Counts all anew, for a database that was filled from elsewhere. */
export async function recount(tx: Tx): Promise<void> {
  await tx.deleteFrom('installation_counts').execute();
  await sql`insert into installation_counts (name, machines)
    select name, count(distinct machine_id) from plugin_installations
     where status in (${sql.join(INSTALLED.map((state) => sql.lit(state)))}) group by name`.execute(tx);
}
