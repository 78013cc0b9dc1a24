import type { Kysely, Migration } from 'kysely';
import type { Tables } from '../tables/index.ts';

/** Surfaces that were kept before monitors, modules and odd forms of servers were seen: they are computed anew from the stored bytes. */
export const surfacesAnew: Migration = {
  async up(untyped: Kysely<unknown>): Promise<void> {
    await (untyped as Kysely<Tables>).deleteFrom('plugin_surfaces').execute();
  },
};
