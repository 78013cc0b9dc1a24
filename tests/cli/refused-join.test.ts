// A join that came to nothing takes back the key and every folder that it made; what was there stays.
import { once } from 'node:events';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openClient } from '../../server/src/client/context.ts';
import { joinHub } from '../../server/src/client/join/index.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';

let home: TempHome;
let server: Server | undefined;
beforeEach(async () => {
  home = await tempHome('refused ü');
});
afterEach(async () => {
  server?.close();
  server?.closeAllConnections();
  server = undefined;
  await home.remove();
});

/** Three folders deep, none of which is there. */
const DEEP = ['state', 'of', 'hv'];

async function hubThat(answers: RequestListener): Promise<string> {
  server = createServer(answers).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function tryJoin(url: string): Promise<unknown> {
  const ctx = await openClient({
    home: home.home,
    claudeConfigDir: undefined,
    haivemindHome: join(home.home, ...DEEP),
    hubUrl: undefined,
    token: undefined,
    caFile: undefined,
    path: '',
  });
  return joinHub(ctx, { url, token: 'hvt_x', name: 'm1' }).catch((thrown: unknown) => thrown);
}

const left = async () => (await readdir(home.home, { recursive: true })).sort();
const refuses: RequestListener = (_request, response) => {
  const problem = { type: 'about:blank', title: 'x', status: 401, code: 'UNAUTHENTICATED', detail: 'no' };
  response.writeHead(401, { 'content-type': 'application/problem+json' }).end(JSON.stringify(problem));
};

it('where nobody answers, nothing stays', async () => {
  const before = await left();
  const url = await hubThat(refuses);
  server?.close();
  expect(await tryJoin(url)).toMatchObject({ code: 'HUB_UNREACHABLE' });
  expect(await left()).toEqual(before);
});

it('where the hub refuses, nothing stays, and folders that were there do', async () => {
  const url = await hubThat(refuses);
  await mkdir(join(home.home, 'state'));
  const before = await left();
  expect(await tryJoin(url)).toMatchObject({ code: 'UNAUTHENTICATED' });
  expect(await left()).toEqual(before);
  await writeFile(join(home.home, 'state/mine'), 'mine');
  expect(await tryJoin(url)).toMatchObject({ code: 'UNAUTHENTICATED' });
  expect(await left()).toEqual([...before, join('state', 'mine')].sort());
});

it('where nobody knows whether the hub took it, the key stays', async () => {
  const url = await hubThat((request) => request.socket.destroy());
  expect(await tryJoin(url)).toMatchObject({ code: 'HUB_UNREACHABLE' });
  expect(await left()).toContain(join(...DEEP, 'keys', 'machine.pem'));
});

it('a key that was there before stays', async () => {
  const lost = await hubThat((request) => request.socket.destroy());
  await tryJoin(lost);
  const before = await left();
  server?.close();
  expect(await tryJoin(await hubThat(refuses))).toMatchObject({ code: 'UNAUTHENTICATED' });
  expect(await left()).toEqual(before);
});
