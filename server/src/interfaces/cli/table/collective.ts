import type { VerbRow } from '../verb.ts';

const keywords: [string, string] = ['--keywords <list>', 'further technical words and synonyms (a,b)'];
const category: [string, string] = ['--category <word>', 'runbook, decision, incident, discovery, …'];
const project: [string, string] = ['--project <name>', 'of this project'];
const limit: [string, string] = ['--limit <n>', 'at most so many'];

/** Verbs of `hv`: what machines remember, tell each other, and do for each other. */
export const COLLECTIVE_VERBS: VerbRow[] = [
  {
    name: 'remember',
    args: '<text...>',
    summary: 'keep a fact for later sessions and other machines',
    options: [
      category,
      ['--tags <list>', 'words by which others look for it (a,b)'],
      project,
      ['--importance <n>', '1 to 5 (default 3)'],
      ['--private', 'this machine alone'],
      ['--groups <list>', 'only machines of these groups (a,b)'],
      ['--confidentiality <mark>', 'normal, or internal, confidential, pii: those never leave this machine'],
      ['--days <n>', 'forget it after so many days'],
    ],
    examples: [
      'hv remember "The export needs 20 GB free on /data" --category runbook --tags export,disk',
      'hv remember "The contract ends in May" --confidentiality confidential',
    ],
    load: async () => (await import('../verbs/memories.ts')).remember,
  },
  {
    name: 'recall',
    args: '<words...>',
    summary: 'search what this machine and the collective remember, best first',
    options: [
      keywords,
      category,
      ['--tag <tag>', 'with this tag'],
      ['--machine <name>', 'only what this machine shared'],
      project,
      limit,
    ],
    examples: ['hv recall why does the export fail --keywords disk,warehouse'],
    load: async () => (await import('../verbs/memories.ts')).recall,
  },
  {
    name: 'memories',
    args: '[action] [subject]',
    summary: 'the newest memories; edit ID, forget ID, export [FILE], import FILE (JSON lines)',
    options: [
      category,
      ['--tag <tag>', 'with this tag'],
      ['--machine <name>', 'only what this machine shared'],
      project,
      limit,
      ['--content <text>', 'edit: the new text'],
      ['--tags <list>', 'edit: the new tags (a,b)'],
      ['--importance <n>', 'edit: 1 to 5'],
      ['--visibility <who>', 'edit: private, groups or collective'],
      ['--groups <list>', 'edit: for these groups alone (a,b)'],
      ['--confidentiality <mark>', 'edit: normal, internal, confidential or pii'],
      ['--shared', 'export: without the private memories of this machine'],
      ['--from-server <url>', 'import: from the MCP address of a hAIveMind memory server'],
    ],
    examples: [
      'hv memories --tag export',
      'hv memories edit mem_… --content "…" --tags export,disk',
      'hv memories forget mem_…',
      'hv memories export > memories.jsonl',
      'hv memories import memories.jsonl',
      'hv memories import --from-server http://memory.internal:8900/mcp',
    ],
    load: async () => (await import('../verbs/memories.ts')).memories,
  },
  {
    name: 'broadcast',
    args: '<text...>',
    summary: 'tell the other machines something at once',
    options: [
      ['--severity <word>', 'info, warning or critical (shown to every person; default info)'],
      category,
      ['--groups <list>', 'only machines of these groups (a,b)'],
      ['--hours <n>', 'told for so many hours (default 72)'],
    ],
    examples: ['hv broadcast "The gateway moved to 10.0.0.9" --severity warning --groups web'],
    load: async () => (await import('../verbs/collective.ts')).broadcast,
  },
  {
    name: 'broadcasts',
    args: '[action] [ids...]',
    summary: 'what other machines broadcast; ack [ID…] says that it was taken notice of here',
    options: [
      ['--open', 'only what was not acknowledged here'],
      category,
      ['--severity <word>', 'only info, warning or critical'],
      limit,
    ],
    examples: ['hv broadcasts --open', 'hv broadcasts ack msg_…', 'hv broadcasts ack'],
    load: async () => (await import('../verbs/collective.ts')).broadcasts,
  },
  {
    name: 'roster',
    summary: 'who is in the collective: role, groups, capabilities, presence, tasks',
    options: [
      ['--capability <word>', 'only machines that can do this'],
      ['--group <group>', 'only machines of this group'],
    ],
    examples: ['hv roster', 'hv roster --capability sql --json'],
    load: async () => (await import('../verbs/collective.ts')).roster,
  },
  {
    name: 'delegate',
    args: '<title...>',
    summary: 'offer a task to the machines that can do it; one takes it, once a person there agrees',
    options: [
      ['--description <text>', 'the goal, what is known, and how to tell that it is done'],
      ['--to <machine>', 'only this machine'],
      ['--groups <list>', 'only machines of these groups (a,b)'],
      ['--needs <list>', 'only machines with these capabilities (x,y)'],
      ['--role <role>', 'only machines of this role'],
      ['--priority <n>', '1 to 5 (default 3)'],
      ['--hours <n>', 'failed when it is not done by then'],
      ['--attempts <n>', 'given up after so many (default 3)'],
    ],
    examples: [
      'hv delegate Reindex logs-2026 --needs es_admin --description "Into logs-2026-v2; counts must be equal"',
    ],
    load: async () => (await import('../verbs/tasks.ts')).delegate,
  },
  {
    name: 'tasks',
    args: '[action] [task] [text...]',
    summary: 'tasks of this machine; take, progress, done, fail, release or cancel ID',
    options: [['--status <status>', 'open, claimed, done, failed or cancelled'], limit],
    examples: [
      'hv tasks --status open',
      'hv tasks take task_…',
      'hv tasks progress task_… half of it',
      'hv tasks done task_… 42 rows',
      'hv tasks fail task_… no such index',
    ],
    load: async () => (await import('../verbs/tasks.ts')).tasks,
  },
];
