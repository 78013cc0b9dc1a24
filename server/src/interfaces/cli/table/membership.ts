import type { VerbRow } from '../verb.ts';

/** Verbs of `hv`: a machine and its hub. */
export const MEMBERSHIP_VERBS: VerbRow[] = [
  {
    name: 'join',
    args: '[url]',
    summary: 'make this machine a member of a hub',
    options: [
      ['--token <token>', 'a token that may join'],
      ['--name <name>', 'name of this machine in the collective'],
      ['--groups <list>', 'groups it belongs to (a,b)'],
      ['--capabilities <list>', 'what it can do (x,y)'],
      ['--ca-fingerprint <sha256>', "of the authority that the hub's own certificate comes from"],
      ['--role <role>', 'what it is for, in a word: the roster shows it, tasks may ask for it'],
      ['--about <text>', 'the same in a sentence'],
    ],
    examples: ['hv join https://hub.internal:7420 --token hvt_… --groups orchestrators'],
    load: async () => (await import('../verbs/membership.ts')).join,
  },
  {
    name: 'leave',
    summary: 'take everything of hAIveMind off this machine',
    examples: ['hv leave'],
    load: async () => (await import('../verbs/membership.ts')).leave,
  },
  {
    name: 'login',
    args: '[url]',
    summary: "keep an operator's or publisher's token on this machine",
    options: [
      ['--token <token>', 'the token (otherwise read from standard input)'],
      ['--logout', 'forget the token'],
    ],
    examples: ['hv login https://hub.internal:7420 --token hvt_…', 'hv login --logout'],
    load: async () => (await import('../verbs/membership.ts')).login,
  },
];
