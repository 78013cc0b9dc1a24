import type { VerbRow } from '../verb.ts';

/** Verbs of `hv`: what the registry holds. */
export const REGISTRY_VERBS: VerbRow[] = [
  {
    name: 'list',
    summary: 'plugins in the registry',
    options: [
      ['--installed', 'only those installed here'],
      ['--group <group>', 'only those published to this group'],
      ['--capabilities <list>', 'only those that these capabilities suffice for'],
      ['--status <status>', 'registered, published, deprecated or yanked'],
      ['--author <author>', 'only those by this author'],
      ['--component <kind>', 'only those with a command, agent, skill, hook or mcp server'],
      ['--limit <n>', 'at most so many (default 50)'],
      ['--after <cursor>', 'the page after this one'],
    ],
    examples: ['hv list', 'hv list --group orchestrators --json'],
    load: async () => (await import('../verbs/registry.ts')).list,
  },
  {
    name: 'search',
    args: '<words...>',
    summary: 'search the registry, best first',
    options: [
      ['--limit <n>', 'at most so many (default 10)'],
      ['--keywords <list>', 'further technical words (a,b)'],
      ['--installed', 'only those installed here'],
      ['--group <group>', 'only those published to this group'],
      ['--author <author>', 'only those by this author'],
      ['--component <kind>', 'only those with a command, agent, skill, hook or mcp server'],
    ],
    examples: ['hv search kubernetes deployment'],
    load: async () => (await import('../verbs/registry.ts')).search,
  },
  {
    name: 'info',
    args: '<plugin>',
    summary: 'details of a plugin or version',
    options: [['--files', 'list its files']],
    examples: ['hv info devops-essentials', 'hv info devops-essentials@^1.0.0 --files'],
    load: async () => (await import('../verbs/registry.ts')).info,
  },
];
