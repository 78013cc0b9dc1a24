import { chmod, rm } from 'node:fs/promises';
import { applyChange, type Change } from '../../server/src/machine/change/transaction.ts';
import { leaveMachine } from '../../server/src/machine/leave.ts';
import type { Machine } from '../../server/src/machine/machine.ts';
import type { Rig } from '../machine/rig.ts';
import type { Scenario } from './scenarios.ts';

/** The loose layout: what goes among the user's own files, and moves of everything from one layout to the other. */

const SETTINGS = '{\n\t"hooks": {"Stop": [ {"hooks":[{"type":"command","command":"mine"}]} ]},\n\t"model":"opus"}';
const CLAUDE_JSON = '{"numStartups":3, "mcpServers": {"other":{"command":"x"}}}';
const EDITABLE = Array.from({ length: 9 }, (_, i) => `line ${i}\n`).join('');

const change =
  (change: Partial<Change>) =>
  (m: Machine): Promise<unknown> =>
    applyChange(m, { install: [], remove: [], reason: 'sync', ...change });

const ops = (rig: Rig, version: string) => {
  const root = '${CLAUDE_PLUGIN_ROOT}';
  const handler = { type: 'command', command: 'sh', args: [`${root}/bin/go`, version] };
  return rig.store('ops', version, {
    'commands/go.md': `${root} ${version}\n${EDITABLE}`,
    'agents/a.md': `agent ${version}`,
    'skills/s/SKILL.md': `---\nname: s\n---\n${EDITABLE}`,
    'skills/s/more/x.txt': 'x',
    'hooks/hooks.json': JSON.stringify({ hooks: { Stop: [{ hooks: [handler] }], SessionEnd: [{ hooks: [handler] }] } }),
    '.mcp.json': JSON.stringify({ mcpServers: { probe: { command: 'node', args: [`${root}/s.mjs`, version] } } }),
    'bin/go': 'run',
  });
};
const core = (rig: Rig) => rig.store('haivemind-core', '1.0.0', { 'commands/hv.md': 'hv' }, { globalCommands: true });

async function used(rig: Rig): Promise<void> {
  await rig.write('.claude/settings.json', SETTINGS);
  await rig.write('.claude.json', CLAUDE_JSON);
  await rig.write('.claude/commands/mine.md', 'mine');
}

async function editCopies(rig: Rig): Promise<void> {
  await rig.write('.claude/commands/go.md', (await rig.read('.claude/commands/go.md')).replace('line 7', 'my line 7'));
  await rig.write('.claude/agents/a.md', 'my agent');
  await rm(rig.path('.claude/skills/s/more/x.txt'));
}

export const LOOSE_SCENARIOS: Scenario[] = [
  {
    name: 'loose install into an empty HOME',
    async prepare(rig) {
      return change({ install: [await ops(rig, '1.0.0')], layout: 'loose' });
    },
  },
  {
    name: 'loose install beside what others wrote',
    async prepare(rig) {
      await used(rig);
      return change({ install: [await core(rig), await ops(rig, '1.0.0')], layout: 'loose' });
    },
  },
  {
    name: 'loose update over edits',
    async prepare(rig) {
      await used(rig);
      await rig.apply({ install: [await core(rig), await ops(rig, '1.0.0')], layout: 'loose' });
      await editCopies(rig);
      return change({ install: [await ops(rig, '2.0.0')] });
    },
  },
  {
    name: 'loose repair of edits',
    async prepare(rig) {
      await used(rig);
      const one = await ops(rig, '1.0.0');
      await rig.apply({ install: [one], layout: 'loose' });
      await editCopies(rig);
      return change({ install: [one], overwriteEdits: true });
    },
  },
  {
    name: 'loose repair of executable bits that were lost',
    async prepare(rig) {
      await used(rig);
      const files = { 'skills/s/SKILL.md': '---\nname: s\n---\n', 'skills/s/run.sh': 'run' };
      const one = await rig.store('tool', '1.0.0', files, { executable: ['skills/s/run.sh'] });
      await rig.apply({ install: [one], layout: 'loose' });
      for (const at of ['.claude/skills', '.claude/plugins/tool/skills']) await chmod(rig.path(at, 's/run.sh'), 0o644);
      return change({ install: [one] });
    },
  },
  {
    name: 'loose update in which a file becomes a folder',
    async prepare(rig) {
      const skill = { 'skills/s/SKILL.md': 'a skill', 'commands/c.md': 'c' };
      const one = await rig.store('ops', '1.0.0', { ...skill, 'skills/s/more': 'x' });
      await rig.apply({ install: [one], layout: 'loose' });
      return change({ install: [await rig.store('ops', '2.0.0', { ...skill, 'skills/s/more/x.txt': 'x' })] });
    },
  },
  {
    name: 'loose rollback',
    async prepare(rig) {
      const one = await ops(rig, '1.0.0');
      await rig.apply({ install: [one], layout: 'loose' });
      await rig.apply({ install: [await ops(rig, '2.0.0')] });
      return change({ install: [one], reason: 'rollback' });
    },
  },
  {
    name: 'loose removal of an edited plugin',
    async prepare(rig) {
      await used(rig);
      await rig.apply({ install: [await core(rig), await ops(rig, '1.0.0')], layout: 'loose' });
      await editCopies(rig);
      return change({ remove: ['ops'], reason: 'remove' });
    },
  },
  {
    name: 'loose removal with the overlay',
    async prepare(rig) {
      await rig.write('.claude/plugins/.haivemind/overlays/ops/commands/go.md', 'laid over');
      await rig.apply({ install: [await ops(rig, '1.0.0')], layout: 'loose' });
      await rig.write('.claude/agents/a.md', 'my agent');
      return change({ remove: ['ops'], reason: 'remove', purge: ['ops'] });
    },
  },
  {
    name: 'switch to loose',
    async prepare(rig) {
      await used(rig);
      await rig.apply({ install: [await core(rig), await ops(rig, '1.0.0')] });
      return change({ layout: 'loose' });
    },
  },
  {
    name: 'switch to native with edited copies',
    async prepare(rig) {
      await used(rig);
      await rig.apply({ install: [await core(rig), await ops(rig, '1.0.0')], layout: 'loose' });
      await editCopies(rig);
      return change({ layout: 'native' });
    },
  },
  {
    name: 'leave the loose layout',
    repeated: true,
    async prepare(rig) {
      await used(rig);
      await rig.apply({ install: [await core(rig), await ops(rig, '1.0.0')], layout: 'loose' });
      return leaveMachine;
    },
  },
];
