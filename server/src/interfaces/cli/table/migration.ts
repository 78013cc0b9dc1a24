import type { VerbRow } from '../verb.ts';

/** Verbs of `hv`: from a person's own things to plugins. */
export const MIGRATION_VERBS: VerbRow[] = [
  {
    name: 'migrate',
    args: '[name]',
    summary: 'turn own commands, agents, skills, hooks and servers into a plugin; alone it only shows what would move',
    options: [
      ['--only <list>', 'only these kinds (commands,hooks) or things by name'],
      ['--user-config', 'servers with secrets move too; Claude Code asks each person for the values'],
      ['--path <dir>', "the plugin's folder (default ./NAME)"],
      ['--write', 'write the folder, and nothing else'],
      ['--publish', 'write, publish and install it, then put the own things aside (hv backups brings them back)'],
      ['--groups <list>', 'with --publish: target groups (a,b)'],
      ['--all', 'with --publish: every machine'],
    ],
    examples: [
      'hv migrate',
      'hv migrate team-commands --only commands,skills --write',
      'hv migrate team-commands --publish --groups orchestrators',
    ],
    load: async () => (await import('../verbs/migrate.ts')).migrateVerb,
  },
];
