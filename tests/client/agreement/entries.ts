// Plugins that are only an entry of a marketplace: no plugin.json in their folder, the entry (`strict: false`) is their manifest.
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { locate, parseCatalogue } from '../../../server/src/client/import/catalogue.ts';
import { entryFiles } from '../../../server/src/client/import/entry-files.ts';
import { MANIFEST_PATH } from '../../../server/src/domain/version/file-types.ts';
import { readPlugin } from '../../../server/src/machine/read-plugin.ts';
import { MAX_BYTES, writeSource } from './compare.ts';

const CATALOGUE = '.claude-plugin/marketplace.json';

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (info) => info.isFile(),
    () => false,
  );

/** Writes such plugins of every marketplace below `root` as import would take them, each in a folder of its own below `into`. */
export async function assembleEntries(root: string, into: string): Promise<{ folder: string; name: string }[]> {
  const found: { folder: string; name: string }[] = [];
  for (const market of await marketplaces(root)) {
    const { rows, pluginRoot } = parseCatalogue(await readFile(join(market, CATALOGUE), 'utf8'), market);
    for (const { entry } of rows) {
      if (entry === null || typeof entry.source !== 'string') continue;
      try {
        const place = locate(entry, market, pluginRoot);
        if (!('folder' in place) || (await isFile(join(place.folder, MANIFEST_PATH)))) continue;
        const given = await readPlugin(place.folder, { maxBytes: MAX_BYTES, linksWithin: market });
        const folder = join(into, String(found.length));
        await writeSource(folder, entryFiles(given, entry, '1.0.0'));
        found.push({ folder, name: `${relative(root, market) || '.'} (entry ${entry.name})` });
      } catch (thrown) {
        console.error(`${market}: the entry ${entry.name} is left out: ${String(thrown).slice(0, 200)}`);
      }
    }
  }
  return found;
}

async function marketplaces(root: string, depth = 6): Promise<string[]> {
  const here = (await isFile(join(root, CATALOGUE))) ? [root] : [];
  if (depth === 0) return here;
  for (const entry of await readdir(root, { withFileTypes: true })) {
    if (!entry.isDirectory() || ['.git', 'node_modules'].includes(entry.name)) continue;
    here.push(...(await marketplaces(join(root, entry.name), depth - 1)));
  }
  return here;
}
