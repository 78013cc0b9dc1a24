// Who publishes sees it arrive: machine by machine, with what failed, waits or is away.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import WebSocket from 'ws';
import { holdLiveChannel } from '../../server/src/client/live/hold.ts';
import { openWatcher, type WatchedMachine } from '../../server/src/client/publish/watch.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { publish as publishVerb } from '../../server/src/interfaces/cli/verbs/publishing.ts';
import { joinedMachine, problem, scriptedHub } from '../cli/scripted-hub.ts';
import { writeFiles } from '../client/harness/hand-made-plugin.ts';
import { ENGINES, publish, type TestHub, testHub } from '../hub/support.ts';
import { tempHome } from '../support/temp-home.ts';
import { verbCall } from '../support/verb-call.ts';
import { type RealClient, realClient } from './real-client.ts';

describe.each(ENGINES)('watching a publication on %s', (engine) => {
  let t: TestHub;
  const machines: RealClient[] = [];
  let stop: AbortController;
  const channels: Promise<unknown>[] = [];
  beforeEach(async () => {
    stop = new AbortController();
    t = await testHub(engine);
    await publish(t.url, t.admin, { name: 'aa', version: '1.0.0' });
  });
  afterEach(async () => {
    stop.abort();
    await Promise.allSettled(channels);
    for (const machine of machines.splice(0)) await machine.remove();
    await t.close();
  });

  const live = async (name: string, plugins: Record<string, unknown> = {}): Promise<RealClient> => {
    const machine = await realClient(t.url, t.hub.joinToken, name, { plugins });
    machines.push(machine);
    await new Promise<void>((resolve) => {
      const onState = (state: string): void => void (state === 'connected' && resolve());
      channels.push(holdLiveChannel(machine.ctx, { signal: stop.signal, onState }).catch(() => undefined));
    });
    return machine;
  };

  it('tells what is verified, what waits for a person, what failed, and what is away', async () => {
    await live('quick');
    await live('careful', { auto_install_updates: false });
    await live('small', { max_plugin_size_mb: 0.001 });
    // Never connected, and not heard of for days.
    const away = await t.machine('away');
    await t.hub.context.store.transact((tx) =>
      tx.updateTable('machines').set({ last_seen: '2020-01-01T00:00:00.000Z' }).where('id', '=', away.id).execute(),
    );
    const author = await realClient(t.url, t.hub.joinToken, 'author');
    machines.push(author);
    author.ctx.env.token = t.admin;
    const watcher = await openWatcher(author.ctx);
    const seen = new Set<string>();
    const files = { 'docs/long.md': 'x'.repeat(5000) };
    const published = await publish(t.url, t.admin, { name: 'aa', version: '1.1.0', files });
    const names = (published.machines as string[]).filter((name) => name !== 'author');
    const result = await watcher.follow(
      { name: 'aa', version: '1.1.0', machines: names },
      { timeoutMs: 20_000, onChange: (rows: readonly WatchedMachine[]) => void rows.map((r) => seen.add(r.state)) },
    );
    watcher.close();
    const state = new Map(result.machines.map((m) => [m.machine, m]));
    expect([...state].map(([name, m]) => `${name} ${m.state}`).sort()).toEqual([
      'away offline',
      'careful waiting',
      'quick verified',
      'small failed',
    ]);
    expect(state.get('small')?.error?.code).toBe('PLUGIN_TOO_LARGE');
    expect(result).toMatchObject({ verified: 1, failed: 1, waiting: 1, offline: 1, silent: 0 });
    expect(result.last_ms).toBe(state.get('quick')?.ms);
    expect(seen).toContain('expected');
  });

  it('knows who has it already, and waits for nobody there', async () => {
    await live('early');
    const author = await realClient(t.url, t.hub.joinToken, 'author');
    machines.push(author);
    author.ctx.env.token = t.admin;
    const watch = async (version: string, names: string[]) => {
      const watcher = await openWatcher(author.ctx);
      await publish(t.url, t.admin, { name: 'aa', version });
      const result = await watcher.follow({ name: 'aa', version, machines: names }, { timeoutMs: 20_000 });
      watcher.close();
      return result;
    };
    const again = await watch('1.0.0', ['early', 'author']);
    expect(again).toMatchObject({ verified: 2, silent: 0, p50_ms: null, last_ms: null });
    // Whoever gets it now is timed, however soon its report is there.
    const next = await watch('1.1.0', ['early']);
    expect(next).toMatchObject({ verified: 1, silent: 0 });
    expect(next.last_ms).toBeGreaterThanOrEqual(0);
  });

  it('asks for what happens from now on, not for all that ever happened', async () => {
    const author = await realClient(t.url, t.hub.joinToken, 'author');
    machines.push(author);
    author.ctx.env.token = t.admin;
    const now = await t.hub.context.store.currentSeq();
    const sends = vi.spyOn(WebSocket.prototype, 'send');
    try {
      (await openWatcher(author.ctx)).close();
      const said = sends.mock.calls.map(([text]) => JSON.parse(String(text)) as { type: string; seq?: number });
      expect(now).toBeGreaterThan(1);
      expect(said.filter((m) => m.type === 'resume')).toEqual([{ type: 'resume', seq: now, watch: true }]);
      expect(said.filter((m) => m.type === 'event')).toEqual([]);
    } finally {
      sends.mockRestore();
    }
  });

  describe('through a connection that is cut', () => {
    const open = new Set<Socket>();
    let wire: Server;
    const cut = async () => {
      await new Promise((resolve) => {
        wire.close(resolve);
        for (const socket of open) socket.destroy();
      });
    };
    /** On the port that it had before, where it had one. @param lost the connection of that number is cut at once, 1 for the first */
    const carry = async (port = 0, lost = 0) => {
      let count = 0;
      wire = createServer((client) => {
        if (++count === lost) return void client.destroy();
        const hub = connect(t.hub.port, '127.0.0.1');
        client.pipe(hub).pipe(client);
        for (const [socket, other] of [[client, hub] as const, [hub, client] as const])
          open.add(socket.on('error', () => undefined).on('close', () => other.destroy()));
      });
      await once(wire.listen(port, '127.0.0.1'), 'listening');
      return (wire.address() as AddressInfo).port;
    };
    afterEach(() => cut());

    it.each([
      [true, 0],
      [true, 2],
      [false, 0],
    ])(
      'hears what came of it meanwhile, or says that it does not know; it comes back: %s, the question besides the socket is lost: %i',
      async (back, lost) => {
        const port = await carry();
        const machine = await realClient(t.url, t.hub.joinToken, 'm1');
        const author = await realClient(`http://127.0.0.1:${port}`, t.hub.joinToken, 'author');
        machines.push(machine, author);
        author.ctx.env.token = t.admin;
        const watcher = await openWatcher(author.ctx);
        await publish(t.url, t.admin, { name: 'aa', version: '1.1.0' });
        let away: Promise<unknown> | undefined;
        const follow = watcher.follow(
          { name: 'aa', version: '1.1.0', machines: ['m1'] },
          {
            timeoutMs: back ? 60_000 : 2000,
            onChange: () => {
              away ??= cut()
                .then(() => syncMachine(machine.ctx, { mode: 'explicit' }))
                .then(() => (back ? carry(port, lost) : 0));
            },
          },
        );
        const result = await follow;
        await away;
        watcher.close();
        await vi.waitFor(() => expect([...open].every((socket) => socket.destroyed)).toBe(true), 60_000);
        if (back) expect(result).toMatchObject({ verified: 1, silent: 0, lost: null, last_ms: null });
        else expect(result).toMatchObject({ verified: 0, silent: 1, lost: { code: 'HUB_UNREACHABLE' } });
      },
    );
  });

  it("is not for a machine's own token", async () => {
    const machine = await live('quick');
    const { token } = machine.ctx.config;
    machine.ctx.env.token = token;
    const opening = openWatcher(machine.ctx).then((w) =>
      w.follow({ name: 'aa', version: '1.1.0', machines: ['quick'] }, { timeoutMs: 5_000 }),
    );
    await expect(opening).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });

  it('tells who may only register what to do instead, as without watching', async () => {
    const home = await tempHome('contributor');
    try {
      const manifest = { name: 'zz', version: '1.0.0', description: 'D', author: { name: 'T' } };
      await writeFiles(home.project, { '.claude-plugin/plugin.json': manifest });
      const token = await t.token(['contributor']);
      const refusal = (watch: boolean) =>
        publishVerb(verbCall(home, t.url, token, { args: ['.'], options: { all: true, watch } })).catch((e) => e);
      const plain = await refusal(false);
      expect(plain).toMatchObject({ code: 'FORBIDDEN', hint: expect.stringContaining('hv register') });
      const { code, message, hint } = await refusal(true);
      expect({ code, message, hint }).toEqual({ code: plain.code, message: plain.message, hint: plain.hint });
    } finally {
      await home.remove();
    }
  });
});

it('leaves nothing open where the hub refuses to tell what happened so far', async () => {
  const hub = await scriptedHub({ '*': (_, response) => problem(response, 403, 'FORBIDDEN', 'not you') });
  const m = await joinedMachine(hub);
  try {
    await expect(openWatcher(m.ctx)).rejects.toMatchObject({ code: 'FORBIDDEN', message: 'not you' });
    expect(hub.seen).toEqual(['GET /api/events']);
  } finally {
    await m.remove();
    await hub.close();
  }
});
