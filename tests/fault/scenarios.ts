import { rm, symlink } from 'node:fs/promises';
import { FULL, noteChanges } from '../../server/src/machine/audit/log.ts';
import { applyChange, type Change } from '../../server/src/machine/change/transaction.ts';
import { leaveMachine } from '../../server/src/machine/leave.ts';
import type { Machine } from '../../server/src/machine/machine.ts';
import { collectVersions } from '../../server/src/machine/processes/leases.ts';
import { ownIdentity } from '../../server/src/machine/processes/process-identity.ts';
import { quarantine } from '../../server/src/machine/quarantine.ts';
import type { Rig } from '../machine/rig.ts';

/** A state of a HOME and one thing done to it. */
export interface Scenario {
  name: string;
  /** Brings the HOME into the old state; what it returns is then run under faults. */
  prepare(rig: Rig): Promise<(m: Machine) => Promise<unknown>>;
  /** Not one transaction: it is done again after a crash, and then is finished. */
  repeated?: boolean;
  /** Says what is wrong after a recovery, where names by chance make the HOME differ from run to run. */
  verdict?(rig: Rig): Promise<string | null>;
}

const SETTINGS =
  '{\r\n\t"model":"opus",\r\n\t"enabledPlugins": {"haivemind-core@haivemind": true, "x@y":false},\r\n\t"z":[1]}';
const LIST = '{"version":2,"plugins":{"x@y":[{"scope":"user"}]}}';

const change =
  (change: Partial<Change>) =>
  (m: Machine): Promise<unknown> =>
    applyChange(m, { install: [], remove: [], reason: 'sync', ...change });

const text = (tag: string): string => Array.from({ length: 9 }, (_, i) => `${i} ${i === 7 ? tag : ''}\n`).join('');

async function versions(rig: Rig, version: string) {
  const files = {
    'commands/hv.md': `hv ${version}`,
    'skills/s/SKILL.md': text(version),
    'agents/a.md': `agent ${version}`,
    'bin/run': 'run',
  };
  return [
    await rig.store('haivemind-core', version, files, { globalCommands: true, executable: ['bin/run'] }),
    await rig.store('ops', version, { 'commands/go.md': text(version), same: 'same' }),
  ];
}

async function used(rig: Rig): Promise<void> {
  await rig.write('.claude/settings.json', SETTINGS);
  await rig.write('.claude/plugins/installed_plugins.json', LIST);
  await rig.write('.claude/commands/mine.md', 'mine');
}

async function edit(rig: Rig): Promise<void> {
  const core = '.claude/plugins/haivemind-core';
  await rig.write(`${core}/skills/s/SKILL.md`, text('1.0.0').replace('1 \n', '1 mine\n'));
  await rig.write(`${core}/agents/a.md`, 'my agent');
  await rig.write(`${core}/notes/n.txt`, 'note');
  await symlink('n.txt', rig.path(core, 'notes/link'));
  await rm(rig.path(core, 'bin/run'));
}

/** What a dead process's lock, a person's own copies and the core's server leave. */
async function debris(rig: Rig): Promise<void> {
  await rig.write('.claude/plugins/.haivemind/lock/1.done', '');
  await rig.write('.claude/plugins/.haivemind/usage/told.json', '{}');
  await rig.write('.claude/plugins/.haivemind/quarantine/bad/1.0.0/x', 'x');
  await rig.write('.claude/plugins/.haivemind/backups/old/settings.json', '{}');
  await rig.write('.claude/plugins/data/haivemind-core-collective/work.v8', 'code');
}

export const SCENARIOS: Scenario[] = [
  {
    name: 'install into an empty HOME',
    async prepare(rig) {
      return change({ install: await versions(rig, '1.0.0') });
    },
  },
  {
    name: 'install beside what others wrote',
    async prepare(rig) {
      await used(rig);
      return change({ install: await versions(rig, '1.0.0') });
    },
  },
  {
    name: 'update',
    async prepare(rig) {
      await used(rig);
      await rig.apply({ install: await versions(rig, '1.0.0') });
      return change({ install: await versions(rig, '2.0.0'), reason: 'update' });
    },
  },
  {
    name: 'update over edits',
    async prepare(rig) {
      await used(rig);
      await rig.apply({ install: await versions(rig, '1.0.0') });
      await edit(rig);
      return change({ install: await versions(rig, '2.0.0'), reason: 'update' });
    },
  },
  {
    name: 'remove',
    async prepare(rig) {
      await used(rig);
      await rig.apply({ install: await versions(rig, '1.0.0') });
      return change({ remove: ['haivemind-core', 'ops'], reason: 'remove' });
    },
  },
  {
    name: 'remove what made the files',
    async prepare(rig) {
      await rig.apply({ install: await versions(rig, '1.0.0') });
      return change({ remove: ['haivemind-core', 'ops'], reason: 'remove' });
    },
  },
  {
    name: 'remove, update and install at once',
    async prepare(rig) {
      await used(rig);
      const [core, ops] = await versions(rig, '1.0.0');
      if (core === undefined || ops === undefined) throw new Error('no versions');
      await rig.apply({ install: [core, ops] });
      const [, next] = await versions(rig, '2.0.0');
      const added = await rig.store('new', '0.1.0', { 'commands/n.md': 'n' }, { globalCommands: true });
      return change({ install: next === undefined ? [added] : [next, added], remove: ['haivemind-core'] });
    },
  },
  {
    name: 'rollback',
    async prepare(rig) {
      await used(rig);
      const first = await versions(rig, '1.0.0');
      await rig.apply({ install: first });
      await rig.apply({ install: await versions(rig, '2.0.0') });
      return change({ install: first, reason: 'rollback' });
    },
  },
  {
    name: 'update where the audit log is full',
    async prepare(rig) {
      await rig.apply({ install: await versions(rig, '1.0.0') });
      const long = { what: 'config', target: 'x', from: null, before: 'x'.repeat(FULL), after: 1, result: 'done' };
      await noteChanges(rig.machine, [long]);
      return change({ install: await versions(rig, '2.0.0'), reason: 'update' });
    },
  },
  {
    name: 'take a revoked version out of reach',
    repeated: true,
    async prepare(rig) {
      const [, ops] = await versions(rig, '1.0.0');
      if (ops === undefined) throw new Error('no version');
      await rig.apply({ install: [ops] });
      const [, next] = await versions(rig, '2.0.0');
      await rig.apply({ install: next === undefined ? [] : [next] });
      const { name, version, digest } = ops.entry;
      return (m) => quarantine(m, new Map([[digest, { name, version, digest, reason: 'steals' }]]));
    },
  },
  {
    name: 'collect old trees with edits',
    repeated: true,
    async prepare(rig) {
      await used(rig);
      await rig.apply({ install: await versions(rig, '1.0.0') });
      await edit(rig);
      await rig.apply({ install: await versions(rig, '2.0.0') });
      await rig.apply({ install: await versions(rig, '3.0.0'), overwriteEdits: true });
      const gone = { pid: 1, start: '1', host: 'gone', place: 'gone', sessionId: 's', dirs: [] };
      const dead = { ...(await ownIdentity()), start: '1', sessionId: 's', dirs: ['versions/ops'] };
      await rig.write('.claude/plugins/.haivemind/leases/1-a.json', JSON.stringify(dead));
      await rig.write('.claude/plugins/.haivemind/leases/1-b.json', JSON.stringify(gone));
      return (m) => collectVersions(m, { keep: 0, graceMs: -1 });
    },
  },
  {
    name: 'install where all was removed and collected',
    async prepare(rig) {
      await rig.apply({ install: await versions(rig, '1.0.0') });
      await rig.apply({ remove: ['haivemind-core', 'ops'], reason: 'remove' });
      await collectVersions(rig.machine, { graceMs: -1 });
      return change({ install: await versions(rig, '1.0.0') });
    },
  },
  {
    name: 'leave',
    repeated: true,
    async prepare(rig) {
      await used(rig);
      await rig.apply({ install: await versions(rig, '1.0.0') });
      await rig.apply({ install: await versions(rig, '2.0.0') });
      await debris(rig);
      return leaveMachine;
    },
  },
  {
    name: 'leave with edits',
    repeated: true,
    async prepare(rig) {
      await used(rig);
      await rig.apply({ install: await versions(rig, '1.0.0') });
      await edit(rig);
      await debris(rig);
      return leaveMachine;
    },
  },
  {
    name: 'leave an empty HOME',
    repeated: true,
    async prepare(rig) {
      await rig.apply({ install: await versions(rig, '1.0.0') });
      return leaveMachine;
    },
  },
];
