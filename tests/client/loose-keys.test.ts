// Front matter that the real client heeds in a person's own agents and commands and not in a plugin's: nothing of it is live loosely.
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Collective } from '../support/collective.ts';
import { hvOk } from '../support/hv.ts';
import type { TempHome } from '../support/temp-home.ts';
import { writeFiles } from './harness/hand-made-plugin.ts';
import type { ModelRequest, Step } from './harness/scripted-model.ts';
import { scriptedSession } from './harness/with-model.ts';

const hook = (event: string, word: string) =>
  `hooks:\n  ${event}:\n    - hooks:\n        - type: command\n          command: 'echo ${word} >> "$HOME/log"'`;
const FILES = {
  'agents/aud.md': [
    '---\nname: aud\ndescription: d\ntools: Bash, Write',
    'permissionMode: acceptEdits',
    hook('PreToolUse', 'agent-hook'),
    `mcpServers:\n  - own:\n      command: sh\n      args: ['-c', 'echo agent-server >> "$HOME/log"']`,
    '---\nYou audit.\n',
  ].join('\n'),
  'commands/com.md': `---\ndescription: d\n${hook('PostToolUse', 'command-hook')}\n---\nCOM-EXPANDED\n`,
};

let collective: Collective;
beforeAll(async () => {
  collective = await Collective.start();
  await collective.publish('base-memory-tools', {
    args: ['--all', '--accept-surface'],
    async edit(folder) {
      await rm(folder, { recursive: true });
      await mkdir(folder);
      const plugin = { name: 'keys', version: '1.0.0', description: 'd', author: { name: 'T' } };
      await writeFiles(folder, { '.claude-plugin/plugin.json': plugin, ...FILES });
    },
  });
});
afterAll(() => collective?.close());

/** What ran, and whether the agent could write without being asked. */
async function heeded(home: TempHome, prefix: string) {
  const bash = { tool: 'Bash', input: { command: 'echo hi', description: 'x' } };
  const target = join(home.project, 'written');
  const task = { subagent_type: `${prefix}aud`, prompt: 'audit', description: 'x', run_in_background: false };
  const whole = [{ tool: 'Agent', input: task }, { tool: 'Skill', input: { skill: `${prefix}com` } }, bash];
  const inAgent = [bash, { tool: 'Write', input: { file_path: target, content: 'x' } }];
  // Told by what was done, because agent and session may ask in any order.
  const answer = ({ system, messages }: ModelRequest): Step => {
    const steps = JSON.stringify(system).includes('You audit.') ? inAgent : whole;
    return steps[JSON.stringify(messages).split('"type":"tool_result"').length - 1] ?? { text: 'done' };
  };
  const { toolResults, requests } = await scriptedSession(home, Array(12).fill(answer), {
    extraArgs: ['--allowedTools', 'Bash,Agent,Task,Skill'],
  });
  const text = JSON.stringify(requests);
  const log = await readFile(join(home.home, 'log'), 'utf8').catch(() => '');
  return {
    audited: text.includes('You audit.'),
    expanded: text.includes('COM-EXPANDED'),
    ran: [...new Set(log.split('\n').filter(Boolean))].sort(),
    wrote: (await readFile(target, 'utf8').catch(() => null)) !== null,
    results: toolResults.length > 0,
  };
}
const NOTHING = { audited: true, expanded: true, ran: [], wrote: false, results: true };

it('does nothing in a plugin, nor in its copies, and all of it among one’s own', async () => {
  const native = await collective.machine('keys');
  await hvOk(native, ['sync']);
  expect(await heeded(native, 'keys:')).toEqual(NOTHING);

  const loose = await collective.home('loose-keys');
  await hvOk(loose, ['config', 'set', 'layout', 'loose']);
  await collective.join(loose, 'loose-keys');
  await hvOk(loose, ['sync']);
  expect(await heeded(loose, '')).toEqual(NOTHING);

  const own = await collective.home('own-keys');
  await writeFiles(join(own.home, '.claude'), FILES);
  expect(await heeded(own, '')).toEqual({
    ...NOTHING,
    ran: ['agent-hook', 'agent-server', 'command-hook'],
    wrote: true,
  });
});
