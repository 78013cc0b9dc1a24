import type { VerbRow } from '../verb.ts';

/** Verbs of `hv`: keeping a machine going. */
export const RUNNING_VERBS: VerbRow[] = [
  {
    name: 'doctor',
    summary: 'look for what is wrong on this machine',
    options: [['--fix', 'finish what a crash left, and sync again']],
    examples: ['hv doctor', 'hv doctor --fix'],
    load: async () => (await import('../verbs/status.ts')).doctor,
  },
  {
    name: 'agent',
    summary: 'keep this machine in step without a session',
    options: [
      ['--print-systemd', 'print a systemd user unit and exit'],
      ['--print-launchd', 'print a launchd property list and exit'],
    ],
    examples: ['hv agent', 'hv agent --print-systemd > ~/.config/systemd/user/haivemind.service'],
    load: async () => (await import('../verbs/agent.ts')).agent,
  },
  {
    name: 'self-update',
    summary: "replace this program by the hub's, when the join line installed it",
    examples: ['hv self-update'],
    load: async () => (await import('../verbs/agent.ts')).selfUpdateVerb,
  },
];
