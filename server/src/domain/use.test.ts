import { describe, expect, it } from 'vitest';
import { resolveUse, type UsablePlugin } from './use.ts';

const plugins: UsablePlugin[] = [
  {
    name: 'dev',
    version: '1.0.0',
    commands: new Map([['dev:go', { kind: 'command', component: 'go' }]]),
    agents: new Map([['dev:go', 'go']]),
  },
  {
    name: 'dev-tools',
    version: '2.0.0',
    commands: new Map([['dev-tools:triage', { kind: 'skill', component: 'triage' }]]),
    agents: new Map(),
  },
];

describe('what was used', () => {
  it.each([
    [{ command: 'dev:go' }, ['dev', 'command', 'go']],
    [{ command: 'dev-tools:triage' }, ['dev-tools', 'skill', 'triage']],
    [{ skill: 'dev-tools:triage', agent: '' }, ['dev-tools', 'skill', 'triage']],
    [{ skill: '', agent: 'dev:go' }, ['dev', 'agent', 'go']],
    [{ tool: 'mcp__plugin_dev_srv__ping' }, ['dev', 'mcp', 'srv/ping']],
    // The longest name that fits: the server `tools_srv` of `dev` is written the same as none of ours.
    [{ tool: 'mcp__plugin_dev-tools_srv__a__b' }, ['dev-tools', 'mcp', 'srv/a__b']],
  ])('%j', (event, [plugin, kind, component]) => {
    expect(resolveUse(event, plugins)).toMatchObject({ plugin, kind, component });
  });

  it.each([
    {},
    { command: '' },
    { command: 'go' },
    { command: 'dev:gone' },
    { command: 'dev:go and my password' },
    { skill: 'pdf' },
    { agent: 'general-purpose' },
    { tool: 'Bash' },
    { tool: 'mcp__haivemind__list_plugins' },
    { tool: 'mcp__plugin_stranger_srv__ping' },
    { tool: 'mcp__plugin_dev_srv__my words' },
    { tool: `mcp__plugin_dev_srv__${'x'.repeat(300)}` },
  ])('nothing for %j', (event) => {
    expect(resolveUse(event, plugins)).toBeNull();
  });
});
