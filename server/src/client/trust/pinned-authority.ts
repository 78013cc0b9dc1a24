import { createHash, X509Certificate } from 'node:crypto';
import { isIP, type Socket } from 'node:net';
import { connect, type DetailedPeerCertificate } from 'node:tls';
import { HaiveError } from '../../domain/errors.ts';
import { type ProxySettings, proxyFor } from '../../domain/proxy.ts';
import { openTunnel, ProxyError } from '../hub/tunnel.ts';

const WAIT_MS = 15_000;
/** A chain that names itself in circles ends here. */
const MAX_CHAIN = 10;

/**
 * The form in which a fingerprint is compared: `sha256:` and 64 lower-case hex digits; colons between bytes may stand.
 * @throws HaiveError USAGE
 */
export function parseFingerprint(text: string): string {
  const hex = text
    .replace(/^sha256:/i, '')
    .replaceAll(':', '')
    .toLowerCase();
  if (/^[0-9a-f]{64}$/.test(hex)) return `sha256:${hex}`;
  throw new HaiveError('USAGE', 'A fingerprint is `sha256:` and 64 hexadecimal digits, as the hub prints it');
}

/**
 * Asks a hub for its certificates and gives the one with this fingerprint. Nothing is sent: whether the hub holds the key and
 * is called so is checked with the next connection, which trusts this certificate alone.
 * @returns PEM
 * @throws HaiveError USAGE, CERTIFICATE_MISMATCH, HUB_UNREACHABLE, TIMEOUT
 */
export async function fetchAuthority(url: string, fingerprint: string, proxies?: ProxySettings): Promise<string> {
  const wanted = parseFingerprint(fingerprint);
  const { protocol, hostname, port } = new URL(url);
  if (protocol !== 'https:') {
    throw new HaiveError('USAGE', `${url} has no certificate: a fingerprint goes with https`);
  }
  const end = { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 443 : Number(port) };
  const proxy = proxyFor(new URL(url), proxies);
  const way = proxy === undefined ? undefined : await openTunnel(proxy, end, WAIT_MS).catch(refused);
  const shown = await shownBy(end, url, way);
  const found = shown.find((der) => `sha256:${createHash('sha256').update(der).digest('hex')}` === wanted);
  if (found !== undefined) return new X509Certificate(found).toString();
  throw new HaiveError('CERTIFICATE_MISMATCH', `${url} shows no certificate with the fingerprint ${wanted}`, {
    details: { shown: shown.map((der) => `sha256:${createHash('sha256').update(der).digest('hex')}`) },
  });
}

function refused(thrown: unknown): never {
  if (!(thrown instanceof ProxyError)) throw thrown;
  throw new HaiveError('HUB_UNREACHABLE', thrown.message, { cause: thrown, hint: thrown.hint });
}

/** The certificates that a server sends, its own first. */
function shownBy(
  { host, port }: { host: string; port: number },
  url: string,
  way: Socket | undefined,
): Promise<Buffer[]> {
  return new Promise((resolve, reject) => {
    // Who it is, is what is being found out: the fingerprint decides, not this handshake.
    const name = isIP(host) === 0 ? { servername: host } : {};
    const socket = connect({ host, port, ...name, ...(way && { socket: way }), rejectUnauthorized: false }, () => {
      const chain: Buffer[] = [];
      let at: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
      while (at?.raw !== undefined && chain.length < MAX_CHAIN) {
        chain.push(at.raw);
        at = at.issuerCertificate === at ? undefined : at.issuerCertificate;
      }
      socket.destroy();
      resolve(chain);
    });
    socket.setTimeout(WAIT_MS, () => socket.destroy(new HaiveError('TIMEOUT', `${url} did not answer`)));
    socket.on('error', (cause) => {
      if (cause instanceof HaiveError) reject(cause);
      else reject(new HaiveError('HUB_UNREACHABLE', `${url} does not answer with TLS`, { cause }));
    });
  });
}
