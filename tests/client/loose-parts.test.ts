// One plugin on both layouts in the real client: the same parts, and a guard that guards.
import { chmod, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Collective } from '../support/collective.ts';
import { hv, hvOk } from '../support/hv.ts';
import type { TempHome } from '../support/temp-home.ts';
import { writeFiles } from './harness/hand-made-plugin.ts';
import { scriptedSession } from './harness/with-model.ts';

let collective: Collective;
const text = (front: string, body = 'body') => `---\n${front}\n---\n${body}\n`;
const publish = (files: Record<string, unknown>, manifest: object = {}) =>
  collective.publish('base-memory-tools', {
    args: ['--all', '--accept-surface'],
    async edit(folder) {
      await rm(folder, { recursive: true });
      await mkdir(folder);
      const plugin = { version: '1.0.0', description: 'd', author: { name: 'T' }, ...manifest };
      await writeFiles(folder, { '.claude-plugin/plugin.json': plugin, ...files });
      if (files['scripts/deny.sh'] !== undefined) await chmod(join(folder, 'scripts/deny.sh'), 0o755);
    },
  });

beforeAll(async () => {
  collective = await Collective.start();
  const guard = { type: 'command', command: '"$CLAUDE_PLUGIN_ROOT"/scripts/deny.sh' };
  await publish(
    {
      'hooks/hooks.json': { hooks: { PreToolUse: [{ matcher: 'Bash', hooks: [guard] }] } },
      'scripts/deny.sh': '#!/bin/sh\necho blocked-by-guard >&2\nexit 2\n',
      'new/newc.md': text('description: d'),
      'commands/oldc.md': text('description: d'),
      'a/x.md': text('name: newag\ndescription: d'),
      'agents/oldag.md': text('name: oldag\ndescription: d'),
      'SKILL.md': text('name: rooty\ndescription: d'),
      'output-styles/terse.md': text('name: terse\ndescription: d', 'STYLE-IS-ON'),
    },
    { name: 'parts', commands: ['./new/'], agents: ['./a/x.md'] },
  );
  const start = { type: 'command', command: 'sh "${CLAUDE_PLUGIN_ROOT}/scripts/s.sh"' };
  await publish(
    {
      'hooks/hooks.json': { hooks: { SessionStart: [{ hooks: [start] }] } },
      'scripts/s.sh': 'echo state > "$CLAUDE_PLUGIN_DATA/state"\n',
    },
    { name: 'keeper' },
  );
});
afterAll(() => collective?.close());

/** What a session has of the plugin, without its prefix, and what became of a Bash call. */
async function seen(home: TempHome, prefix: string) {
  const outputStyle = `${prefix}terse`;
  const { init, toolResults, requests } = await scriptedSession(
    home,
    [{ tool: 'Bash', input: { command: 'echo ran-anyway', description: 'x' } }, { text: 'done' }],
    { extraArgs: ['--allowedTools', 'Bash', '--settings', JSON.stringify({ outputStyle })] },
  );
  const known = ['newc', 'oldc', 'newag', 'oldag', 'rooty'];
  const parts = known.filter((name) => [...init.slash_commands, ...init.agents].includes(`${prefix}${name}`));
  const [result] = toolResults;
  return {
    parts,
    blocked: result?.isError === true && result.text.includes('blocked-by-guard'),
    styled: JSON.stringify(requests).includes('STYLE-IS-ON'),
  };
}

it('has the same parts on both layouts, and none that plugin.json puts aside', async () => {
  const home = await collective.machine('parts');
  await hvOk(home, ['sync']);
  const native = await seen(home, 'parts:');
  expect(native).toEqual({ parts: ['newc', 'newag', 'rooty'], blocked: true, styled: true });

  const loose = await collective.home('loose-parts');
  await hvOk(loose, ['config', 'set', 'layout', 'loose']);
  await collective.join(loose, 'loose-parts');
  const sync = await hv(loose, ['sync', '--json']);
  expect(sync.json.problems).toEqual([
    expect.objectContaining({ name: 'keeper', code: 'LAYOUT_UNSUPPORTED', where: 'machine' }),
  ]);
  expect(await seen(loose, '')).toEqual(native);
});

it('is listed by what is loaded', async () => {
  const { files } = await hvOk(collective.operator, ['info', 'parts']);
  const types = Object.fromEntries(files.map((file: { path: string; type: string }) => [file.path, file.type]));
  expect(types).toMatchObject({
    'new/newc.md': 'command',
    'commands/oldc.md': 'other',
    'a/x.md': 'agent',
    'agents/oldag.md': 'other',
    'SKILL.md': 'skill',
  });
});
