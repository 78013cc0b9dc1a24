import type { Kysely, Migration } from 'kysely';
import { checkPluginName } from '../../domain/names.ts';
import { chunksOf } from '../chunks.ts';
import type { Tables } from '../tables/index.ts';

/** Machines could report holds under any name: one that no plugin can have warns at every plan, and no address of it can be written. */
export const namedOverrides: Migration = {
  async up(untyped: Kysely<unknown>): Promise<void> {
    const db = untyped as Kysely<Tables>;
    const rows = await db.selectFrom('overrides').select('plugin_name').distinct().execute();
    const nobodys = rows.map((row) => row.plugin_name).filter((name) => !canBeName(name));
    for (const chunk of chunksOf(nobodys)) await db.deleteFrom('overrides').where('plugin_name', 'in', chunk).execute();
  },
};

function canBeName(name: string): boolean {
  try {
    checkPluginName(name);
    return true;
  } catch {
    return false;
  }
}
