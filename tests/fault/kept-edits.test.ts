import { afterEach, beforeEach, expect, it } from 'vitest';
import { collectVersions } from '../../server/src/machine/processes/leases.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { makeRig, type Rig } from '../machine/rig.ts';
import { readImage, visible } from './home-image.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await makeRig();
});
afterEach(() => rig.close());

const kept = (text: string): string[] =>
  [...visible(readImage(rig.home))].filter(([, entry]) => entry.endsWith(` ${text}`)).map(([path]) => path);

/** A tree's folder is used again once the first is collected: both may hold edits of the same file. */
it.each(['repair', 'collect'])(
  'edits of a tree whose folder comes again lie beside the first ones (%s)',
  async (how) => {
    const install = [await rig.store('a', '1.0.0', { 'commands/x.md': 'x' })];
    const other = [await rig.store('a', '2.0.0', { 'commands/x.md': 'x' })];
    const dirs: (string | undefined)[] = [];
    for (const edit of ['first', 'second']) {
      await rig.apply({ install });
      dirs.push((await readReceipts(rig.machine)).plugins.a?.dir);
      await rig.write('.claude/plugins/a/commands/x.md', edit);
      if (how === 'repair') await rig.apply({ install, overwriteEdits: true });
      else await rig.apply({ install: other, overwriteEdits: true });
      await rig.apply({ remove: ['a'], purge: ['a'] });
      await collectVersions(rig.machine, { keep: 0, graceMs: -1 });
    }
    expect(dirs[0]).toBe(dirs[1]);
    expect(kept('first')).toHaveLength(1);
    expect(kept('second')).toHaveLength(1);
  },
);
