// Copies that an earlier program made otherwise than this one does: a sync lays them out again, and lost receipts know them.
import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recover } from '../../server/src/machine/change/transaction.ts';
import { inspect } from '../../server/src/machine/drift.ts';
import { leaveMachine } from '../../server/src/machine/leave.ts';
import { alignLoose } from '../../server/src/machine/loose/align.ts';
import { LOOSE_RULES } from '../../server/src/machine/loose/index.ts';
import { type LooseFile, readReceipts, updateReceipts } from '../../server/src/machine/receipts/index.ts';
import { regainReceipts } from '../../server/src/machine/receipts/regain.ts';
import { sha256Of } from '../../server/src/machine/store/blob-store.ts';
import { portAround } from '../fault/faulty-port.ts';
import { makeRig, type Rig } from './rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await makeRig();
});
afterEach(() => rig.close());

const AGENT = '---\nname: au\npermissionMode: bypassPermissions\n---\nYou audit.\n';
const HERE = '---\nname: au\n---\nYou audit.\n';
const FILES = {
  '.claude-plugin/plugin.json': JSON.stringify({ name: 'ops', version: '1.0.0', commands: './new/' }),
  'new/newc.md': 'new',
  'commands/oldc.md': 'old',
  'agents/au.md': AGENT,
  'skills/group/deep/SKILL.md': 'deep',
  'skills/group/deep/more.txt': 'more',
};
const OLD = { 'commands/oldc.md': 'old', 'skills/deep/SKILL.md': 'deep', 'skills/deep/more.txt': 'more' };
const COPIES = ['agents/au.md', 'commands/newc.md'];

const copies = async () => {
  const all = Object.entries(await rig.snapshot()).filter(([, what]) => what !== 'dir');
  return all.flatMap(([path]) => /^\.claude\/((?:commands|agents|skills)\/.*)/.exec(path)?.[1] ?? []).sort();
};
const align = (again = false) => alignLoose(rig.machine, again);
const looseOf = async () => (await readReceipts(rig.machine)).plugins.ops?.loose;
const regain = () => regainReceipts(rig.machine, { layout: 'loose', plan: [] });

/** As a program laid it out that copied the default folders whatever plugin.json says, and front matter whole. */
async function layEarlier(): Promise<void> {
  await rig.apply({ install: [await rig.store('ops', '1.0.0', FILES)], layout: 'loose' });
  for (const [path, text] of Object.entries({ ...OLD, 'agents/au.md': AGENT }))
    await rig.write(`.claude/${path}`, text);
  await updateReceipts(rig.machine, ({ plugins: { ops }, notes }) => {
    if (ops?.loose === undefined) throw new Error('not laid out');
    const old = Object.entries(OLD).map(([path, text]): LooseFile => {
      const kind = path.startsWith('skills') ? 'skill' : 'command';
      const from = path.replace('skills/', 'skills/group/');
      return { kind, from, path, sha256: sha256Of(text), executable: false };
    });
    const today = ops.loose.files.map(({ cuts, ...file }) => (cuts ? { ...file, sha256: sha256Of(AGENT) } : file));
    delete ops.loose.rules;
    ops.loose.files = [...today, ...old];
    notes.madeDirs = [...notes.madeDirs, 'skills', 'skills/deep'];
  });
}

describe('the next sync', () => {
  it('takes away what no part asks for any more, and brings the rest in line, once', async () => {
    await layEarlier();
    expect(await copies()).toEqual([...COPIES, ...Object.keys(OLD)].sort());
    expect((await align()).join()).toContain('Laid out again, as this program does: ops');
    expect(await copies()).toEqual(COPIES);
    expect(await rig.read('.claude/agents/au.md')).toBe(HERE);
    expect(await inspect(rig.machine)).toMatchObject([{ state: 'verified' }]);
    expect(await align()).toEqual([]);
  });

  it('keeps what a person edited: in the copy that stays, and of the one that goes in the tree', async () => {
    await layEarlier();
    await rig.write('.claude/commands/oldc.md', 'my old');
    await rig.write('.claude/agents/au.md', AGENT.replace('audit', 'AUDIT'));
    await align();
    expect(await copies()).toEqual(COPIES);
    expect(await rig.read('.claude/agents/au.md')).toBe(HERE.replace('audit', 'AUDIT'));
    expect(await inspect(rig.machine)).toMatchObject([{ edited: ['agents/au.md', 'commands/oldc.md'] }]);
    const { dir = '' } = (await readReceipts(rig.machine)).plugins.ops ?? {};
    expect(await rig.read('.claude/plugins/.haivemind', dir, 'commands/oldc.md')).toBe('my old');
  });

  it('only notes it where all lies as it would today', async () => {
    const hooks = { Stop: [{ hooks: [{ type: 'command', command: 'sh "${CLAUDE_PLUGIN_ROOT}/x.sh"' }] }] };
    const more = {
      'hooks/hooks.json': JSON.stringify({ hooks }),
      '.mcp.json': JSON.stringify({ mcpServers: { probe: { command: 'node', args: ['s.mjs'] } } }),
    };
    await rig.apply({ install: [await rig.store('ops', '1.0.0', { ...FILES, ...more })], layout: 'loose' });
    await rig.write('.claude/agents/au.md', 'mine');
    const before = (await readReceipts(rig.machine)).plugins.ops;
    await updateReceipts(rig.machine, ({ plugins }) => {
      delete plugins.ops?.loose?.rules;
    });
    expect(await align()).toEqual([]);
    expect((await readReceipts(rig.machine)).plugins.ops).toEqual(before);
  });

  it('leaves a plugin as it is that finds a name taken, and says so once, until it is asked to try again', async () => {
    await layEarlier();
    await updateReceipts(rig.machine, ({ plugins: { ops } }) => {
      if (ops?.loose !== undefined) ops.loose.files = ops.loose.files.filter(({ path }) => path !== 'commands/newc.md');
    });
    const before = await copies();
    const stays = [expect.stringContaining('ops stays as an earlier program laid it out: NAME_CLASH')];
    expect(await align()).toEqual(stays);
    const receipts = await readReceipts(rig.machine);
    expect(await align()).toEqual([]);
    expect(await align(true)).toEqual(stays);
    expect(await readReceipts(rig.machine)).toBe(receipts);
    expect(await copies()).toEqual(before);
    await rm(rig.path('.claude/commands/newc.md'));
    await align();
    expect(await copies()).toEqual(before.filter((path) => path !== 'commands/newc.md'));
    await align(true);
    expect(await copies()).toEqual(COPIES);
    expect((await looseOf())?.tried).toBeUndefined();
  });

  it('does not remember what only failed, and stops nothing else for it, unless a change is half made', async () => {
    await layEarlier();
    let spoiled: (path: string) => boolean = (path) => path.includes('journal');
    const port = portAround((name, args, go) => {
      const target = String(name === 'rename' ? args[1] : args[0]);
      if (spoiled(target)) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
      go();
    });
    const full = rig.withPort(port);
    expect(await alignLoose(full, false)).toEqual([expect.stringContaining('DISK_FULL')]);
    expect((await looseOf())?.tried).toBeUndefined();
    spoiled = (path) => path.endsWith('receipts.json');
    await expect(alignLoose(full, false)).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(await recover(rig.machine)).toBe('rolled-forward');
    expect(await copies()).toEqual(COPIES);
  });
});

describe('lost receipts', () => {
  it('know the copies that an earlier program made: they go on leaving', async () => {
    await layEarlier();
    await rm(rig.machine.paths.receipts);
    await regain();
    await leaveMachine(rig.machine);
    expect(Object.keys(await rig.snapshot()).filter((path) => /commands|agents|skills|haivemind/.test(path))).toEqual(
      [],
    );
  });

  it('and with the next sync', async () => {
    await layEarlier();
    await rm(rig.machine.paths.receipts);
    await regain();
    await align();
    expect(await copies()).toEqual(COPIES);
    expect(await rig.read('.claude/agents/au.md')).toBe(HERE);
  });

  it('take nothing that a person has under such a name', async () => {
    await rig.apply({ install: [await rig.store('ops', '1.0.0', FILES)], layout: 'loose' });
    await rig.write('.claude/commands/oldc.md', 'mine');
    await rm(rig.machine.paths.receipts);
    await regain();
    expect((await looseOf())?.rules).toBe(LOOSE_RULES);
    await leaveMachine(rig.machine);
    expect(await copies()).toEqual(['commands/oldc.md']);
    expect(await rig.read('.claude/commands/oldc.md')).toBe('mine');
  });
});
