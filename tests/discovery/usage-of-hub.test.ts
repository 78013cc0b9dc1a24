// What was used as a member of one hub is told to that hub alone, and leaving it takes the counts away.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openClient } from '../../server/src/client/context.ts';
import { joinHub } from '../../server/src/client/join/index.ts';
import { leaveHub } from '../../server/src/client/join/leave.ts';
import { memberOf, usageHere } from '../../server/src/client/report/usage.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import type { Environment } from '../../server/src/interfaces/environment.ts';
import { countUseOf } from '../../server/src/interfaces/mcp/count-use.ts';
import { UsageCounter } from '../../server/src/machine/usage.ts';
import { type RealClient, realClient } from '../distribution/real-client.ts';
import { ask, publish, type TestHub, testHub } from '../hub/support.ts';

let first: TestHub;
let second: TestHub;
let machine: RealClient;
beforeEach(async () => {
  first = await testHub('sqlite');
  second = await testHub('sqlite');
  for (const [hub, name] of [
    [first, 'secret'],
    [second, 'other'],
  ] as const)
    await publish(hub.url, hub.admin, { name, files: { 'commands/go.md': 'go' } });
  machine = await realClient(first.url, first.hub.joinToken, 'm1');
});
afterEach(async () => {
  await machine.remove();
  await first.close();
  await second.close();
});

/** As the hooks of one session that runs on do. */
const use = (command: string) => countUseOf(machine.ctx.env as Environment, { command });
const root = () => machine.ctx.machine.paths.root;
const files = () => readdir(join(root(), 'usage')).catch(() => []);

async function joinSecond(): Promise<void> {
  machine.ctx = await openClient(machine.ctx.env);
  const { syncError } = await joinHub(machine.ctx, { url: second.url, token: second.hub.joinToken, name: 'm1' });
  expect(syncError).toBeNull();
}

const told = async (t: TestHub) =>
  ((await ask(t.url, 'GET', '/api/usage?by=plugin', { token: t.admin })).expect(200).rows as { plugin: string }[]).map(
    (row) => row.plugin,
  );

/** As a program writes it that names no member; of a process that is over. */
async function leaveEarlier(session: string, plugin: string): Promise<void> {
  await mkdir(join(root(), 'usage'), { recursive: true });
  const process = { pid: 1, start: '1', host: 'here', place: 'here' };
  const day = new Date().toISOString().slice(0, 10);
  const counts = [{ plugin, version: '1.0.0', kind: 'command', component: 'go', day, count: 1 }];
  const file = { format: 1, session, process, counts };
  await writeFile(join(root(), 'usage', `session-${session}.json`), JSON.stringify(file));
}
const toldFile = () => join(root(), 'usage', 'told.json');

describe('counts of an earlier program, which names no member', () => {
  it('are told after the upgrade, but for those that were told before it', async () => {
    await leaveEarlier('earlier-session', 'secret');
    await leaveEarlier('told-session', 'secret');
    const last = { format: 1, at: '2026-01-01T00:00:00.000Z', sessions: { 'told-session': 1 }, last: [] };
    await writeFile(toldFile(), JSON.stringify(last));
    const { waiting, sent } = await usageHere(machine.ctx);
    expect([waiting.map((count) => count.session), sent.at]).toEqual([['earlier-session'], last.at]);
    await syncMachine(machine.ctx, { mode: 'explicit' });
    expect([await told(first), (await usageHere(machine.ctx)).waiting]).toEqual([['secret'], []]);
    // A session that goes on with the program before.
    await leaveEarlier('old-session', 'secret');
    expect((await usageHere(machine.ctx)).waiting).toMatchObject([{ session: 'old-session' }]);
  });

  it('are not told where another hub was told last, and go when this machine joins another', async () => {
    await leaveEarlier('earlier-session', 'secret');
    await writeFile(toldFile(), JSON.stringify({ format: 1, member: 'another', at: null, sessions: {}, last: [] }));
    expect((await usageHere(machine.ctx)).waiting).toEqual([]);
    await leaveHub(machine.ctx);
    // As that program left.
    await leaveEarlier('earlier-session', 'secret');
    await joinSecond();
    expect([await told(second), await files()]).toEqual([[], []]);
  });
});

describe('leaving a hub', () => {
  it('takes the counts away, and a session that still runs makes nothing anew', async () => {
    await use('secret:go');
    await syncMachine(machine.ctx, { mode: 'explicit' });
    await use('secret:go');
    expect(await told(first)).toEqual(['secret']);
    expect(await files()).toHaveLength(2);
    const counter = new UsageCounter(machine.ctx.machine, memberOf(machine.ctx));
    await leaveHub(machine.ctx);
    await use('secret:go');
    // Asked whether this machine is a member before it left, and written after.
    await counter.add({ plugin: 'secret', version: '1.0.0', kind: 'command', component: 'go' });
    await expect(readdir(root())).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('tells the next one nothing of what was used before, whatever was left', async () => {
    await use('secret:go');
    const [name = ''] = await files();
    const left = await readFile(join(root(), 'usage', name), 'utf8');
    await leaveHub(machine.ctx);
    await joinSecond();
    await mkdir(join(root(), 'usage'));
    // Of a process that is over.
    const gone = JSON.stringify({ ...JSON.parse(left), process: { ...JSON.parse(left).process, start: '1' } });
    await writeFile(join(root(), 'usage', name), gone);
    expect((await usageHere(machine.ctx)).waiting).toEqual([]);
    await use('other:go');
    expect((await usageHere(machine.ctx)).waiting).toMatchObject([{ plugin: 'other', component: 'go', count: 1 }]);
    await syncMachine(machine.ctx, { mode: 'explicit' });
    const { waiting, sent } = await usageHere(machine.ctx);
    expect([waiting, sent.counts.map((c) => c.plugin)]).toEqual([[], ['other']]);
    expect(await told(second)).toEqual(['other']);
    expect(await files()).not.toContain(name);
  });
});
