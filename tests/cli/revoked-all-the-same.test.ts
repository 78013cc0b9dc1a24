// A revocation that comes together with what this machine cannot do is carried out all the same; the failure is told as it is.
import { readFile, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { problem, serve, TRANSFER, type Version, version } from './scripted-hub.ts';
import { hub, m, scriptedPair } from './scripted-pair.ts';

const command = (text: string) => ({ 'commands/c.md': `---\ndescription: c\n---\n${text}` });
const [bad1, bad2, good1, good2] = [
  version('bad', '1.0.0', command('bad')),
  version('bad', '2.0.0', command('mended')),
  version('good', '1.0.0', command('good')),
  version('good', '2.0.0', command('better')),
];
const other = version('other', '1.0.0', command('other'));

let counter = 0;
scriptedPair();
beforeEach(async () => {
  wants([bad1, good1]);
  await sync();
});

function wants(versions: Version[], revoked: Version[] = []): void {
  const told = revoked.map(({ entry: { digest, name, version: v } }) => ({
    digest,
    name,
    version: v,
    reason: 'leaks',
  }));
  serve(hub, versions, { counter: ++counter, etag: `"${counter}"`, revoked: told });
}
const sync = async () => syncMachine(await m.reopen(), { mode: 'explicit' });
const settings = () => m.ctx.machine.paths.settings;
const state = async () => ({
  here: Object.values((await readReceipts(m.ctx.machine)).plugins).map((p) => `${p.name}@${p.version}`),
  enabled: Object.keys(JSON.parse(await readFile(settings(), 'utf8')).enabledPlugins).sort(),
});
const withoutBad = { here: ['good@1.0.0'], enabled: ['good@collective'] };

describe.each<[what: string, break_: () => Promise<void> | void, code: string]>([
  [
    'the bytes of the rest do not come',
    () => {
      hub.answers[TRANSFER] = (_, response) => problem(response, 500, 'INTERNAL', 'broken');
    },
    'INTERNAL',
  ],
  [
    'the machine may install nothing',
    async () => {
      const now = JSON.parse(await readFile(settings(), 'utf8'));
      now.extraKnownMarketplaces.collective = { source: { source: 'github', repo: 'somebody/else' } };
      await writeFile(settings(), JSON.stringify(now));
    },
    'NAME_CLASH',
  ],
])('where %s', (_what, breakIt, code) => {
  it.each<[what: string, plan: Version[]]>([
    ['alone', [good2]],
    ['with its mended version', [bad2, good2]],
  ])('the revoked version goes, %s', async (_, plan) => {
    wants(plan, [bad1]);
    await breakIt();
    await expect(sync()).rejects.toMatchObject({ code });
    expect(await state()).toEqual(withoutBad);
  });

  it('nothing else goes: what the hub merely takes away waits for the whole', async () => {
    wants([bad1, good1, other]);
    await sync();
    wants([good2], [bad1]);
    await breakIt();
    await expect(sync()).rejects.toMatchObject({ code });
    expect((await state()).here.sort()).toEqual(['good@1.0.0', 'other@1.0.0']);
  });
});

it('what keeps it from going is not told in place of what failed first, and the next sync takes it away', async () => {
  wants([good2], [bad1]);
  const whole = await readFile(settings(), 'utf8');
  hub.answers[TRANSFER] = async (_, response) => {
    await writeFile(settings(), '{');
    problem(response, 500, 'INTERNAL', 'broken');
  };
  await expect(sync()).rejects.toMatchObject({ code: 'INTERNAL' });
  await writeFile(settings(), whole);
  wants([good2], [bad1]);
  await sync();
  expect(await state()).toEqual({ here: ['good@2.0.0'], enabled: ['good@collective'] });
});
