// A hub that gives signs of life and no answer: every call and every sync ends, and what is only slow arrives.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { arriving } from '../../server/src/client/hub/http-body.ts';
import { connectHub } from '../../server/src/client/hub/hub-client.ts';
import { startDeadline } from '../../server/src/client/sync/deadline.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { FRAMES_TYPE } from '../../server/src/contract/frames.ts';
import { timeLimit } from '../../server/src/domain/time-limit.ts';
import { type Answer, joinedMachine, type ScriptedHub, scriptedHub, serve, version } from './scripted-hub.ts';

const TIMEOUT = expect.objectContaining({ code: 'TIMEOUT' });

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Sends `first`, then `piece` every `ms`, at most `times`, then `last`. */
function drip(
  piece: string | Buffer,
  ms: number,
  type = 'application/json',
  times = 2000,
  last = '',
  first = '',
): Answer {
  return (_, response) => {
    response.writeHead(200, { 'content-type': type }).flushHeaders();
    response.write(first);
    let sent = 0;
    const timer = setInterval(() => {
      if (sent++ < times) return response.write(piece);
      clearInterval(timer);
      return response.end(last);
    }, ms);
    response.on('close', () => clearInterval(timer));
  };
}

describe('a hub that drips', () => {
  let hub: ScriptedHub;
  beforeEach(async () => {
    hub = await scriptedHub();
  });
  afterEach(() => hub.close());
  const client = (timeoutMs: number) => connectHub({ url: hub.url, token: 't', timeoutMs });
  const stream = async (timeoutMs: number) => {
    let size = 0;
    for await (const chunk of arriving(await client(timeoutMs).open('transfer', { body: { versions: [] } as never })))
      size += chunk.length;
    return size;
  };

  it('its answer, its refusal or its head: the call ends', async () => {
    hub.answers['*'] = drip(' ', 50);
    await expect(client(300).call('groups')).rejects.toEqual(TIMEOUT);
    hub.answers['*'] = (request, response) => {
      response.statusCode = 404;
      response.writeHead = ((_: number, headers: Record<string, string>) =>
        Object.getPrototypeOf(response).writeHead.call(response, 404, headers)) as never;
      return drip(' ', 50)(request, response, Buffer.alloc(0));
    };
    await expect(client(300).call('groups')).rejects.toEqual(TIMEOUT);
    hub.answers['*'] = (request) => {
      const timer = setInterval(() => request.socket.write('HTTP/1.1 102 Processing\r\n\r\n'), 50);
      request.socket.on('close', () => clearInterval(timer));
    };
    await expect(client(300).call('groups')).rejects.toEqual(TIMEOUT);
  });

  it('a stream: it ends; one that is slow and comes is taken whole', async () => {
    hub.answers['*'] = drip(Buffer.alloc(10), 50, FRAMES_TYPE);
    await expect(stream(300)).rejects.toEqual(TIMEOUT);
    // 2 KB a second, for longer than anything may be silent.
    hub.answers['*'] = drip(Buffer.alloc(100), 50, FRAMES_TYPE, 40);
    expect(await stream(300)).toBe(4000);
  });

  it('does not count the time in which nobody asks for more', async () => {
    hub.answers['*'] = drip(Buffer.alloc(100), 20, FRAMES_TYPE, 20);
    const answer = await client(300).open('transfer', { body: { versions: [] } as never });
    let size = 0;
    for await (const chunk of arriving(answer)) {
      size += chunk.length;
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    expect(size).toBe(2000);
  });

  it('a long answer in JSON may take as long as it is', async () => {
    const filler = Buffer.from(`${' '.repeat(4096)}`);
    hub.answers['*'] = drip(filler, 50, 'application/json', 40, '{"groups":[]}');
    expect(await client(300).call('groups')).toEqual({ groups: [] });
  });
});

describe('the time that a sync has', () => {
  it('is over also when memory was cleaned up meanwhile', async () => {
    const rung: string[] = [];
    const note = (name: string, signal: AbortSignal) =>
      signal.addEventListener('abort', () => void rung.push(name), { once: true });
    const other = new AbortController();
    note('deadline', startDeadline({ all: 300, bytesPerSecond: 1 } as never, other.signal).signal);
    note('limit', timeLimit(300, other.signal));
    note('limit alone', timeLimit(300));
    for (let i = 0; i < 5; i++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      collectGarbage();
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(rung.sort()).toEqual(['deadline', 'limit', 'limit alone']);
  });

  it('grows with what arrives, and ends when the caller gives up', async () => {
    const deadline = startDeadline({ all: 200, bytesPerSecond: 1000 } as never);
    deadline.arrived(400);
    const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
    await wait(400);
    expect(deadline.signal.aborted).toBe(false);
    await wait(400);
    expect(deadline.signal.aborted).toBe(true);
    const stop = new AbortController();
    const stopped = startDeadline({ all: 60_000, bytesPerSecond: 1 } as never, stop.signal);
    stop.abort();
    expect(stopped.signal.aborted).toBe(true);
    stopped.end();
  });

  const endless = JSON.stringify({ t: 'blob', sha256: 'a'.repeat(64), enc: 'identity', n: 2 ** 22 });
  const DRIPS: [path: string, answer: Answer][] = [
    ['GET /api/machines/me/plan', drip(' ', 100)],
    // Fast enough for a stream, and it never ends.
    ['POST /api/transfer', drip(Buffer.alloc(2048), 100, FRAMES_TYPE, 2000, '', `${endless}\n`)],
  ];
  it.each(DRIPS)('ends a session’s sync when %s drips', async (path, answer) => {
    const hub = await scriptedHub();
    const machine = await joinedMachine(hub);
    const cleaning = setInterval(collectGarbage, 300);
    try {
      serve(hub, [version('aa', '1.0.0', {})]);
      hub.answers[path] = answer;
      await expect(syncMachine(machine.ctx, { mode: 'session' })).rejects.toEqual(TIMEOUT);
    } finally {
      clearInterval(cleaning);
      await machine.remove();
      await hub.close();
    }
  });
});
