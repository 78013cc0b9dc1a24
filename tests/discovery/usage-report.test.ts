// What travels of a machine's counts: one odd row or file keeps nothing else back, and `hv usage` says what the hub did with it.
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memberOf, sendUsage, usageHere } from '../../server/src/client/report/usage.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { HaiveError } from '../../server/src/domain/errors.ts';
import type { Environment } from '../../server/src/interfaces/environment.ts';
import { countUseOf } from '../../server/src/interfaces/mcp/count-use.ts';
import { type RealClient, realClient } from '../distribution/real-client.ts';
import { ask, publish, type TestHub, testHub } from '../hub/support.ts';
import { hvOk } from '../support/hv.ts';

const LONG = 'l'.repeat(70);

let t: TestHub;
let machine: RealClient;
let now: number;
beforeEach(async () => {
  now = Date.now();
  t = await testHub('sqlite', { deps: { clock: () => new Date(now) } });
  await publish(t.url, t.admin, { name: 'tool', files: { 'commands/go.md': 'go' } });
  await publish(t.url, t.admin, { name: 'longy', files: { [`commands/${LONG}/${LONG}/${LONG}.md`]: 'go' } });
  machine = await realClient(t.url, t.hub.joinToken, 'm1');
});
afterEach(async () => {
  await machine.remove();
  await t.close();
});

const use = (command: string) => countUseOf(machine.ctx.env as Environment, { command });
const sync = () => syncMachine(machine.ctx, { mode: 'explicit' });
const folder = () => machine.ctx.machine.paths.usage;
const files = async () => (await readdir(folder())).filter((name) => name.startsWith('session-'));
const today = () => new Date(now).toISOString().slice(0, 10);

async function uses(): Promise<Record<string, number>> {
  const { rows } = (await ask(t.url, 'GET', '/api/usage?by=plugin', { token: t.admin })).expect(200);
  return Object.fromEntries((rows as { plugin: string; uses: number }[]).map((row) => [row.plugin, row.uses]));
}

const row = (more: object = {}) => ({
  plugin: 'tool',
  version: '1.0.0',
  kind: 'command',
  component: 'go',
  day: today(),
  count: 1,
  ...more,
});

/** What a process that is over has left. */
async function leave(session: string, text: string | object[]): Promise<void> {
  await mkdir(folder(), { recursive: true });
  const process = { pid: 1, start: '1', host: 'here', place: 'here' };
  const file = { format: 1, member: memberOf(machine.ctx), session, process, counts: text };
  await writeFile(join(folder(), `session-${session}.json`), typeof text === 'string' ? text : JSON.stringify(file));
}

describe('a report of what was used', () => {
  it('comes through although a component has a name longer than is told', async () => {
    await use(`longy:${LONG}:${LONG}:${LONG}`);
    await use('tool:go');
    await sync();
    expect(await uses()).toEqual({ tool: 1 });
    expect(await usageHere(machine.ctx)).toMatchObject({ waiting: [], sent: { counts: [{ plugin: 'tool' }] } });
  });

  it.each([
    ['a day that is none', { day: '2026-13-99' }],
    ['a name that is too long', { component: 'x'.repeat(201) }],
    ['a count that is none', { count: 0 }],
    ['a kind that is none', { kind: 'spell' }],
  ])('leaves out a row with %s, and sends the others', async (_, odd) => {
    await leave('odd-session-1', [row(odd), row({ count: 2 })]);
    await use('tool:go');
    await sync();
    expect(await uses()).toEqual({ tool: 3 });
    expect((await usageHere(machine.ctx)).waiting).toEqual([]);
  });

  it('says when it was sent last, also after the hub refused a later one, and why it did', async () => {
    await use('tool:go');
    await sync();
    const first = (await usageHere(machine.ctx)).sent;
    expect(first).toMatchObject({ at: expect.any(String), refused: null, counts: [{ count: 1 }] });
    await use('tool:go');
    const refuses = { call: () => Promise.reject(new HaiveError('BAD_REQUEST', 'Field counts: no')) };
    await sendUsage(machine.ctx, refuses as never);
    expect((await usageHere(machine.ctx)).sent).toMatchObject({ ...first, refused: 'BAD_REQUEST: Field counts: no' });
    await sync();
    expect((await usageHere(machine.ctx)).sent).toMatchObject({ refused: null, counts: [{ count: 2 }] });
  });

  it('says how many uses the hub did not take', async () => {
    await leave('ahead-session-1', [row({ day: '2099-01-01', count: 4 }), row()]);
    await sync();
    expect(await uses()).toEqual({ tool: 1 });
    expect((await usageHere(machine.ctx)).sent).toMatchObject({ ignored: 1 });
    expect((await hvOk(machine.home, ['usage'])).sent.ignored).toBe(1);
    await use('tool:go');
    await sync();
    expect((await usageHere(machine.ctx)).sent).toMatchObject({ ignored: 0 });
  });

  it('takes away files that hold no counts, and leaves alone what is not its own', async () => {
    await leave('broken-session', '{"format":1,"counts":[');
    await leave(
      'many-session',
      Array.from({ length: 501 }, (_, i) => row({ component: `c${i}` })),
    );
    await leave('newer-session', '{"format":2}');
    await writeFile(join(folder(), 'notes.txt'), 'mine');
    await use('tool:go');
    await sync();
    expect(await uses()).toEqual({ tool: 1 });
    expect(await readdir(folder())).toContain('notes.txt');
    expect(await files()).toHaveLength(2);
    expect(await files()).toContain('session-newer-session.json');
  });
});
