import { lookup as dnsLookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { Agent, request } from 'undici';
import { HaiveError } from '../../domain/errors.ts';

export interface FetchLimits {
  maxBytes: number;
  /** Hosts (`host` or `host:port`) that may be private. */
  allowedHosts: readonly string[];
  /** Milliseconds for everything, redirects too. */
  timeoutMs?: number;
  maxRedirects?: number;
}

/** Addresses that are not the open internet: what a plugin_url could use to reach behind the hub. */
const CLOSED = new BlockList();
for (const [net, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const)
  CLOSED.addSubnet(net, prefix, 'ipv4');

/** Only global unicast is open in IPv6, without the ranges that carry an IPv4 address inside. */
const OPEN6 = new BlockList();
OPEN6.addSubnet('2000::', 3, 'ipv6');
const CLOSED6 = new BlockList();
for (const [net, prefix] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const)
  CLOSED6.addSubnet(net, prefix, 'ipv6');

/** Whether an IP address is on the open internet. */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !CLOSED.check(address, 'ipv4');
    case 6:
      return OPEN6.check(address, 'ipv6') && !CLOSED6.check(address, 'ipv6');
    default:
      return false;
  }
}

/**
 * Fetches a file by http or https. Each host, redirects too, must be public or allowed; the address that was checked
 * is the one connected to.
 * @throws HaiveError BAD_REQUEST (not such a URL), FORBIDDEN (closed address), PLUGIN_TOO_LARGE, TIMEOUT, NOT_FOUND
 */
export async function fetchUrl(given: string, limits: FetchLimits): Promise<Buffer> {
  const signal = AbortSignal.timeout(limits.timeoutMs ?? 60_000);
  let url = parseSourceUrl(given);
  for (let left = limits.maxRedirects ?? 5; ; left--) {
    const answer = await fetchOnce(url, limits, signal);
    if (Buffer.isBuffer(answer)) return answer;
    if (left === 0) throw new HaiveError('BAD_REQUEST', `${given} redirects too often`);
    url = parseSourceUrl(new URL(answer.location, url).href);
  }
}

/** @throws HaiveError BAD_REQUEST for what is no plain http or https URL */
export function parseSourceUrl(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw new HaiveError('BAD_REQUEST', `${text.slice(0, 200)} is not a URL`, { cause });
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new HaiveError('BAD_REQUEST', `plugin_url is http or https, not ${url.protocol}`);
  }
  if (url.username !== '' || url.password !== '')
    throw new HaiveError('BAD_REQUEST', 'plugin_url may hold no password');
  return url;
}

/** Whether the operator allows this host although it may be private. */
export function isAllowedHost(url: URL, allowedHosts: readonly string[]): boolean {
  return allowedHosts.some((h) => h.toLowerCase() === url.host || h.toLowerCase() === url.hostname);
}

async function fetchOnce(url: URL, limits: FetchLimits, signal: AbortSignal): Promise<Buffer | { location: string }> {
  const allowed = isAllowedHost(url, limits.allowedHosts);
  const literal = url.hostname.replace(/^\[|\]$/g, '');
  if (!allowed && isIP(literal) !== 0 && !isPublicAddress(literal)) throw closed(url.hostname);
  const agent = new Agent({
    connect: { lookup: guardedLookup(allowed), timeout: 10_000 },
    headersTimeout: 30_000,
    bodyTimeout: 30_000,
    maxHeaderSize: 32 * 1024,
  });
  try {
    const answer = await request(url, { dispatcher: agent, signal, headers: { 'user-agent': 'haivemind-hub' } });
    // A body that is given up still reports its end, to nobody: unheard, that would end the process.
    answer.body.on('error', () => undefined);
    const { location } = answer.headers;
    if ([301, 302, 303, 307, 308].includes(answer.statusCode) && typeof location === 'string') {
      answer.body.destroy();
      return { location };
    }
    if (answer.statusCode !== 200) {
      answer.body.destroy();
      throw new HaiveError('NOT_FOUND', `${url.host} answers ${answer.statusCode}`, { hint: 'Check plugin_url.' });
    }
    return await collect(answer.body, limits.maxBytes);
  } catch (thrown) {
    throw fetchError(thrown, url);
  } finally {
    agent.destroy().catch(() => undefined);
  }
}

async function collect(body: AsyncIterable<Buffer>, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let held = 0;
  for await (const chunk of body) {
    held += chunk.length;
    if (held > maxBytes) throw new HaiveError('PLUGIN_TOO_LARGE', `What the URL serves is over ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Resolves a name and hands on only addresses that may be connected to: there is no second resolution. */
function guardedLookup(allowed: boolean): LookupFunction {
  return (hostname, options, callback) => {
    dnsLookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '', 0);
      const open = allowed ? addresses : addresses.filter((a) => isPublicAddress(a.address));
      const first = open[0];
      if (first === undefined) return callback(closed(hostname), '', 0);
      if (options.all === true) callback(null, open as never);
      else callback(null, first.address, first.family);
    });
  };
}

export function closed(host: string): HaiveError {
  return new HaiveError('FORBIDDEN', `${host} is a private, loopback or link-local address`, {
    hint: "The operator can allow the host (`plugins.allowed_source_hosts` in the hub's config.json); or send the archive itself.",
  });
}

function fetchError(thrown: unknown, url: URL): unknown {
  if (thrown instanceof HaiveError) return thrown;
  const error = thrown as { name?: string; code?: string; message?: string; cause?: unknown };
  if (error.cause instanceof HaiveError) return error.cause;
  if (error.name === 'TimeoutError' || error.name === 'AbortError' || /TIMEOUT/.test(error.code ?? '')) {
    return new HaiveError('TIMEOUT', `${url.host} took too long`, { cause: thrown });
  }
  return new HaiveError('NOT_FOUND', `${url.host} cannot be reached (${error.code ?? error.message ?? 'unknown'})`, {
    cause: thrown,
    hint: 'Check plugin_url.',
  });
}
