// A HOME whose path holds what JSON escapes: what leads into it is known as ours all the same.
import { mkdtemp, rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { findTampering } from '../../server/src/client/doctor/mend.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { makeRig, type Rig } from './rig.ts';

let rig: Rig;
afterEach(() => rig.close());

const ROOT = '$' + '{CLAUDE_PLUGIN_ROOT}';
const ops = (version: string) =>
  rig.store('ops', version, {
    'hooks/hooks.json': JSON.stringify({
      hooks: { Stop: [{ hooks: [{ type: 'command', command: 'sh', args: [`${ROOT}/bin/go.sh`] }] }] },
    }),
    '.mcp.json': JSON.stringify({ mcpServers: { probe: { command: 'node', args: [`${ROOT}/s.mjs`] } } }),
  });

describe.each(['h"x', 'h\\x'])('in a HOME called %s, the loose layout', (name) => {
  const install = async (): Promise<void> => {
    rig = await makeRig({ home: await mkdtemp(join(tmpdir(), `${name}-`)) });
    await rig.apply({ install: [await ops('1.0.0')], layout: 'loose' });
  };

  it('is not taken for one that was moved; one that was is', async () => {
    await install();
    expect(await findTampering(rig.machine)).toMatchObject({ movedFrom: null, lostAll: false });
    await rename(rig.home, `${rig.home} moved`);
    rig = await makeRig({ home: `${rig.home} moved` });
    expect(await findTampering(rig.machine)).toMatchObject({ movedFrom: 'another folder' });
  });

  it('carries a hook that a person edited over an update', async () => {
    await install();
    const settings = JSON.parse(await rig.read('.claude/settings.json'));
    settings.hooks.Stop[0].matcher = 'mine';
    await rig.write('.claude/settings.json', JSON.stringify(settings));
    await rig.apply({ install: [await ops('2.0.0')] });
    const { dir = '?' } = (await readReceipts(rig.machine)).plugins.ops ?? {};
    const args = [rig.path('.claude/plugins/.haivemind', dir, 'bin/go.sh')];
    expect(JSON.parse(await rig.read('.claude/settings.json')).hooks.Stop).toEqual([
      { hooks: [{ type: 'command', command: 'sh', args }], matcher: 'mine' },
    ]);
  });
});
