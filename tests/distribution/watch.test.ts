// Who publishes sees it arrive: machine by machine, with what failed, waits or is away.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { holdLiveChannel } from '../../server/src/client/live/hold.ts';
import { openWatcher, type WatchedMachine } from '../../server/src/client/watch.ts';
import { ENGINES, publish, type TestHub, testHub } from '../hub/support.ts';
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

  it("is not for a machine's own token", async () => {
    const machine = await live('quick');
    const { token } = machine.ctx.config;
    machine.ctx.env.token = token;
    const opening = openWatcher(machine.ctx).then((w) =>
      w.follow({ name: 'aa', version: '1.1.0', machines: ['quick'] }, { timeoutMs: 5_000 }),
    );
    await expect(opening).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });
});
