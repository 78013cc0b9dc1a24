import { chmod, lstat } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyChange, type Install } from '../../server/src/machine/change/transaction.ts';
import { inspect } from '../../server/src/machine/drift.ts';
import { type FilePort, realFilePort } from '../../server/src/machine/files/file-port.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { makeRig, type Rig } from './rig.ts';

// A system without such bits has nothing to lose.
const onPosix = it.skipIf(process.platform === 'win32');
const SCRIPT = 'skills/guard/deny.sh';

let rig: Rig;
beforeEach(async () => {
  rig = await makeRig();
});
afterEach(() => rig.close());

const guard = (version: string, body = 'exit 2\n'): Promise<Install> => {
  const skill = '---\nname: guard\ndescription: d\n---\nguard';
  const files = { [SCRIPT]: body, 'skills/guard/SKILL.md': skill, 'other.sh': 'no program\n' };
  return rig.store('guard', version, files, { executable: [SCRIPT] });
};
const tree = (path: string): string => rig.path('.claude/plugins/guard', path);
const isExecutable = async (path: string): Promise<boolean> => ((await lstat(path)).mode & 0o111) !== 0;
const seen = async () => (await inspect(rig.machine))[0];

describe.each(['native', 'loose'] as const)('an executable bit that was lost, in the layout %s', (layout) => {
  let v1: Install;
  beforeEach(async () => {
    v1 = await guard('1.0.0');
    await rig.apply({ install: [v1], layout });
  });

  onPosix('is damage and no edit, and laying the version again mends it', async () => {
    expect(await seen()).toMatchObject({ state: 'verified', unexecutable: [] });
    await chmod(tree(SCRIPT), 0o644);
    expect(await seen()).toMatchObject({ state: 'damaged', edited: [], missing: [], unexecutable: [SCRIPT] });
    await rig.apply({ install: [v1] });
    expect(await isExecutable(tree(SCRIPT))).toBe(true);
    expect(await seen()).toMatchObject({ state: 'verified', unexecutable: [] });
  });

  onPosix('takes no edit along when it is mended', async () => {
    const other = layout === 'loose' ? rig.path('.claude/skills/guard/SKILL.md') : tree('skills/guard/SKILL.md');
    await rig.write(other.slice(rig.home.length), 'mine');
    await chmod(tree(SCRIPT), 0o644);
    expect(await seen()).toMatchObject({ state: 'damaged', edited: ['skills/guard/SKILL.md'], unexecutable: [SCRIPT] });
    await rig.apply({ install: [v1] });
    expect(await rig.read(other.slice(rig.home.length))).toBe('mine');
    expect(await seen()).toMatchObject({ state: 'edited', edited: ['skills/guard/SKILL.md'], unexecutable: [] });
  });

  onPosix('is seen also where files are not hashed', async () => {
    await chmod(tree(SCRIPT), 0o644);
    const [plugin] = await inspect({ ...rig.machine, rehash: false });
    expect(plugin).toMatchObject({ state: 'damaged', unexecutable: [SCRIPT] });
  });

  onPosix('is none where a person made a file executable, or edited the script', async () => {
    await chmod(tree('other.sh'), 0o755);
    expect(await seen()).toMatchObject({ state: 'verified' });
    const script = layout === 'loose' ? '.claude/skills/guard/deny.sh' : `.claude/plugins/guard/${SCRIPT}`;
    await rig.write(script, 'exit 0\n');
    await chmod(rig.path(script), 0o644);
    expect(await seen()).toMatchObject({ state: 'edited', edited: [SCRIPT], unexecutable: [] });
    await rig.apply({ install: [v1] });
    expect(await isExecutable(rig.path(script))).toBe(false);
  });
});

onPosix('a copy of the loose layout that lost it is laid again, each time', async () => {
  const v1 = await guard('1.0.0');
  await rig.apply({ install: [v1], layout: 'loose' });
  const copy = rig.path('.claude/skills/guard/deny.sh');
  for (let n = 0; n < 2; n++) {
    await chmod(copy, 0o644);
    expect(await seen()).toMatchObject({ state: 'damaged', edited: [], unexecutable: [SCRIPT] });
    await rig.apply({ install: [v1] });
    expect(await isExecutable(copy)).toBe(true);
    expect(await seen()).toMatchObject({ state: 'verified', unexecutable: [] });
  }
});

onPosix('a kept tree that lost it is not what a rollback takes', async () => {
  const v1 = await guard('1.0.0');
  await rig.apply({ install: [v1] });
  const first = (await readReceipts(rig.machine)).plugins.guard?.dir ?? '';
  await rig.apply({ install: [await guard('2.0.0', 'exit 3\n')] });
  await chmod(rig.path('.claude/plugins/.haivemind', first, SCRIPT), 0o644);
  await rig.apply({ install: [v1], reason: 'rollback' });
  expect(await isExecutable(tree(SCRIPT))).toBe(true);
  expect((await readReceipts(rig.machine)).plugins.guard?.dir).not.toBe(first);
});

describe.each(['native', 'loose'] as const)(
  'where the file system keeps no executable bit, in the layout %s',
  (layout) => {
    const real = realFilePort();
    const without: FilePort = {
      ...real,
      writeFile: (path, bytes, options) =>
        real.writeFile(path, bytes, { ...options, mode: (options?.mode ?? 0o644) & 0o666 }),
      chmod: (path, mode) => real.chmod(path, mode & 0o666),
    };
    const apply = (install: Install) =>
      applyChange(rig.withPort(without), { install: [install], remove: [], reason: 'sync', layout });

    onPosix('none is lost, and nothing is laid again for it', async () => {
      const v1 = await guard('1.0.0');
      await apply(v1);
      expect(await isExecutable(tree(SCRIPT))).toBe(false);
      expect(await seen()).toMatchObject({ state: 'verified', unexecutable: [] });
      const { dir } = (await readReceipts(rig.machine)).plugins.guard ?? {};
      expect((await apply(v1)).installed).toEqual([]);
      expect((await readReceipts(rig.machine)).plugins.guard?.dir).toBe(dir);
    });

    onPosix('one that is kept again is looked after from the next version on', async () => {
      await apply(await guard('1.0.0'));
      await rig.apply({ install: [await guard('2.0.0', 'exit 3\n')] });
      expect(await seen()).toMatchObject({ state: 'verified', unexecutable: [] });
      expect(await isExecutable(tree(SCRIPT))).toBe(true);
      await chmod(tree(SCRIPT), 0o644);
      expect(await seen()).toMatchObject({ state: 'damaged', unexecutable: [SCRIPT] });
    });

    onPosix('what an earlier program calls lost is laid again once', async () => {
      const v1 = await guard('1.0.0');
      await rig.apply({ install: [v1], layout });
      await chmod(tree(SCRIPT), 0o644);
      expect(await seen()).toMatchObject({ state: 'damaged' });
      await apply(v1);
      expect(await seen()).toMatchObject({ state: 'verified', unexecutable: [] });
    });
  },
);
