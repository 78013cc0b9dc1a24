import { describe, expect, it } from 'vitest';
import { proxiesIn, proxyFor, withOwnProxy } from './proxy.ts';

const way = (url: string, env: Record<string, string>) => proxyFor(new URL(url), proxiesIn(env));

describe('the proxy of a call', () => {
  it('is that of the protocol, else the one for all; the lower case first, an empty one is none', () => {
    const env = {
      HTTPS_PROXY: 'http://a:1',
      https_proxy: 'http://b:2',
      http_proxy: '',
      HTTP_PROXY: 'c:3',
      all_proxy: 'd:4',
    };
    expect(way('https://hub.test', env)).toEqual({ address: 'http://b:2', from: 'https_proxy' });
    expect(way('http://hub.test', env)).toEqual({ address: 'http://c:3', from: 'HTTP_PROXY' });
    expect(way('http://hub.test', { https_proxy: 'b:2', ALL_PROXY: 'd:4' })).toEqual({
      address: 'http://d:4',
      from: 'ALL_PROXY',
    });
    expect(way('http://hub.test', { https_proxy: 'b:2' })).toBeUndefined();
    expect(way('http://hub.test', { all_proxy: 'socks5://d:4' })).toBeUndefined();
    expect(proxiesIn({ PATH: '/bin', https_proxy: ' ' })).toBeUndefined();
  });

  it('is never asked for loopback', () => {
    for (const host of ['localhost', 'hub.localhost', '127.0.0.1:7420', '127.9.9.9', '[::1]:7420', '0x7f.1'])
      expect(way(`http://${host}`, { http_proxy: 'p:1' }), host).toBeUndefined();
    for (const host of ['localhost.example', '128.0.0.1', '[::2]'])
      expect(way(`http://${host}`, { http_proxy: 'p:1' }), host).toBeDefined();
  });

  it('is left out for the hosts of NO_PROXY', () => {
    const direct = (url: string, no_proxy: string) => way(url, { https_proxy: 'p:1', no_proxy }) === undefined;
    for (const list of [
      'hub.test',
      '.hub.test',
      '*.hub.test',
      'x, HUB.TEST',
      'x hub.test',
      'test',
      '*',
      'hub.test:443',
    ])
      expect(direct('https://hub.test', list), list).toBe(true);
    for (const list of ['', 'ub.test', 'hub.tes', 'a.hub.test', 'hub.test:7420', ',', ':443', '/8'])
      expect(direct('https://hub.test', list), list).toBe(false);
    expect(direct('https://a.hub.test:7420', 'hub.test')).toBe(true);
    for (const list of ['10.1.2.3', '10.0.0.0/8', '10.1.2.3/32', '0.0.0.0/0', '10.1.2.3:443'])
      expect(direct('https://10.1.2.3', list), list).toBe(true);
    for (const list of ['10.0.0.0/16', '2.3', '.3', '10.0.0.0/33', '10.0.0.0/x'])
      expect(direct('https://10.1.2.3', list), list).toBe(false);
    for (const list of ['fd00::1', '[fd00::1]', '[fd00::1]:443'])
      expect(direct('https://[fd00::1]', list), list).toBe(true);
    for (const list of ['fd00::2', '[fd00::1]:80']) expect(direct('https://[fd00::1]', list), list).toBe(false);
  });

  it("is the configuration's where the environment names none; its exceptions hold besides", () => {
    const own = { proxy: 'http://own:1', no_proxy: 'b.test' };
    const url = new URL('https://hub.test');
    expect(proxyFor(url, withOwnProxy(undefined, own))).toMatchObject({ address: 'http://own:1' });
    expect(proxyFor(url, withOwnProxy(proxiesIn({ https_proxy: 'p:1' }), own))?.from).toBe('https_proxy');
    const both = withOwnProxy(proxiesIn({ no_proxy: 'a.test' }), own);
    for (const host of ['a.test', 'b.test']) expect(proxyFor(new URL(`https://${host}`), both)).toBeUndefined();
    expect(withOwnProxy(undefined, { proxy: undefined, no_proxy: undefined })).toBeUndefined();
  });
});
