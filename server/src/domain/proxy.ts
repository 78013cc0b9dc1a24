/** A proxy's address as somebody gave it, and where. */
interface Given {
  value: string;
  /** The variable, or the key of config.json. */
  from: string;
}

/** What a machine was told about proxies. */
export interface ProxySettings {
  http?: Given;
  https?: Given;
  /** Where there is none for the protocol. */
  all?: Given;
  /** Hosts that are reached without one, in the usual form of NO_PROXY. */
  none: string;
}

/** The proxy that a call goes through. */
export interface NamedProxy {
  /** As given, with the login that it may hold: never shown. */
  address: string;
  from: string;
}

type Variables = Record<string, string | undefined>;

/**
 * The proxies that the environment names, in the usual spellings; the lower case first, an empty one is none.
 * @returns undefined where it names none
 */
export function proxiesIn(env: Variables): ProxySettings | undefined {
  const pick = (name: string): Given | undefined => {
    for (const from of [name.toLowerCase(), name]) {
      const value = env[from]?.trim();
      if (value !== undefined && value !== '') return { value, from };
    }
    return undefined;
  };
  const http = pick('HTTP_PROXY');
  const https = pick('HTTPS_PROXY');
  let all = pick('ALL_PROXY');
  // Often there for other programs; one of these protocols is never meant for us alone.
  if (all !== undefined && /^socks/i.test(all.value)) all = undefined;
  const none = pick('NO_PROXY')?.value ?? '';
  if (http === undefined && https === undefined && all === undefined && none === '') return undefined;
  return { ...(http && { http }), ...(https && { https }), ...(all && { all }), none };
}

/**
 * The same with `proxy` and `no_proxy` of config.json: the proxy where the environment names none, the exceptions besides.
 * @param own what the configuration says
 */
export function withOwnProxy(
  settings: ProxySettings | undefined,
  own: { proxy: string | undefined; no_proxy: string | undefined },
): ProxySettings | undefined {
  if (own.proxy === undefined && own.no_proxy === undefined) return settings;
  const all =
    settings?.all ?? (own.proxy === undefined ? undefined : { value: own.proxy, from: '`proxy` in config.json' });
  const none = [settings?.none, own.no_proxy].filter((list) => list !== undefined && list !== '').join(',');
  return { ...settings, ...(all && { all }), none };
}

const LOOPBACK = /^(localhost|.*\.localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** The proxy for an http or https address; undefined where it is called directly, as loopback always is. */
export function proxyFor(url: URL, settings: ProxySettings | undefined): NamedProxy | undefined {
  if (settings === undefined) return undefined;
  const given = (url.protocol === 'https:' ? settings.https : settings.http) ?? settings.all;
  if (given === undefined || LOOPBACK.test(url.hostname) || isExcepted(url, settings.none)) return undefined;
  return {
    address: /^[a-z][a-z0-9+.-]*:\/\//i.test(given.value) ? given.value : `http://${given.value}`,
    from: given.from,
  };
}

/** A name stands for itself and all below it; an entry may hold a port; IPv4 networks are written as 10.0.0.0/8. */
function isExcepted(url: URL, list: string): boolean {
  const host = url.hostname.replace(/\.$/, '');
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => {
      if (entry === '*') return true;
      const [, name = '', only] = /^(\[[^\]]*\]|[^:]*|[0-9a-f:]*:[0-9a-f:]*:[0-9a-f:.]*)(?::(\d+))?$/.exec(entry) ?? [];
      if (name === '' || (only !== undefined && only !== port)) return false;
      if (name.includes('/')) return isInNetwork(host, name);
      const bare = name.replace(/^\*?\./, '').replace(/\.$/, '');
      return host === bare || host === `[${bare}]` || (!isAddress(host) && host.endsWith(`.${bare}`));
    });
}

const isAddress = (host: string): boolean => /^[\d.]+$|^\[/.test(host);

const numberOf = (address: string): number | undefined =>
  /^\d{1,3}(\.\d{1,3}){3}$/.test(address)
    ? address.split('.').reduce((n, part) => n * 256 + Number(part), 0)
    : undefined;

function isInNetwork(host: string, network: string): boolean {
  const [base = '', bits = ''] = network.split('/');
  const [a, b] = [numberOf(host), numberOf(base)];
  if (a === undefined || b === undefined || !/^\d{1,2}$/.test(bits) || Number(bits) > 32) return false;
  const size = 2 ** (32 - Number(bits));
  return Math.floor(a / size) === Math.floor(b / size);
}
