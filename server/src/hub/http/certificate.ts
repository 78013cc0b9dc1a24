import { readFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import { errnoOf, HaiveError } from '../../domain/errors.ts';
import type { HubConfig } from '../config.ts';
import type { Log } from '../context.ts';
import { repeat } from '../repeat.ts';

type TlsFiles = NonNullable<HubConfig['tls']>;

interface Pems {
  cert: Buffer;
  key: Buffer;
  minVersion: 'TLSv1.2';
}

/** @throws HaiveError CONFIG_INVALID when the certificate cannot be used */
export function createSecureServer(options: object, tls: TlsFiles, handler: RequestListener): Server {
  const pems = readPems(tls);
  const server = using(tls, pems, () => createServer({ ...options, ...pems }, handler));
  inUse.set(server, pems);
  return server;
}

/** What a server answers with now. */
const inUse = new WeakMap<Server, Pems>();

const readPems = (tls: TlsFiles): Pems => ({
  cert: pemOf(tls.cert, 'certificate'),
  key: pemOf(tls.key, 'key'),
  minVersion: 'TLSv1.2',
});

/**
 * Takes up a certificate that was renewed while the hub runs; one that cannot be used leaves the one before in force.
 * @returns what ends it
 */
export function followCertificate(server: object, tls: TlsFiles, everyMs: number, log: Log): () => Promise<void> {
  const secure = server as Server;
  const look = async (): Promise<void> => {
    const now = readPems(tls);
    const before = inUse.get(secure);
    if (before !== undefined && now.cert.equals(before.cert) && now.key.equals(before.key)) return;
    using(tls, now, (pems) => secure.setSecureContext(pems));
    inUse.set(secure, now);
    log.info({ cert: tls.cert }, 'took up the renewed certificate');
  };
  return repeat(everyMs, look, (error) => log.warn({ error }, 'the renewed certificate cannot be used'));
}

function using<T>(tls: TlsFiles, pems: Pems, use: (pems: Pems) => T): T {
  try {
    return use(pems);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const why = code?.includes('KEY_VALUES_MISMATCH') ? 'the key is not the one of the certificate' : message;
    const what = `The certificate ${tls.cert} and the key ${tls.key} cannot be used: ${why}`;
    throw new HaiveError('CONFIG_INVALID', what, { hint: TLS_HINT, cause });
  }
}

const TLS_HINT = 'Name PEM files that belong together with --tls-cert and --tls-key.';

const ENCRYPTED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m;

function pemOf(file: string, what: 'certificate' | 'key'): Buffer {
  const refused = (why: string, extras: { cause?: unknown; hint?: string } = {}): HaiveError =>
    new HaiveError('CONFIG_INVALID', `The TLS ${what} ${file} ${why}`, { hint: TLS_HINT, ...extras });
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    const code = errnoOf(cause);
    throw refused(code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`, { cause });
  }
  const head = what === 'key' ? /-----BEGIN [A-Z ]*PRIVATE KEY-----/ : /-----BEGIN [A-Z ]*CERTIFICATE-----/;
  const text = bytes.toString('latin1');
  if (!head.test(text)) throw refused(`holds no PEM ${what}`);
  if (what === 'key' && ENCRYPTED.test(text)) {
    throw refused('is encrypted, and the hub asks for no passphrase', {
      hint: `Write it without one, for the hub's user alone: \`openssl pkey -in ${file} -out PLAIN.key\`.`,
    });
  }
  return bytes;
}
