import type { VerbRow } from '../verb.ts';

/** Verbs of `hv`: who may run what. */
export const TRUST_VERBS: VerbRow[] = [
  {
    name: 'surface',
    args: '<plugin> [from] [to]',
    summary: 'what a plugin can do on a machine, and how that changed between versions',
    examples: ['hv surface devops-essentials', 'hv surface devops-essentials 1.0.0 1.1.0'],
    load: async () => (await import('../verbs/trust.ts')).surface,
  },
  {
    name: 'approve',
    args: '<plugin>',
    summary: 'let an update that does more than before go out (as operator)',
    options: [
      ['--digest <digest>', 'only if it is these bytes'],
      ['--urgent', 'signed: machines take it before its minimum age'],
    ],
    examples: ['hv approve devops-essentials@1.1.0'],
    load: async () => (await import('../verbs/trust.ts')).approve,
  },
  {
    name: 'review',
    args: '[plugin]',
    summary:
      'what was registered and waits to be published or sent back, with what it does and what is found in it (as operator)',
    options: [
      ['--publish', 'it may go out: approve it and publish it'],
      ['--groups <list>', 'with --publish: target groups (a,b); those its publisher asked for when absent'],
      ['--all', 'with --publish: every machine'],
      ['--quiet', 'with --publish: people are not told'],
      ['--reject', 'send it back'],
      ['--reason <text>', 'with --reject: why; its author is told'],
    ],
    examples: [
      'hv review',
      'hv review es-tools@1.2.0 --publish --groups elasticsearch',
      'hv review es-tools@1.2.0 --reject --reason "reads ~/.ssh"',
    ],
    load: async () => (await import('../verbs/review.ts')).review,
  },
  {
    name: 'revoke',
    args: '<plugin>',
    summary: 'take a version away from every machine at once, for good',
    options: [
      ['--reason <text>', 'why; people see it'],
      ['--wait <seconds>', 'until all who had it confirm, at most so long'],
    ],
    examples: ['hv revoke devops-essentials@1.1.0 --reason "leaks tokens" --wait 30'],
    load: async () => (await import('../verbs/trust.ts')).revoke,
  },
  {
    name: 'revocations',
    summary: 'what was revoked, who had it since when, which sessions used it, and where it is gone',
    examples: ['hv revocations'],
    load: async () => (await import('../verbs/trust.ts')).revocations,
  },
  {
    name: 'yank',
    args: '<plugin>',
    summary: 'offer a version to nobody any more; it stays where it is',
    options: [
      ['--reason <text>', 'why'],
      ['--undo', 'offer it again'],
    ],
    examples: ['hv yank devops-essentials@1.1.0 --reason "wrong cluster"'],
    load: async () => (await import('../verbs/trust.ts')).yank,
  },
  {
    name: 'deprecate',
    args: '<plugin>',
    summary: 'advise against a version; it installs only when asked for',
    options: [
      ['--reason <text>', 'why'],
      ['--undo', 'take the advice back'],
    ],
    examples: ['hv deprecate devops-essentials@1.0.0 --reason "use 2.x"'],
    load: async () => (await import('../verbs/trust.ts')).deprecate,
  },
  {
    name: 'trust',
    args: '[action] [subject] [key]',
    summary:
      'whose signatures count: list, add, forget, forget-revoked, operator, operator-key, keys, rotate, revoke-key, epoch',
    options: [
      ['--remove', 'operator: let this key go'],
      ['--yes', 'forget-revoked: do not ask'],
    ],
    examples: [
      'hv trust',
      'hv trust add es-ops 3f9a…',
      'hv trust rotate',
      'hv trust revoke-key 3f9a…',
      'hv trust forget-revoked 3f9a…',
    ],
    load: async () => (await import('../verbs/trust.ts')).trust,
  },
  {
    name: 'audit',
    summary: 'who did what on the hub, or what was changed on this machine',
    options: [
      ['--local', 'of this machine, also without the hub'],
      ['--verify', 'compute the chain of hashes again'],
      ['--export', 'everything as JSON lines'],
      ['--limit <n>', 'at most so many (default 50)'],
    ],
    examples: ['hv audit --verify', 'hv audit --local', 'hv audit --export > audit.jsonl'],
    load: async () => (await import('../verbs/trust.ts')).audit,
  },
];
