// The live channel when its hub is in trouble, out of reach, or of another opinion about the time.
import { once } from 'node:events';
import { cp, readFile, rm } from 'node:fs/promises';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openClient } from '../../server/src/client/context.ts';
import { leaveHub } from '../../server/src/client/join/leave.ts';
import { holdLiveChannel } from '../../server/src/client/live/hold.ts';
import { updateConfig } from '../../server/src/machine/config-file.ts';
import { readLive } from '../../server/src/machine/live-state.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { problem } from '../cli/scripted-hub.ts';
import { ask, publish, type TestHub, testHub } from '../hub/support.ts';
import { type RealClient, realClient } from './real-client.ts';

/** Passes requests on to a hub, and sockets too, but for what a test forbids. */
async function gate(port: number) {
  const open = new Set<Duplex>();
  const door = {
    url: '',
    /** So many questions for a plan are answered by a hub that stops. */
    stopping: 0,
    sockets: true,
    cut(): void {
      for (const socket of open) socket.destroy();
    },
    close(): void {
      server.close();
      door.cut();
    },
  };
  const passOn = ({ method, url, headers }: IncomingMessage) =>
    httpRequest({ host: '127.0.0.1', port, method, path: url, headers });
  const server = createServer((question, answer) => {
    if (question.url?.endsWith('/plan') && door.stopping > 0) {
      door.stopping -= 1;
      return problem(answer, 503, 'SHUTTING_DOWN', 'a moment');
    }
    const onward = passOn(question).on('response', (reply) => {
      answer.writeHead(reply.statusCode ?? 0, reply.headers);
      reply.pipe(answer);
    });
    question.pipe(onward.on('error', () => answer.destroy()));
  });
  server.on('connection', (socket) => open.add(socket.on('error', () => undefined)));
  server.on('upgrade', (question, socket) => {
    if (!door.sockets) return socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n');
    const refused = (reply: IncomingMessage): void => {
      socket.write(`HTTP/1.1 ${reply.statusCode} No\r\ncontent-type: ${reply.headers['content-type']}\r\n\r\n`);
      reply.pipe(socket);
    };
    passOn(question)
      .on('upgrade', ({ rawHeaders }, hub, first) => {
        const lines = rawHeaders.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${rawHeaders[i + 1]}`] : []));
        socket.write(['HTTP/1.1 101 Switching Protocols', ...lines, '', ''].join('\r\n'));
        socket.write(first);
        hub.pipe(socket.on('close', () => hub.destroy())).on('error', () => hub.destroy());
        socket.pipe(hub.on('close', () => socket.destroy()).on('error', () => socket.destroy()));
      })
      .on('response', refused)
      .on('error', () => socket.destroy())
      .end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  door.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return door;
}

let t: TestHub;
let machine: RealClient;
let door: Awaited<ReturnType<typeof gate>>;
let stop: AbortController;
let channel: Promise<unknown>;
let said: string[];
beforeEach(async () => {
  stop = new AbortController();
  said = [];
  channel = Promise.resolve();
  t = await testHub('sqlite');
  await publish(t.url, t.admin, { name: 'aa' });
  door = await gate(t.hub.port);
});
afterEach(async () => {
  stop.abort();
  await channel.catch(() => undefined);
  door.close();
  await machine.remove();
  await t.close();
});

const eventually = <T>(what: () => T) => expect.poll(what, { timeout: 30_000, interval: 50 });
const version = async () => (await readReceipts(machine.ctx.machine)).plugins.aa?.version;
const mark = () => readLive(machine.ctx.machine);

async function join(clock?: () => Date): Promise<void> {
  machine = await realClient(t.url, t.hub.joinToken, 'm1', clock === undefined ? {} : { clock });
  machine.ctx.config = await updateConfig(machine.ctx.machine, (raw) => ({ ...raw, hub_url: door.url }));
}

function live(pace: { live?: number } = {}): void {
  channel = holdLiveChannel(machine.ctx, {
    signal: stop.signal,
    onState: (state) => said.push(state),
    onError: ({ code }) => said.push(code),
    pace: { backoffMin: 100, backoffMax: 400, live: 100, ...pace },
  });
  channel.catch(() => undefined);
}

it('asks again where the hub could not answer what it rang for', async () => {
  await join();
  live();
  await eventually(() => said).toContain('connected');
  door.stopping = 2;
  // Too much to come with the ring.
  const noise = Array.from({ length: 20_000 }, (_, i) => Math.sin(i) * 1e9).join('\n');
  await publish(t.url, t.admin, { name: 'aa', version: '1.1.0', files: { 'docs/a.md': noise } });
  await eventually(version).toBe('1.1.0');
  expect(said.filter((word) => word === 'SHUTTING_DOWN')).toHaveLength(2);
});

it('asks once it is connected where the first question came to nothing', async () => {
  await join();
  door.stopping = 1;
  live();
  await eventually(mark).not.toBeNull();
  expect(said).toContain('SHUTTING_DOWN');
});

it('tells hooks that it keeps the machine in step only while it hears the hub', async () => {
  await join();
  live();
  await eventually(mark).not.toBeNull();
  door.sockets = false;
  door.cut();
  await eventually(mark).toBeNull();
  await eventually(() => said).toContain('polling');
  door.sockets = true;
  await eventually(mark).not.toBeNull();
  (await ask(t.url, 'DELETE', '/api/machines/m1', { token: t.admin })).expect(200);
  await eventually(() => said).toContain('TOKEN_INVALID');
  await eventually(mark).toBeNull();
});

it('is over once the machine has left', async () => {
  await join();
  live({ live: 3600_000 });
  await eventually(() => said).toContain('connected');
  await leaveHub(await openClient(machine.ctx.env));
  await expect(channel).rejects.toMatchObject({ code: 'NOT_JOINED' });
  expect(await mark()).toBeNull();
});

it('goes over to the address that the configuration names now', async () => {
  await join();
  live();
  await eventually(() => said).toContain('connected');
  const next = await gate(t.hub.port);
  try {
    await updateConfig(machine.ctx.machine, (raw) => ({ ...raw, hub_url: next.url }));
    await eventually(() => said.filter((word) => word === 'connected')).toHaveLength(2);
    await eventually(mark).not.toBeNull();
    // Nobody listens at the old one any more.
    door.cut();
    await publish(t.url, t.admin, { name: 'aa', version: '1.1.0' });
    await eventually(version).toBe('1.1.0');
    expect(said).toEqual(['holding', 'connected', 'holding', 'connected']);
  } finally {
    stop.abort();
    await channel;
    next.close();
  }
});

it('goes over to another hub that the machine joined', async () => {
  await join();
  // Much has happened at this hub; the other one stands behind it.
  for (let n = 1; n <= 5; n++) await publish(t.url, t.admin, { name: 'aa', version: `1.0.${n}` });
  live({ live: 3600_000 });
  await eventually(version).toBe('1.0.5');
  await eventually(() => said).toContain('connected');
  const other = await testHub('sqlite');
  try {
    const joined = await realClient(other.url, other.hub.joinToken, 'm2');
    const { config, machineKey } = joined.ctx.machine.paths;
    const raw = JSON.parse(await readFile(config, 'utf8'));
    await cp(machineKey, machine.ctx.machine.paths.machineKey);
    await joined.remove();
    await updateConfig(machine.ctx.machine, () => raw);
    // The old hub is what makes it look.
    door.cut();
    await eventually(() => said.filter((word) => word === 'connected')).toHaveLength(2);
    await publish(other.url, other.admin, { name: 'bb' });
    const here = async () => Object.keys((await readReceipts(machine.ctx.machine)).plugins);
    await eventually(here).toEqual(['bb']);
  } finally {
    stop.abort();
    await channel.catch(() => undefined);
    await other.close();
  }
});

it('listens also where the clock of the machine is wrong by an hour', async () => {
  await join(() => new Date(Date.now() - 3600_000));
  live();
  await eventually(() => said).toContain('connected');
  expect(said).toEqual(['holding', 'connected']);
});

it('tells what the hub refuses it for', async () => {
  await join();
  await rm(machine.ctx.machine.paths.machineKey);
  live();
  await eventually(() => said).toContain('polling');
  expect(said).toContain('PROOF_REQUIRED');
  expect(said).not.toContain('TOKEN_INVALID');
});
