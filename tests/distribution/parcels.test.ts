// A small change rides in the notification: the machine installs it without a request, and asks whenever a parcel does not do.

import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openClient } from '../../server/src/client/context.ts';
import { holdLiveChannel } from '../../server/src/client/live/hold.ts';
import { type SyncResult, syncMachine } from '../../server/src/client/sync/index.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { noteReport } from '../../server/src/storage/queries/machines.ts';
import { ask, ENGINES, publish, type TestHub, testHub } from '../hub/support.ts';
import { type RealClient, realClient } from './real-client.ts';

const long = (word: string): string => Array.from({ length: 300 }, (_, i) => `${word} line ${i * 7919}`).join('\n');

const eventually = <T>(what: () => Promise<T>) => expect.poll(what, { interval: 50 });

/** Carries connections to the hub and notes the HTTP requests that pass. */
async function tap(port: number): Promise<{ url: string; requests: string[]; close(): void }> {
  const requests: string[] = [];
  const open = new Set<Socket>();
  const server: Server = createServer((client) => {
    const hub = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [client, hub],
      [hub, client],
    ] as const) {
      open.add(from);
      from.on('data', (chunk) => to.write(chunk));
      from.on('close', () => to.destroy());
      from.on('error', () => from.destroy());
    }
    client.on('data', (chunk) => {
      const line = /^(?:GET|POST) (\S+) HTTP/.exec(chunk.toString('latin1', 0, 200));
      if (line !== null && !line[1]?.includes('inbox')) requests.push(String(line[1]));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = (): void => {
    server.close();
    for (const socket of open) socket.destroy();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests, close };
}

describe.each(ENGINES)('a parcel on %s', (engine) => {
  let t: TestHub;
  let machine: RealClient;
  let line: Awaited<ReturnType<typeof tap>>;
  let stop: AbortController;
  let channel: Promise<unknown> = Promise.resolve();
  let results: SyncResult[];
  let onResult: () => void = () => {};
  beforeEach(async () => {
    stop = new AbortController();
    results = [];
    t = await testHub(engine);
    await publish(t.url, t.admin, { name: 'aa', files: { 'docs/a.md': long('a') } });
    await publish(t.url, t.admin, { name: 'bb' });
    line = await tap(t.hub.port);
  });
  afterEach(async () => {
    stop.abort();
    await channel.catch(() => undefined);
    line.close();
    await machine.remove();
    await t.close();
  });

  async function live(plugins: Record<string, unknown> = {}): Promise<void> {
    machine = await realClient(line.url, t.hub.joinToken, 'm1', { plugins });
    await new Promise<void>((resolve) => {
      channel = holdLiveChannel(machine.ctx, {
        signal: stop.signal,
        onState: (state) => state === 'connected' && resolve(),
        onSync: (result) => {
          results.push(result);
          onResult();
        },
      });
    });
    // The hub has read what the machine has once it answers what was asked after it.
    await eventually(async () => line.requests.filter((r) => r.includes('/ws/')).length).toBe(1);
    await ask(t.url, 'GET', '/api/whoami', { token: machine.ctx.config.token });
    line.requests.length = 0;
  }
  const here = async () =>
    Object.fromEntries(
      Object.values((await readReceipts(machine.ctx.machine)).plugins).map((p) => [p.name, p.version]),
    );
  const reported = async () => {
    const { json } = await ask(t.url, 'GET', '/api/machines/m1', { token: t.admin });
    return Object.fromEntries((json.plugins as { name: string; version: string }[]).map((p) => [p.name, p.version]));
  };
  const update = (version: string, files: Record<string, string> = { 'docs/a.md': `${long('a')}\n${version}` }) =>
    publish(t.url, t.admin, { name: 'aa', version, files });

  it('brings update after update and a small new plugin, and no request is made', async () => {
    await live({ machine_group_auto_install: true });
    for (const version of ['1.1.0', '1.2.0', '1.3.0']) {
      await update(version);
      await eventually(here).toMatchObject({ aa: version, bb: '1.0.0' });
      await eventually(reported).toMatchObject({ aa: version });
    }
    await publish(t.url, t.admin, { name: 'cc' });
    await eventually(reported).toMatchObject({ aa: '1.3.0', cc: '1.0.0' });
    expect(line.requests).toEqual([]);
  });

  it('is told of in a report, again where that was overtaken, and no request is made', async () => {
    await live();
    const id = machine.ctx.config.machine?.id ?? '';
    const later = Date.now() + 30_000;
    const note = () => t.hub.context.store.transact((tx) => noteReport(tx, id, later, later + 30_000));
    expect(await note()).toBeNull();
    await update('1.1.0');
    await eventually(reported).toMatchObject({ aa: '1.1.0' });
    expect(await note()).toBe(later + 1);
    expect(line.requests).toEqual([]);
  });

  it('tells a machine for which nothing changed so, and it does not ask', async () => {
    await live();
    await publish(t.url, t.admin, { name: 'dd' }, ['elsewhere']);
    await update('1.1.0');
    await eventually(reported).toMatchObject({ aa: '1.1.0' });
    expect(line.requests).toEqual([]);
    expect(await here()).toEqual({ aa: '1.1.0', bb: '1.0.0' });
  });

  it('does not do where the change is large: the machine asks', async () => {
    await live();
    const noise = Array.from({ length: 20_000 }, (_, i) => Math.sin(i) * 1e9).join('\n');
    await update('1.1.0', { 'docs/a.md': noise });
    await eventually(reported).toMatchObject({ aa: '1.1.0' });
    expect(line.requests).toContain('/api/transfer');
  });

  it('does not pass what the machine decides itself: an update that waits for a person', async () => {
    await live({ auto_install_updates: false });
    const done = new Promise<void>((resolve) => {
      onResult = resolve;
    });
    await update('1.1.0');
    await done;
    expect(results.at(-1)?.waiting).toMatchObject([{ name: 'aa', to: '1.1.0' }]);
    expect(await here()).toMatchObject({ aa: '1.0.0' });
  });

  it('that was made for a plan which is not the one here any more leaves the machine to ask', async () => {
    await live();
    // Another process of this machine has synced: the hub does not know of that plan on this channel.
    const other = await openClient(machine.ctx.env);
    await update('1.1.0');
    await syncMachine(other, { mode: 'explicit' });
    await update('1.2.0');
    await eventually(here).toMatchObject({ aa: '1.2.0' });
    await eventually(reported).toMatchObject({ aa: '1.2.0' });
  });
});
