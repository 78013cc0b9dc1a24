import type { VerbRow } from '../verb.ts';

/** Verbs of `hv`: writing plugins. */
export const AUTHORING_VERBS: VerbRow[] = [
  {
    name: 'validate',
    args: '[dir]',
    summary: 'check a plugin (folder or zip) as Claude Code and the hub will',
    options: [
      ['--strict', 'warnings count as errors'],
      ['--fix', 'mend what is safe to mend, in place, and show the difference'],
      ['--sarif', 'print a SARIF 2.1.0 log'],
    ],
    examples: [
      'hv validate ./my-plugin',
      'hv validate ./my-plugin --fix',
      'hv validate my-plugin.zip --strict --sarif',
    ],
    load: async () => (await import('../verbs/authoring.ts')).validate,
  },
  {
    name: 'dev',
    args: '[dir]',
    summary: "show a folder to this machine's Claude Code while it is being edited, without publishing",
    options: [
      ['--once', 'show it as it is now, and end'],
      ['--stop', 'back to what is installed (a folder or plugin name; all without)'],
    ],
    examples: ['hv dev ./my-plugin', 'hv dev ./my-plugin --stop'],
    load: async () => (await import('../verbs/dev.ts')).dev,
  },
  {
    name: 'create',
    args: '<name>',
    summary: 'start a new plugin from a template',
    options: [
      ['--path <dir>', 'where to put it (default ./NAME)'],
      ['--with <list>', 'commands,agents,skills,hooks,mcp (default commands)'],
      ['--description <text>', 'what it does'],
      ['--template <name>', 'basic, elasticsearch-ops or incident-response: a built-in plugin to start from'],
    ],
    examples: ['hv create my-plugin --with commands,skills', 'hv create my-service --template elasticsearch-ops'],
    load: async () => (await import('../verbs/authoring.ts')).create,
  },
];
