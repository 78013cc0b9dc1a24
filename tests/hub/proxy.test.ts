// A machine that reaches its hub through a company's proxy only. The hub's name is known to the proxy alone.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { getConfig, setConfig } from '../../server/src/client/configure.ts';
import { hubFor, openClient } from '../../server/src/client/context.ts';
import { HUB_LOOKS } from '../../server/src/client/doctor/hub-looks.ts';
import { machineProof } from '../../server/src/client/hub/machine-key.ts';
import { openSocket } from '../../server/src/client/hub/socket.ts';
import { joinHub } from '../../server/src/client/join/index.ts';
import { fetchAuthority } from '../../server/src/client/trust/pinned-authority.ts';
import { toHaiveError } from '../../server/src/domain/errors.ts';
import { proxiesIn } from '../../server/src/domain/proxy.ts';
import { authorityOf } from '../../server/src/hub/bundle.ts';
import { askHub, isUnchanged } from '../../server/src/interfaces/hook/ask-hub.ts';
import { certify } from '../support/certificates.ts';
import { type ConnectProxy, connectProxy } from '../support/connect-proxy.ts';
import { type TestHub, testHub } from './support.ts';

let folder: string;
let secure: TestHub;
let plain: TestHub;
let proxy: ConnectProxy;
let fingerprint: string;
const named = (hub: TestHub) => hub.url.replace('127.0.0.1', 'hub.test');
const LOGIN = 'me:pa%20ss';
const withLogin = () => proxy.url.replace('://', `://${LOGIN}@`);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hv proxy ü '));
  await certify(folder, 'own');
  const tls = { cert: join(folder, 'own-chain.pem'), key: join(folder, 'own.key') };
  secure = await testHub('sqlite', { config: { tls } });
  plain = await testHub('sqlite');
  proxy = await connectProxy();
  fingerprint = authorityOf(await readFile(tls.cert, 'utf8')) ?? '';
});
afterAll(async () => {
  await Promise.all([secure?.close(), plain?.close(), proxy?.close()]);
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  Object.assign(proxy, { refuse: null, silent: false });
  proxy.asked.length = 0;
});

async function machine(name: string, variables: Record<string, string>, config?: object) {
  const home = join(folder, name);
  await mkdir(join(home, '.haivemind'), { recursive: true });
  if (config !== undefined)
    await writeFile(join(home, '.haivemind', 'config.json'), JSON.stringify(config), { mode: 0o600 });
  const none = { claudeConfigDir: undefined, haivemindHome: undefined, hubUrl: undefined, token: undefined };
  return openClient({ home, path: '', ...none, caFile: undefined, proxies: proxiesIn(variables) });
}

describe.each(['https', 'http'] as const)('a hub by %s', (kind) => {
  const hub = () => (kind === 'https' ? secure : plain);
  const config = kind === 'https' ? {} : { plain_http: true };

  it('is joined, called, listened to and asked at a session start through the proxy, which gets its login', async () => {
    const variables = { [`${kind}_proxy`]: withLogin() };
    const ctx = await machine(kind, variables, config);
    const pin = kind === 'https' ? { caFingerprint: fingerprint } : {};
    await joinHub(ctx, { url: named(hub()), token: hub().hub.joinToken, name: kind, ...pin });
    const again = await machine(kind, variables);
    const client = await hubFor(again, 'machine');
    expect((await client.call('whoami')).machine?.name).toBe(kind);
    expect((await client.call('whoami')).machine?.name).toBe(kind);
    client.close();
    const { token = '', hub_ca: ca } = again.config;
    const all = { url: named(hub()), token, ca, proxies: again.env.proxies };
    let before = proxy.asked.length;
    const socket = await openSocket({ ...all, heartbeatMs: 60_000, onMessage: () => {}, prove: machineProof(again) });
    socket.close();
    await socket.closed;
    expect(proxy.asked).toHaveLength(before + 1);
    before = proxy.asked.length;
    const question = { ...all, etag: '"none"', timeoutMs: 10_000 };
    expect(await isUnchanged(question)).toBe(false);
    expect(await askHub(question)).toEqual({ kind: 'changed' });
    expect(proxy.asked).toHaveLength(before + 1);
    const login = `Basic ${Buffer.from('me:pa ss').toString('base64')}`;
    expect(proxy.asked).toEqual(proxy.asked.map(() => ({ end: new URL(named(hub())).host, login })));
    const look = await HUB_LOOKS.hub?.(again);
    expect(look?.message).toContain(`through the proxy ${proxy.url} (${kind}_proxy)`);
  });

  it.each([
    [407, 'wants a login'],
    [403, 'must allow CONNECT'],
    [502, 'does not reach the hub'],
  ])('is unreachable in so many words where the proxy answers %i', async (status, words) => {
    proxy.refuse = status;
    const variables = { [`${kind.toUpperCase()}_PROXY`]: withLogin() };
    const ctx = await machine(`${kind}-${status}`, variables, config);
    const told = (thrown: unknown) => {
      const { code, message, hint } = toHaiveError(thrown);
      expect(code).toBe('HUB_UNREACHABLE');
      expect(message).toContain(`${proxy.url} refuses the way to ${new URL(named(hub())).host} (HTTP ${status})`);
      expect(hint).toContain(`${kind.toUpperCase()}_PROXY`);
      expect(hint).toContain(words);
      expect(message + hint).not.toMatch(/pa( |%20)ss/);
    };
    const wish = { url: named(hub()), token: hub().hub.joinToken, name: 'x' };
    told(await joinHub(ctx, wish).catch((thrown) => thrown));
    const all = { url: wish.url, token: 't', proxies: ctx.env.proxies };
    told(await openSocket({ ...all, heartbeatMs: 60_000, onMessage: () => {} }).catch((thrown) => thrown));
    if (kind === 'https') told(await fetchAuthority(wish.url, fingerprint, ctx.env.proxies).catch((thrown) => thrown));
    const answer = await askHub({ ...all, etag: undefined, timeoutMs: 10_000 });
    expect(answer).toMatchObject({ kind: 'away', why: expect.stringContaining(`(HTTP ${status})`) });
  });

  it('is called directly where NO_PROXY says so, and on loopback', async () => {
    const url = kind === 'https' ? 'https_proxy' : 'http_proxy';
    const ctx = await machine(`${kind}-direct`, { [url]: proxy.url, NO_PROXY: 'hub.test' }, config);
    const wish = { token: hub().hub.joinToken, name: `${kind}-direct` };
    // Nobody but the proxy knows the name.
    await expect(joinHub(ctx, { ...wish, url: named(hub()) })).rejects.toThrow('does not answer');
    const pin = kind === 'https' ? { caFingerprint: fingerprint } : {};
    await joinHub(await machine(`${kind}-near`, { [url]: proxy.url }, config), { ...wish, url: hub().url, ...pin });
    expect(proxy.asked).toEqual([]);
  });
});

describe('a proxy', () => {
  it('that is not there, or never answers, is named', async () => {
    const gone = await connectProxy();
    await gone.close();
    const question = { url: 'https://hub.test', token: 't', etag: undefined };
    const ask = (proxies: Record<string, string>, timeoutMs: number) =>
      askHub({ ...question, timeoutMs, proxies: proxiesIn(proxies) });
    expect(await ask({ https_proxy: gone.url }, 10_000)).toMatchObject({
      why: `The proxy ${gone.url} does not answer (ECONNREFUSED)`,
    });
    proxy.silent = true;
    expect(await ask({ https_proxy: proxy.url }, 50)).toMatchObject({ kind: 'away' });
    expect(await ask({ https_proxy: 'socks5://p:1' }, 10_000)).toMatchObject({
      why: 'https_proxy does not name an http or https proxy',
    });
    const ctx = await machine('silent', { https_proxy: proxy.url }, { hub_url: 'https://hub.test', token: 't' });
    const client = await hubFor(ctx, 'machine', 50);
    await expect(client.call('whoami')).rejects.toThrow(/did not answer within 50 ms/);
    client.close();
  });

  it('may stand in the configuration, for services; its password is not shown', async () => {
    const ctx = await machine('service', {}, { plain_http: true });
    await setConfig(ctx, 'proxy', withLogin());
    expect(getConfig(ctx, 'proxy')).toEqual({ proxy: `${proxy.url}/`.slice(0, -1) });
    await expect(setConfig(ctx, 'proxy', 'socks5://p:1')).rejects.toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
    await joinHub(ctx, { url: named(plain), token: plain.hub.joinToken, name: 'service' });
    expect(proxy.asked).not.toEqual([]);
    proxy.asked.length = 0;
    await setConfig(ctx, 'no_proxy', 'hub.test');
    const client = await hubFor(ctx, 'machine');
    await expect(client.call('whoami')).rejects.toThrow('does not answer');
    client.close();
    expect(proxy.asked).toEqual([]);
  });
});
