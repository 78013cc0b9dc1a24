// "Has my plan changed?" → 304, authenticated, per second and in bytes, beside a bare node:http server and (where given)
// Verdaccio's conditional packument. `noop [ROUNDS] [--verdaccio FOLDER]`, FOLDER holding node_modules/verdaccio.
import { type ChildProcess, spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BUNDLES, finish, firstLine, goal, joinMachine, machineLine, median, shown, startHub } from './bench-hub.ts';
import { startVerdaccio, type Verdaccio } from './peers.ts';

const rounds = Number(process.argv[2]) || 5;
const at = process.argv.indexOf('--verdaccio');
const verdaccioFolder = at === -1 ? undefined : process.argv[at + 1];
const SECONDS = 1;

interface Target {
  name: string;
  port: number;
  request: string;
}

/** Answers per second over `connections` kept connections, each with one request under way. */
async function rate(target: Target, connections: number): Promise<number> {
  const request = Buffer.from(target.request);
  let answers = 0;
  let stopped = false;
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket: Socket = connect(target.port, '127.0.0.1', () => socket.write(request));
      socket.setNoDelay(true);
      socket.on('data', (chunk) => {
        // A 304 has no body: an answer is complete with its empty line.
        if (chunk[chunk.length - 1] !== 10 || chunk[chunk.length - 3] !== 10) return;
        if (chunk[9] !== 0x33) return reject(new Error(`${target.name}: ${chunk.toString('latin1', 0, 200)}`));
        answers++;
        if (stopped) socket.destroy();
        else socket.write(request);
      });
      socket.on('close', () => resolve());
      socket.on('error', reject);
    });
  const all = Array.from({ length: connections }, one);
  await sleep(200);
  const [before, began] = [answers, performance.now()];
  await sleep(SECONDS * 1000);
  const perSecond = ((answers - before) * 1000) / (performance.now() - began);
  stopped = true;
  await Promise.all(all);
  return perSecond;
}

/** Bytes of HTTP both ways for one question. */
async function bytes(target: Target): Promise<number> {
  const answer = await new Promise<number>((resolve) => {
    const socket = connect(target.port, '127.0.0.1', () => socket.write(target.request));
    socket.once('data', (chunk) => {
      socket.destroy();
      resolve(chunk.length);
    });
  });
  return target.request.length + answer;
}

const children: ChildProcess[] = [];
const peers: Verdaccio[] = [];
const hub = await startHub();
try {
  const machine = await joinMachine(hub, 'one');
  const plan = await fetch(`${hub.url}/api/machines/me/plan`, {
    headers: { authorization: `Bearer ${machine.token}` },
  });
  const etag = plan.headers.get('etag');
  // As client/hub/http sends it.
  const head = (port: number): string =>
    `Host: 127.0.0.1:${port}\r\nConnection: keep-alive\r\nuser-agent: hv/1.0.0\r\nhaivemind-protocol: 1\r\na-im: hv\r\n` +
    `authorization: Bearer ${machine.token}\r\nif-none-match: ${etag}\r\n\r\n`;
  const bareHub = spawn(process.execPath, [join(BUNDLES, 'bare-http.child.mjs')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(bareHub);
  const barePort = Number(await firstLine(bareHub));
  const targets: Target[] = [
    { name: 'hub', port: hub.port, request: `GET /api/machines/me/plan HTTP/1.1\r\n${head(hub.port)}` },
    { name: 'bare node:http', port: barePort, request: `GET /api/machines/me/plan HTTP/1.1\r\n${head(barePort)}` },
  ];
  if (verdaccioFolder !== undefined) targets.push(await verdaccio(verdaccioFolder));
  console.log(machineLine());
  for (const connections of [1, 16, 50]) {
    const rates = new Map<string, number[]>(targets.map((t) => [t.name, []]));
    for (let round = 0; round < rounds; round++) {
      for (const target of targets) rates.get(target.name)?.push(await rate(target, connections));
    }
    const ratio = (other: string): number =>
      median((rates.get('hub') ?? []).map((r, i) => r / (rates.get(other)?.[i] ?? Number.NaN)));
    for (const [name, values] of rates) console.log(`${connections} connections, ${name}: ${shown(values, '/s')}`);
    goal(`304s at ${connections} connections, hub : bare node:http`, ratio('bare node:http'), '>=', 0.5);
    if (rates.has('Verdaccio'))
      goal(`304s at ${connections} connections, hub : Verdaccio`, ratio('Verdaccio'), '>=', 10);
  }
  const hubTarget = targets[0];
  if (hubTarget !== undefined) goal('HTTP bytes of one check', await bytes(hubTarget), '<=', 400, 'bytes');
} finally {
  for (const child of children) child.kill();
  await hub.stop();
  for (const peer of peers) await peer.close();
}
finish();

/** The question is a packument with the right If-None-Match. */
async function verdaccio(from: string): Promise<Target> {
  const peer = await startVerdaccio(from);
  peers.push(peer);
  await peer.put('one', '1.0.0', Buffer.from('a tarball'));
  const etag = (await fetch(`http://127.0.0.1:${peer.port}/one`)).headers.get('etag');
  const request = `GET /one HTTP/1.1\r\nHost: 127.0.0.1:${peer.port}\r\naccept: */*\r\nif-none-match: ${etag}\r\n\r\n`;
  return { name: 'Verdaccio', port: peer.port, request };
}
