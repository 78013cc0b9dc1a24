import type { VerbRow } from '../verb.ts';

/** Verbs of `hv`: what is on this machine, and its edits. */
export const UPKEEP_VERBS: VerbRow[] = [
  {
    name: 'status',
    args: '[plugin]',
    summary: 'what is installed here, what waits, what is wrong; or on other machines, as operator',
    options: [
      ['--fleet', 'on every machine, as they reported it'],
      ['--machine <machine>', 'on this machine instead'],
      ['--out-of-step', 'only machines that have not what they should have'],
    ],
    examples: ['hv status', 'hv status elasticsearch-ops --fleet', 'hv status --machine es-1 --json'],
    load: async () => (await import('../verbs/status.ts')).status,
  },
  {
    name: 'diff',
    args: '<plugin> [other]',
    summary: 'what was changed here in an installed plugin; or what one version can do that another cannot',
    examples: ['hv diff elasticsearch-ops', 'hv diff elasticsearch-ops@1.1.0 elasticsearch-ops@1.2.0'],
    load: async () => (await import('../verbs/edits.ts')).diff,
  },
  {
    name: 'repair',
    args: '<plugin...>',
    summary: 'put a plugin back as it was published, or only these of its files; edits go to a backup',
    options: [['--keep', 'settle conflicts the other way: your edits stay']],
    examples: ['hv repair elasticsearch-ops', 'hv repair elasticsearch-ops commands/es.md --keep'],
    load: async () => (await import('../verbs/edits.ts')).repair,
  },
  {
    name: 'loaded',
    summary: 'ask Claude Code whether it loads what is installed; what just came and does not is undone',
    examples: ['hv loaded'],
    load: async () => (await import('../verbs/edits.ts')).loaded,
  },
  {
    name: 'backups',
    args: '[action] [backup]',
    summary: 'what was kept before changes: list, restore BACKUP',
    examples: ['hv backups', 'hv backups restore settings.json'],
    load: async () => (await import('../verbs/edits.ts')).backups,
  },
];
