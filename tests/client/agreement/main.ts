import { join, resolve } from 'node:path';
import { tempHome } from '../../support/temp-home.ts';
import { compareAll, pluginFolders } from './compare.ts';
import { assembleEntries } from './entries.ts';
import { confusionTable, missed } from './table.ts';

const [given = '.', flag] = process.argv.slice(2);
const root = resolve(given);
const home = await tempHome('agreement');
try {
  const entries = await assembleEntries(root, join(home.project, 'entries'));
  const all = await compareAll(home, root, [...(await pluginFolders(root)), ...entries]);
  console.log(flag === '--json' ? JSON.stringify(all, null, 2) : confusionTable(all));
  process.exitCode = missed(all).length === 0 ? 0 : 1;
} finally {
  await home.remove();
}
