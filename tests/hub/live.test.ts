import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { ServerMessage } from '../../server/src/contract/messages.ts';
import { spreadMs } from '../../server/src/hub/live/rings.ts';
import { ask, ENGINES, publish, type TestHub, testHub } from './support.ts';

type Message = ReturnType<typeof ServerMessage.parse>;

/** A socket that keeps what it hears. */
class Listener {
  readonly heard: Message[] = [];
  readonly ws: WebSocket;
  #closed: number | undefined;
  constructor(url: string, token: string | undefined, headers: Record<string, string> = {}) {
    this.ws = new WebSocket(`${url.replace('http', 'ws')}/ws/plugins`, {
      headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
    });
    this.ws.on('message', (data) => this.heard.push(ServerMessage.parse(JSON.parse(String(data)))));
    this.ws.on('error', () => {});
    this.ws.on('close', (code) => {
      this.#closed = code;
    });
  }
  /** Waits for the hello. */
  async open(): Promise<this> {
    await this.until((m) => m.type === 'hello');
    return this;
  }
  send(message: unknown): void {
    this.ws.send(JSON.stringify(message));
  }
  async until<M extends Message>(test: (m: Message) => boolean, ms = 8000): Promise<M> {
    for (let waited = 0; waited < ms; waited += 10) {
      const found = this.heard.find(test);
      if (found !== undefined) return found as M;
      await sleep(10);
    }
    throw new Error(`not heard among ${JSON.stringify(this.heard)}`);
  }
  async closed(ms = 8000): Promise<number> {
    for (let waited = 0; waited < ms && this.#closed === undefined; waited += 10) await sleep(10);
    if (this.#closed === undefined) throw new Error('still open');
    return this.#closed;
  }
  of<T extends Message['type']>(type: T): Extract<Message, { type: T }>[] {
    return this.heard.filter((m): m is Extract<Message, { type: T }> => m.type === type);
  }
}

/** The status and body of a refused upgrade. */
async function refused(url: string, token: string | undefined, headers = {}): Promise<[number, string]> {
  const ws = new WebSocket(`${url.replace('http', 'ws')}/ws/plugins`, {
    headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
  });
  ws.on('error', () => {});
  const [, response] = await once(ws, 'unexpected-response');
  let text = '';
  for await (const chunk of response) text += chunk;
  ws.terminate();
  return [response.statusCode, (JSON.parse(text) as { code: string }).code];
}

it('spreads the machines over a time that grows with the fleet, to ten seconds', () => {
  expect([spreadMs(0), spreadMs(1), spreadMs(1000), spreadMs(100_000)]).toEqual([0, 2, 2000, 10_000]);
});

describe.each(ENGINES)('the live channel, on %s', (engine) => {
  let t: TestHub;
  let machine: { id: string; name: string; token: string };
  const open: Listener[] = [];
  const listen = async (token: string, url = t.url): Promise<Listener> => {
    const listener = await new Listener(url, token).open();
    open.push(listener);
    return listener;
  };
  beforeAll(async () => {
    t = await testHub(engine);
    machine = await t.machine('listens', { groups: ['g'] });
  });
  afterAll(async () => {
    for (const listener of open) listener.ws.terminate();
    await t?.close();
  });

  it('lets nobody in without a valid token, the right role, protocol and address', async () => {
    expect(await refused(t.url, undefined)).toEqual([401, 'UNAUTHENTICATED']);
    expect(await refused(t.url, 'hvt_x')).toEqual([401, 'TOKEN_INVALID']);
    expect(await refused(t.url, await t.token(['join']))).toEqual([403, 'FORBIDDEN']);
    expect(await refused(t.url, machine.token, { 'haivemind-protocol': '9' })).toEqual([426, 'PROTOCOL_MISMATCH']);
    const ws = new WebSocket(`${t.url.replace('http', 'ws')}/ws/other`, {
      headers: { authorization: `Bearer ${t.admin}` },
    });
    ws.on('error', () => {});
    const [, response] = await once(ws, 'unexpected-response');
    expect(response.statusCode).toBe(404);
    ws.terminate();
  });

  it('says hello, and rings for a publication', async () => {
    const l = await listen(machine.token);
    expect(l.of('hello')).toEqual([
      { type: 'hello', protocol: 1, hub: t.hub.context.identity.id, seq: await t.hub.context.store.currentSeq() },
    ]);
    const { seq } = await publish(t.url, t.admin, { name: 'rung' }, ['g']);
    expect((await l.until((m) => m.type === 'doorbell' && m.seq >= Number(seq))).type).toBe('doorbell');
    expect(l.of('event')).toEqual([]);
  });

  it('rings on resume exactly who is behind, or ahead of a restored hub', async () => {
    const now = await t.hub.context.store.currentSeq();
    const [behind, level, ahead] = [
      await listen(machine.token),
      await listen(machine.token),
      await listen(machine.token),
    ];
    behind.send({ type: 'resume', seq: now - 1 });
    level.send({ type: 'resume', seq: now });
    ahead.send({ type: 'resume', seq: now + 100 });
    expect((await behind.until((m) => m.type === 'doorbell')) as object).toMatchObject({ seq: now });
    expect((await ahead.until((m) => m.type === 'doorbell')) as object).toMatchObject({ seq: now });
    await sleep(100);
    expect(level.of('doorbell')).toEqual([]);
  });

  it('shows a watcher every event once and in order, from where it resumes, while others publish', async () => {
    const reader = await t.token(['reader']);
    const from = await t.hub.context.store.currentSeq();
    const publishing = (async () => {
      for (let i = 0; i < 12; i++) await publish(t.url, t.admin, { name: 'flows', version: `1.0.${i}` }, ['nobody']);
    })();
    const l = await listen(reader);
    l.send({ type: 'resume', seq: from, watch: true });
    await publishing;
    const to = await t.hub.context.store.currentSeq();
    await l.until((m) => m.type === 'event' && m.event.seq === to);
    const all = (await ask(t.url, 'GET', `/api/events?after=${from}&limit=1000`, { token: reader })).expect(200);
    expect(l.of('event').map((m) => m.event)).toEqual(all.events);
  });

  it('lets no machine watch, and only machines report progress', async () => {
    const m = await listen(machine.token);
    m.send({ type: 'resume', seq: 0, watch: true });
    expect((await m.until((x) => x.type === 'error')) as object).toMatchObject({ code: 'FORBIDDEN' });
    const watcher = await listen(t.admin);
    watcher.send({ type: 'resume', seq: await t.hub.context.store.currentSeq(), watch: true });
    const progress = { plugin: 'p', version: '1.0.0', state: 'fetching' };
    await sleep(100);
    m.send({ type: 'progress', progress });
    expect((await watcher.until((x) => x.type === 'progress')) as object).toMatchObject({
      progress: { ...progress, machine: 'listens' },
    });
    watcher.send({ type: 'progress', progress });
    expect((await watcher.until((x) => x.type === 'error')) as object).toMatchObject({ code: 'FORBIDDEN' });
    expect(m.of('progress')).toEqual([]);
  });

  it('shows watchers what a report brings', async () => {
    const watcher = await listen(t.admin);
    watcher.send({ type: 'resume', seq: await t.hub.context.store.currentSeq(), watch: true });
    await sleep(100);
    const plugins = [
      { name: 'q', version: '2.0.0', digest: 'd', state: 'failed', error: { code: 'X', message: 'why' } },
    ];
    const body = { counter: 1, haivemind_version: '1.0.0', plugins, holds: [] };
    (await ask(t.url, 'POST', '/api/machines/me/status', { token: machine.token, body })).expect(200);
    expect(((await watcher.until((m) => m.type === 'progress')) as { progress: object }).progress).toEqual({
      machine: 'listens',
      plugin: 'q',
      version: '2.0.0',
      state: 'failed',
      error: { code: 'X', message: 'why' },
    });
  });

  it('tells once what does not come to a machine that refuses the plan, again after an order, and cuts what it says', async () => {
    const stays = await t.machine('stays', { groups: ['kept'] });
    await publish(t.url, t.admin, { name: 'missing' }, ['kept']);
    const watcher = await listen(t.admin);
    watcher.send({ type: 'resume', seq: await t.hub.context.store.currentSeq(), watch: true });
    await sleep(100);
    const report = async (said: object) => {
      const body = { counter: 1, haivemind_version: '1.0.0', partial: true, plugins: [], holds: [], ...said };
      (await ask(t.url, 'POST', '/api/machines/me/status', { token: stays.token, body })).expect(200);
    };
    let marks = 0;
    /** What is heard until now, behind a mark of our own. */
    const told = async () => {
      const version = `${++marks}.0.0`;
      await report({ plugins: [{ name: 'mark', version, digest: 'd', state: 'verified' }], refused });
      await watcher.until(
        (m) => m.type === 'progress' && m.progress.plugin === 'mark' && m.progress.version === version,
      );
      return watcher
        .of('progress')
        .flatMap(({ progress: p }) => (p.machine === 'stays' && p.plugin !== 'mark' ? [p] : []));
    };
    let refused: object | undefined = { code: 'PLAN_REPLAYED', message: 'm'.repeat(5000) };
    await report({ refused });
    await report({ refused });
    const error = { code: 'PLAN_REPLAYED', message: 'm'.repeat(2000) };
    expect(await told()).toEqual([{ machine: 'stays', plugin: 'missing', version: '1.0.0', state: 'failed', error }]);
    const shown = (await ask(t.url, 'GET', '/api/machines/stays', { token: t.admin })).expect(200);
    expect(shown.refused).toMatchObject(error);
    await publish(t.url, t.admin, { name: 'missing', version: '1.1.0' }, ['kept']);
    expect((await told()).map((p) => p.version)).toEqual(['1.0.0', '1.1.0']);
    refused = undefined;
    await told();
    refused = error;
    expect((await told()).map((p) => p.version)).toEqual(['1.0.0', '1.1.0', '1.1.0']);
  });

  it('ends with the token, and with the machine', async () => {
    const token = await t.token(['reader']);
    const { id } = (await ask(t.url, 'GET', '/api/whoami', { token })).json.token as { id: string };
    const m = await t.machine('leaves');
    const [a, b] = [await listen(token), await listen(m.token)];
    (await ask(t.url, 'DELETE', `/api/tokens/${id}`, { token: t.admin })).expect(200);
    expect(await a.closed()).toBe(4401);
    (await ask(t.url, 'DELETE', '/api/machines/me', { token: m.token })).expect(200);
    expect(await b.closed()).toBe(4401);
  });

  it('rings one machine alone when only its groups change, or when it is named', async () => {
    const [one, two] = [await t.machine('one'), await t.machine('two')];
    const [a, b] = [await listen(one.token), await listen(two.token)];
    (await ask(t.url, 'PATCH', '/api/machines/one', { token: t.admin, body: { groups: ['x'] } })).expect(200);
    await a.until((m) => m.type === 'doorbell');
    await sleep(100);
    expect(b.of('doorbell')).toEqual([]);
    (await ask(t.url, 'POST', '/api/plugins/sync', { token: t.admin, body: { target_machines: ['two'] } })).expect(200);
    await b.until((m) => m.type === 'doorbell');
    expect(a.of('doorbell')).toHaveLength(1);
  });

  it('drops who sends what it does not know, or too much', async () => {
    const [odd, binary, large] = [
      await listen(machine.token),
      await listen(machine.token),
      await listen(machine.token),
    ];
    odd.ws.send('{"type":"surprise"}');
    expect(await odd.closed()).toBe(1008);
    expect(odd.of('error')).toHaveLength(1);
    binary.ws.send(Buffer.from([1, 2]));
    expect(await binary.closed()).toBe(1008);
    large.ws.send('x'.repeat(t.config.limits.socketPayloadBytes + 1));
    await large.closed();
  });

  it('drops who does not answer its pings', async () => {
    // A hub of its own: whoever else were connected could be slow to answer where the machine is busy.
    const quick = await testHub(engine, { limits: { heartbeatMs: 200 } });
    try {
      const deaf = await new Listener(quick.url, (await quick.machine('deaf')).token).open();
      const connected = async (): Promise<number> => {
        const { text } = await ask(quick.url, 'GET', '/metrics');
        return Number(/^haivemind_ws_connections (\d+)$/m.exec(text)?.[1]);
      };
      expect(await connected()).toBe(1);
      // ws answers pings by itself unless told not to; a paused socket is a dead connection.
      deaf.ws.pause();
      for (let waited = 0; waited < 10_000 && (await connected()) > 0; waited += 50) await sleep(50);
      expect(await connected()).toBe(0);
      deaf.ws.terminate();
    } finally {
      await quick.close();
    }
  });

  it('is rung by another hub process on the same database', async () => {
    const other = await t.another();
    const m = await t.machine('elsewhere', { groups: ['far'] });
    const l = await listen(m.token, other.url);
    const { seq } = await publish(t.url, t.admin, { name: 'far' }, ['far']);
    await l.until((x) => x.type === 'doorbell' && x.seq >= Number(seq));
    if (engine === 'postgres') {
      const bells = l.of('doorbell').length;
      (
        await ask(t.url, 'POST', '/api/plugins/sync', { token: t.admin, body: { target_machines: ['elsewhere'] } })
      ).expect(200);
      await l.until(() => l.of('doorbell').length > bells);
    }
    (await ask(t.url, 'DELETE', '/api/machines/elsewhere', { token: t.admin })).expect(200);
    expect(await l.closed()).toBe(4401);
  });

  it('says goodbye when the hub stops', async () => {
    const other = await t.another();
    const l = await listen(machine.token, other.url);
    await other.close();
    expect(await l.closed()).toBe(1001);
  });
});
