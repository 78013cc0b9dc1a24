// A hub that is killed in the middle of telling its machines, and comes back.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { holdLiveChannel } from '../../server/src/client/live/hold.ts';
import { updateConfig } from '../../server/src/machine/config-file.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { ask, publish } from '../hub/support.ts';
import { startHubProcess } from '../support/hub-process.ts';
import { tempHome } from '../support/temp-home.ts';
import { type RealClient, realClient } from './real-client.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

const version = async ({ ctx }: RealClient): Promise<string | undefined> =>
  (await readReceipts(ctx.machine)).plugins.aa?.version;

async function until(what: () => Promise<boolean>, ms = 90_000): Promise<void> {
  for (const end = performance.now() + ms; performance.now() < end; await sleep(100)) if (await what()) return;
  throw new Error('it did not come to pass');
}

describe('a hub that is killed and comes back', () => {
  it('finds its connected machines again, and they find what was published meanwhile', async () => {
    const home = await tempHome('chaos');
    undo.push(() => home.remove());
    let process_ = await startHubProcess(home);
    undo.push(() => process_.kill());
    const admin = process_.adminToken ?? '';
    await publish(process_.url, admin, { name: 'aa', version: '1.0.0' });
    let target = Number(new URL(process_.url).port);
    // Machines know one address; the hub behind it comes back on another port.
    const server = createServer((from) => {
      const onward = connect(target, '127.0.0.1');
      for (const socket of [from, onward]) socket.on('error', () => [from, onward].map((s) => s.destroy()));
      from.pipe(onward).pipe(from);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    undo.push(() => server.close());
    const address = server.address();
    const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
    const machines: RealClient[] = [];
    for (const name of ['m1', 'm2']) machines.push(await realClient(process_.url, process_.joinToken, name));
    undo.push(() => Promise.all(machines.map((machine) => machine.remove())));
    const stop = new AbortController();
    const channels = machines.map(async (machine) => {
      await updateConfig(machine.ctx.machine, (raw) => ({ ...raw, hub_url: url }));
      machine.ctx.config.hub_url = url;
      const pace = { backoffMin: 200, backoffMax: 1000 };
      await holdLiveChannel(machine.ctx, { signal: stop.signal, pace }).catch(() => undefined);
    });
    undo.push(async () => {
      stop.abort();
      await Promise.all(channels);
    });
    for (let round = 1; round <= 2; round++) {
      await publish(process_.url, admin, { name: 'aa', version: `1.${round}.0` });
      // Acknowledged: whatever the kill interrupts on the way to the machines.
      await process_.kill();
      process_ = await startHubProcess(home);
      target = Number(new URL(process_.url).port);
      await until(async () => (await Promise.all(machines.map(version))).every((have) => have === `1.${round}.0`));
    }
    const info = (await ask(process_.url, 'GET', '/api/plugins/aa', { token: admin })).expect(200);
    expect((info.versions as { version: string }[]).map((v) => v.version)).toEqual(['1.2.0', '1.1.0', '1.0.0']);
  }, 240_000);
});
