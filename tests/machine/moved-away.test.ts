// A person's own things put aside by a migration: wherever the process dies, they are all in place or all put aside, never lost.
import { chmod, stat } from 'node:fs/promises';
import { expect, it } from 'vitest';
import type { Machine } from '../../server/src/machine/machine.ts';
import {
  bringBack,
  endMove,
  type MovedThings,
  movedSets,
  putAside,
  takeAway,
} from '../../server/src/machine/moved-away.ts';
import { Crash, type Fault, faultyPort } from '../fault/faulty-port.ts';
import { makeRig, type Rig } from './rig.ts';

const GROUP = { matcher: 'Bash', hooks: [{ type: 'command', command: 'echo mine' }] };
const OTHER = { hooks: [{ type: 'command', command: 'echo another' }] };
const SERVER = { command: 'node', args: ['x.js'], env: { API_KEY: 'k' } };
const SETTINGS = `${JSON.stringify({ model: 'x', hooks: { Stop: [OTHER], PreToolUse: [GROUP, OTHER] } }, null, 2)}\n`;
const STATE = `${JSON.stringify({ numStartups: 3, mcpServers: { dice: SERVER, other: { command: 'y' } } }, null, 2)}\n`;
const FILES: Record<string, string> = {
  'commands/a.md': 'a\n',
  'skills/s/SKILL.md': 's\n',
  'skills/s/scripts/run.sh': '#!/bin/sh\n',
};

async function rigWithThings(): Promise<{ rig: Rig; things: MovedThings }> {
  const rig = await makeRig();
  for (const [path, text] of Object.entries(FILES)) await rig.write(`.claude/${path}`, text);
  await rig.write('.claude/commands/keep.md', 'mine\n');
  await rig.write('.claude/settings.json', SETTINGS);
  await rig.write('.claude.json', STATE);
  await chmod(rig.path('.claude', 'skills', 's', 'scripts', 'run.sh'), 0o755);
  const things = {
    files: Object.entries(FILES).map(([path, text]) => ({
      path,
      bytes: Buffer.from(text),
      executable: path.endsWith('.sh'),
    })),
    hooks: [{ event: 'PreToolUse', group: GROUP }],
    servers: [{ name: 'dice', value: SERVER }],
  };
  return { rig, things };
}

async function move(m: Machine, things: MovedThings): Promise<void> {
  await putAside(m, 'team', things);
  await resume(m);
}

/** What the next run does. */
async function resume(m: Machine): Promise<string[]> {
  const stay: string[] = [];
  for (const { id, state } of await movedSets(m)) {
    if (state.state === 'done') continue;
    stay.push(...(await takeAway(m, state)));
    await endMove(m, id, state);
  }
  return stay;
}

const there = async (rig: Rig): Promise<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(await rig.snapshot()).filter(
      ([path]) => path.startsWith('.claude') && !path.includes('.haivemind') && path !== '.claude/plugins',
    ),
  );

it('takes away what was put aside and nothing else, and brings it back as it was', async () => {
  const { rig, things } = await rigWithThings();
  const before = await there(rig);
  await move(rig.machine, things);
  const after = await there(rig);
  expect(Object.keys(after).filter((path) => /\/(commands|skills)\//.test(path))).toEqual(['.claude/commands/keep.md']);
  expect(JSON.parse(await rig.read('.claude', 'settings.json'))).toEqual({
    model: 'x',
    hooks: { Stop: [OTHER], PreToolUse: [OTHER] },
  });
  expect(Object.keys(JSON.parse(await rig.read('.claude.json')).mcpServers)).toEqual(['other']);
  const [set] = await movedSets(rig.machine);
  expect(set?.state.state).toBe('done');
  expect((await stat(rig.path('.haivemind', 'moved', set?.id ?? '', 'state.json'))).mode & 0o777).toBe(0o600);
  if (set === undefined) throw new Error('nothing was put aside');
  const back = await bringBack(rig.machine, set.id, set.state);
  expect(back.stay).toEqual([]);
  const files = (all: Record<string, string>) => Object.entries(all).filter(([path]) => !path.endsWith('.json'));
  expect(files(await there(rig))).toEqual(files(before));
  expect((await stat(rig.path('.claude', 'skills', 's', 'scripts', 'run.sh'))).mode & 0o111).not.toBe(0);
  expect(JSON.parse(await rig.read('.claude.json')).mcpServers.dice).toEqual(SERVER);
  expect(JSON.parse(await rig.read('.claude', 'settings.json')).hooks.PreToolUse).toEqual([OTHER, GROUP]);
  await rig.close();
});

it('leaves what was changed meanwhile, and refuses settings that are no JSON', async () => {
  const { rig, things } = await rigWithThings();
  await putAside(rig.machine, 'team', things);
  await rig.write('.claude/commands/a.md', 'a, but newer\n');
  await rig.write('.claude.json', STATE.replace('"x.js"', '"y.js"'));
  await rig.write('.claude/settings.json', '{ torn');
  await expect(resume(rig.machine)).rejects.toMatchObject({ code: 'SETTINGS_INVALID' });
  expect(await rig.read('.claude', 'settings.json')).toBe('{ torn');
  await rig.write('.claude/settings.json', SETTINGS);
  expect(await resume(rig.machine)).toEqual(['commands/a.md', 'the server dice']);
  expect(await rig.read('.claude', 'commands', 'a.md')).toBe('a, but newer\n');
  const [set] = await movedSets(rig.machine);
  await rig.write('.claude/skills/s/SKILL.md', 'another\n');
  const back = await bringBack(rig.machine, set?.id ?? '', set?.state as never);
  expect(back.stay.map((path) => path.replace(rig.home, ''))).toEqual([
    '/.claude/commands/a.md',
    '/.claude/skills/s/SKILL.md',
    '/.claude.json (server dice)',
  ]);
  await rig.close();
});

it('is whole wherever the process dies, before, in the middle of or after any operation', async () => {
  const counted = await rigWithThings();
  const count = faultyPort({ kind: 'none' });
  await move(counted.rig.withPort(count.port), counted.things);
  const goal = await there(counted.rig);
  const total = count.calls.length;
  await counted.rig.close();
  expect(total).toBeGreaterThan(20);
  const seen = { back: 0, forward: 0 };
  for (let at = 1; at <= total; at++) {
    for (const when of count.calls[at - 1] === 'writeFile'
      ? (['torn', 'after'] as const)
      : (['before', 'after'] as const)) {
      const { rig, things } = await rigWithThings();
      const start = await there(rig);
      const fault: Fault = { kind: 'crash', at, when };
      const died = await move(rig.withPort(faultyPort(fault).port), things).then(
        () => false,
        (error: unknown) => error instanceof Crash || (error as { cause?: unknown }).cause instanceof Crash,
      );
      expect(died, `${when} ${at}`).toBe(true);
      const begun = (await movedSets(rig.machine)).length > 0;
      await resume(rig.machine);
      const now = await there(rig);
      const clean = Object.fromEntries(Object.entries(now).filter(([path]) => !path.endsWith('.hv-tmp')));
      expect(clean, `${when} ${at}`).toEqual(begun ? goal : start);
      seen[begun ? 'forward' : 'back']++;
      // Either way the next migration works.
      if (!begun) await move(rig.machine, things);
      expect(await there(rig), `${when} ${at}`).toEqual(goal);
      await rig.close();
    }
  }
  expect(seen.back).toBeGreaterThan(5);
  expect(seen.forward).toBeGreaterThan(5);
}, 180_000);
