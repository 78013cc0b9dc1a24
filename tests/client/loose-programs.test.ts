// A plugin with a program in bin/ and a skill in its root that says no name, in the real client.
import { chmod, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Collective } from '../support/collective.ts';
import { hv, hvOk } from '../support/hv.ts';
import { writeFiles } from './harness/hand-made-plugin.ts';
import { scriptedSession } from './harness/with-model.ts';

let collective: Collective;
beforeAll(async () => {
  collective = await Collective.start();
  await collective.publish('base-memory-tools', {
    args: ['--all', '--accept-surface'],
    async edit(folder) {
      await rm(folder, { recursive: true });
      await mkdir(folder);
      const plugin = { name: 'prog', version: '1.0.0', description: 'd', author: { name: 'T' } };
      await writeFiles(folder, {
        '.claude-plugin/plugin.json': plugin,
        'SKILL.md': '---\ndescription: d\n---\nRun `hvprobe`.\n',
        'bin/hvprobe': '#!/bin/sh\necho found-by-name\n',
      });
      await chmod(join(folder, 'bin/hvprobe'), 0o755);
    },
  });
});
afterAll(() => collective?.close());

it('is found by its bare name in a plugin, whose skill has the plugin’s name, and is refused loosely', async () => {
  const home = await collective.machine('prog');
  await hvOk(home, ['sync']);
  const bash = { tool: 'Bash', input: { command: 'hvprobe', description: 'x' } };
  const { init, toolResults } = await scriptedSession(home, [bash, { text: 'done' }], {
    extraArgs: ['--allowedTools', 'Bash'],
  });
  expect(toolResults.map(({ text }) => text)).toEqual(['found-by-name']);
  expect(init.skills.filter((name) => name.startsWith('prog:'))).toEqual(['prog:prog']);

  const loose = await collective.home('loose-prog');
  await hvOk(loose, ['config', 'set', 'layout', 'loose']);
  await collective.join(loose, 'loose-prog');
  const { problems } = (await hv(loose, ['sync', '--json'])).json;
  expect(problems).toEqual([expect.objectContaining({ name: 'prog', code: 'LAYOUT_UNSUPPORTED' })]);
});
