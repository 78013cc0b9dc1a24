import type { VerbRow } from '../verb.ts';

const machines: [string, string] = ['--machines <list>', 'on these machines instead (a,b; * for all), as operator'];
const discard: [string, string] = ['--discard-edits', 'what was edited here is replaced too (a backup is kept)'];
const yes: [string, string] = ['--yes', "you looked at what it does (where this machine's policy asks)"];
const force: [string, string] = ['--force', 'also what is in step or was edited here (a backup is kept)'];

/** Verbs of `hv`: what changes this machine. */
export const CHANGES_VERBS: VerbRow[] = [
  {
    name: 'install',
    args: '<plugin>',
    summary: 'install a plugin, NAME or NAME@RANGE',
    options: [machines, yes, force, discard],
    examples: ['hv install elasticsearch-ops', 'hv install elasticsearch-ops@1.2.0 --machines es-1,es-2'],
    load: async () => (await import('../verbs/changes.ts')).install,
  },
  {
    name: 'update',
    args: '[plugins...]',
    summary: 'install waiting updates of these plugins, or of all installed',
    options: [yes, force, discard],
    examples: ['hv update', 'hv update elasticsearch-ops'],
    load: async () => (await import('../verbs/changes.ts')).update,
  },
  {
    name: 'remove',
    args: '<plugin>',
    summary: 'remove a plugin; what was edited in it stays as an overlay',
    options: [machines, ['--purge', 'forget edits and overlay too']],
    examples: ['hv remove elasticsearch-ops', 'hv remove elasticsearch-ops --purge'],
    load: async () => (await import('../verbs/changes.ts')).remove,
  },
  {
    name: 'rollback',
    args: '<plugin>',
    summary: 'go back to the version before, and stay there until `hv update PLUGIN`',
    options: [['--to <version>', 'a certain earlier version']],
    examples: ['hv rollback elasticsearch-ops', 'hv rollback elasticsearch-ops --to 1.1.0'],
    load: async () => (await import('../verbs/changes.ts')).rollback,
  },
  {
    name: 'sync',
    summary: 'bring this machine to what the hub wants of it, updates included',
    options: [
      ['--dry-run', 'only show what would change'],
      force,
      discard,
      ['--frozen', 'to exactly what the lockfile says instead'],
      ['--lock <file>', 'the lockfile (default ./haivemind.lock.json)'],
    ],
    examples: ['hv sync', 'hv sync --dry-run', 'hv sync --frozen'],
    load: async () => (await import('../verbs/changes.ts')).sync,
  },
  {
    name: 'lock',
    summary: 'write what is installed here to a lockfile, to be had again elsewhere',
    options: [['--out <file>', 'where to (default ./haivemind.lock.json)']],
    examples: ['hv lock', 'hv lock --out es.lock.json'],
    load: async () => (await import('../verbs/lock.ts')).lock,
  },
  {
    name: 'why',
    args: '<plugin>',
    summary: 'why a plugin is, or is not, on this machine or another',
    options: [['--machine <machine>', 'on this machine instead, as operator']],
    examples: ['hv why elasticsearch-ops', 'hv why elasticsearch-ops --machine es-1'],
    load: async () => (await import('../verbs/why.ts')).why,
  },
];
