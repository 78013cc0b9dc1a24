import type { VerbRow } from '../verb.ts';

/** Verbs of `hv`: what is used. */
export const DISCOVERY_VERBS: VerbRow[] = [
  {
    name: 'usage',
    args: '[plugin]',
    summary: 'what was counted here and goes to the hub, or what the whole collective uses',
    options: [
      ['--collective', 'sums of all machines instead'],
      ['--by <what>', 'plugin, version, component, group or day (default plugin; a named plugin: component)'],
      ['--group <group>', 'only what machines of this group used'],
      ['--days <n>', 'how far back (default 30)'],
    ],
    examples: ['hv usage', 'hv usage --collective', 'hv usage elasticsearch-ops --collective --by group'],
    load: async () => (await import('../verbs/usage.ts')).usage,
  },
];
