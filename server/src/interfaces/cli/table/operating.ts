import type { VerbRow } from '../verb.ts';

/** Verbs of `hv`: configuration, machines, groups and tokens. */
export const OPERATING_VERBS: VerbRow[] = [
  {
    name: 'config',
    args: '[action] [key] [value]',
    summary: 'get, set or unset configuration',
    examples: ['hv config get', 'hv config set auto_install_updates true', 'hv config unset sync_interval'],
    load: async () => (await import('../verbs/config.ts')).config,
  },
  {
    name: 'machines',
    args: '[action] [machine] [plugin]',
    summary: 'machines of the collective: list, show, set, remove; install, pin, hold, exclude or clear one plugin',
    options: [
      ['--group <group>', 'list: only of this group'],
      ['--groups <list>', 'set: its groups (a,b)'],
      ['--capabilities <list>', 'set: its capabilities (x,y)'],
    ],
    examples: [
      'hv machines',
      'hv machines show es-1',
      'hv machines set es-1 --groups elasticsearch',
      'hv machines remove es-1',
      'hv machines pin es-1 elasticsearch-ops@^1.2.0',
      'hv machines hold es-1 elasticsearch-ops@1.2.0',
      'hv machines clear es-1 elasticsearch-ops',
    ],
    load: async () => (await import('../verbs/operator.ts')).machines,
  },
  {
    name: 'groups',
    args: '[group]',
    summary: 'groups with their machines and plugins',
    options: [
      [
        '--approvals <n>',
        'as admin: this group (or pattern) gets only what so many operators approved; 0 for no such rule',
      ],
    ],
    examples: ['hv groups', 'hv groups "prod-*" --approvals 2'],
    load: async () => (await import('../verbs/operator.ts')).groups,
  },
  {
    name: 'token',
    args: '[action] [subject]',
    summary: 'tokens of the hub: create NAME, list, revoke ID (as admin); rotate your own',
    options: [
      ['--roles <list>', 'create: admin, operator, publisher, contributor, reader, join'],
      ['--expires <days>', 'create: days until it expires'],
      ['--pattern <list>', 'create: plugin names it may publish (es-*,log-*)'],
      ['--uses <n>', 'create: how many machines may join with it'],
      ['--groups <list>', 'create: groups it may join machines to, or publish to (a,b)'],
    ],
    examples: ['hv token create ci --roles publisher --pattern "es-*"', 'hv token revoke tok_…'],
    load: async () => (await import('../verbs/operator.ts')).token,
  },
];
