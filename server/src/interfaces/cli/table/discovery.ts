import type { VerbRow } from '../verb.ts';

/** Verbs of `hv`: what fits, and what is used. */
export const DISCOVERY_VERBS: VerbRow[] = [
  {
    name: 'recommend',
    args: '[task...]',
    summary: 'plugins for this machine, or for a task in words, each with its reason',
    options: [
      ['--machine <machine>', 'for this machine instead, as operator'],
      ['--capabilities <list>', 'for an agent that can do this (a,b)'],
      ['--keywords <list>', 'further technical words for the task (a,b)'],
      ['--limit <n>', 'at most so many (default 5)'],
    ],
    examples: ['hv recommend', 'hv recommend "find out why the cluster is yellow" --keywords elasticsearch,shards'],
    load: async () => (await import('../verbs/recommend.ts')).recommend,
  },
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
