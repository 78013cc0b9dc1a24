// What is said to a hub on another host is encrypted, or not said. The name leads nowhere: whoever tried it would be HUB_UNREACHABLE.
import { expect, it, vi } from 'vitest';
import { setConfig } from '../../server/src/client/configure.ts';
import { hubFor, requireTls } from '../../server/src/client/context.ts';
import { login } from '../../server/src/client/hub/login.ts';
import { joinHub } from '../../server/src/client/join/index.ts';
import { holdLiveChannel } from '../../server/src/client/live/hold.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import type { Environment } from '../../server/src/interfaces/environment.ts';
import { sessionStart } from '../../server/src/interfaces/hook/session-start.ts';
import { updateConfig } from '../../server/src/machine/config-file.ts';
import { m, scriptedPair } from './scripted-pair.ts';

const FAR = 'http://hub.invalid:7420';
const token = `hvt_${'a'.repeat(43)}`;
scriptedPair();
const code = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => '',
    (thrown: { code: string }) => thrown.code,
  );
const pointTo = (hub_url: string) => updateConfig(m.ctx.machine, (raw) => ({ ...raw, hub_url }));
const forget = () => updateConfig(m.ctx.machine, () => ({}));

const WAYS: [string, () => Promise<unknown>][] = [
  [
    'a join',
    async () => {
      await forget();
      await joinHub(await m.reopen(), { url: FAR, token });
    },
  ],
  ['a login', async () => login(await m.reopen(), FAR, token)],
  [
    'a sync',
    async () => {
      await pointTo(FAR);
      await syncMachine(await m.reopen(), { mode: 'agent' });
    },
  ],
  [
    "an operator's call",
    async () => {
      await pointTo(FAR);
      const far = await hubFor(await m.reopen(), 'operator');
      await far.call('whoami').finally(() => far.close());
    },
  ],
  [
    'the live channel',
    async () => {
      await pointTo(FAR);
      const stop = new AbortController();
      // The first is that of the sync before it.
      const errors: unknown[] = [];
      const onError = (thrown: unknown) => {
        if (errors.push(thrown) === 2) stop.abort();
      };
      await holdLiveChannel(await m.reopen(), { signal: stop.signal, onError });
      throw errors[1];
    },
  ],
  [
    'an address of the environment',
    async () => {
      const ctx = await m.reopen();
      await syncMachine({ ...ctx, env: { ...ctx.env, hubUrl: FAR } }, { mode: 'agent' });
    },
  ],
];

it.each(WAYS)(
  '%s over the network in the clear: TLS_REQUIRED, unless its owner says that the network encrypts',
  async (what, way) => {
    expect(await code(way())).toBe('TLS_REQUIRED');
    await setConfig(await m.reopen(), 'plain_http', 'true');
    // What was forgotten for the join is what says so.
    if (what !== 'a join') expect(await code(way())).toBe('HUB_UNREACHABLE');
  },
);

it("a session's start asks nothing over the network in the clear: it leaves that to the sync, which says why", async () => {
  await pointTo(FAR);
  const fullRun = vi.fn(async () => null);
  const start = () => sessionStart(m.ctx.env as Environment, { fullRun, now: () => performance.now() });
  expect(await start()).toBeNull();
  expect(fullRun).toHaveBeenCalledWith('sync', expect.any(Number));
  await setConfig(await m.reopen(), 'plain_http', 'true');
  expect((await start())?.systemMessage).toContain('is away');
  expect(fullRun).toHaveBeenCalledTimes(1);
});

it.each([
  ['https://hub.example', true],
  ['http://127.0.0.1:7420', true],
  ['http://localhost', true],
  ['http://[::1]:7420', true],
  ['http://hub.example', false],
  ['http://10.0.0.1:7420', false],
  ['http://127.0.0.1.example', false],
  ['http://localhost.example', false],
  ['http://[2001:db8::1]', false],
])('%s may be spoken to: %s', (url, passes) => {
  const asked = () => requireTls({ config: { ...m.ctx.config, plain_http: false } }, url);
  if (passes) expect(asked()).toBe(url);
  else expect(asked).toThrow(expect.objectContaining({ code: 'TLS_REQUIRED' }));
});
