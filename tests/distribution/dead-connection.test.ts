// A connection whose other side is silent: both ends find out, and the machine keeps in step by asking.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { holdLiveChannel } from '../../server/src/client/live/hold.ts';
import { updateConfig } from '../../server/src/machine/config-file.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { publish, type TestHub, testHub } from '../hub/support.ts';
import { type RealClient, realClient } from './real-client.ts';

/** Carries TCP to a port; live channels that it carries can be made to go silent, both ways, without being closed. */
async function carrier(port: number): Promise<{ url: string; silence(): void; live(): number; close(): void }> {
  let silent = false;
  const all = new Set<Socket>();
  const channels = new Set<Socket>();
  const server: Server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    for (const socket of [client, upstream]) all.add(socket.on('error', () => socket.destroy()));
    let channel = false;
    client.on('data', (bytes) => {
      if (bytes.includes('/ws/plugins')) {
        channel = true;
        channels.add(client.on('close', () => channels.delete(client)));
      }
      if (!(silent && channel)) upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (!(silent && channel)) client.write(bytes);
    });
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => {
      if (!(silent && channel)) client.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`,
    silence: () => {
      silent = true;
    },
    live: () => channels.size,
    close: () => {
      server.close();
      for (const socket of all) socket.destroy();
    },
  };
}

describe('a connection that went silent', () => {
  let t: TestHub;
  let machine: RealClient;
  let wire: Awaited<ReturnType<typeof carrier>>;
  const stop = new AbortController();
  let channel: Promise<void> | undefined;
  beforeEach(async () => {
    t = await testHub('sqlite', { limits: { heartbeatMs: 1000 } });
    await publish(t.url, t.admin, { name: 'aa', version: '1.0.0' });
    machine = await realClient(t.url, t.hub.joinToken, 'm1', { plugins: { sync_interval: 60 } });
    wire = await carrier(t.hub.port);
    await updateConfig(machine.ctx.machine, (raw) => ({ ...raw, hub_url: wire.url }));
    machine.ctx.config.hub_url = wire.url;
  });
  afterEach(async () => {
    stop.abort();
    await channel?.catch(() => undefined);
    wire.close();
    await machine.remove();
    await t.close();
  });
  const until = async (what: () => boolean | Promise<boolean>, ms = 30_000) => {
    for (const end = performance.now() + ms; performance.now() < end; await sleep(50)) if (await what()) return;
    throw new Error('it did not come to pass');
  };
  const version = async () => (await readReceipts(machine.ctx.machine)).plugins.aa?.version;

  it('is given up by both sides; the machine says that it polls, and polls', async () => {
    const states: string[] = [];
    channel = holdLiveChannel(machine.ctx, {
      signal: stop.signal,
      onState: (state) => void states.push(state),
      pace: { heartbeat: 1000, backoffMin: 300, backoffMax: 600 },
    });
    await until(() => states.includes('connected') && wire.live() === 1);
    // The interval of the configuration is what remains when no doorbell is heard.
    await updateConfig(machine.ctx.machine, (raw) => ({
      ...raw,
      plugins: { ...(raw.plugins as object), sync_interval: 2 },
    }));
    wire.silence();
    await until(() => states.includes('polling'));
    await until(async () => (await (await fetch(`${t.url}/metrics`)).text()).includes('haivemind_ws_connections 0'));
    await publish(t.url, t.admin, { name: 'aa', version: '1.1.0' });
    await until(async () => (await version()) === '1.1.0', 90_000);
    expect(states.slice(states.indexOf('connected') + 1)).toContain('polling');
  });
});
