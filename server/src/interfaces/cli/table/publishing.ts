import type { VerbRow } from '../verb.ts';

/** Verbs of `hv`: from an author to the registry. */
export const PUBLISHING_VERBS: VerbRow[] = [
  {
    name: 'register',
    args: '<source>',
    summary: 'register a version (folder, zip, https address of a zip or git repository) without publishing it',
    examples: [
      'hv register ./my-plugin',
      'hv register https://example.org/my-plugin.zip',
      'hv register https://github.com/owner/repo.git#v1.2.0:plugins/mine',
    ],
    load: async () => (await import('../verbs/publishing.ts')).register,
  },
  {
    name: 'publish',
    args: '<plugin>',
    summary: 'publish a folder, a zip, or a registered version (NAME: the one registered last) to groups',
    options: [
      ['--groups <list>', 'target groups (a,b); the manifest’s when absent'],
      ['--all', 'every machine'],
      ['--quiet', 'machines install it, people are not told'],
      ['--dry-run', 'show what translation changes and which machines would get it'],
      ['--accept-surface', 'what a plugin that declares nothing does is accepted, unasked'],
      ['--watch', 'stay until every connected machine has it, and show which'],
    ],
    examples: ['hv publish ./my-plugin --groups orchestrators', 'hv publish my-plugin@1.2.0 --all'],
    load: async () => (await import('../verbs/publishing.ts')).publish,
  },
  {
    name: 'import',
    args: '<source>',
    summary: 'take every plugin of a marketplace into the registry (folder, owner/repo, git address, marketplace.json)',
    options: [
      ['--publish', 'publish what was imported, to --groups or --all'],
      ['--groups <list>', 'with --publish: target groups (a,b)'],
      ['--all', 'with --publish: every machine'],
      ['--quiet', 'with --publish: people are not told'],
      ['--accept-surface', 'with --publish: what they do is accepted; the report shows it'],
      ['--only <list>', 'only these plugins (a,b)'],
      ['--dry-run', 'only say what would be imported'],
    ],
    examples: ['hv import ./marketplace', 'hv import anthropics/claude-code --only code-review --publish --groups web'],
    load: async () => (await import('../verbs/import.ts')).importVerb,
  },
];
