// Calls to one cluster over its REST API. Certificates are always checked; redirects are not followed.
import { readFileSync } from 'node:fs';
import { request as http } from 'node:http';
import { request as https } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';

const TIMEOUT_MS = 30_000;
const TRIES = 3;
const MAX_WAIT_S = 10;
const MAX_BYTES = 32 * 1024 * 1024;

/** What a tool answers with `isError`: `CODE: message. hint`. */
export class EsError extends Error {
  constructor(code, message, hint) {
    super(`${code}: ${message}. ${hint}`);
    this.code = code;
  }
}

/** Reads ES_URL, ES_CREDENTIALS and ES_CA_FILE. Throws EsError ES_NOT_CONFIGURED. */
export function clusterFrom(env) {
  // An option that was not set arrives empty, or as its own name.
  const set = (v) => (v === undefined || v.trim() === '' || v.startsWith('${') ? undefined : v.trim());
  const address = set(env.ES_URL);
  const hint = 'Ask the user to type /plugin, choose elasticsearch-ops and set the cluster address and credentials.';
  if (address === undefined) throw new EsError('ES_NOT_CONFIGURED', 'No cluster address is set', hint);
  let url;
  try {
    url = new URL(address);
  } catch {
    throw new EsError('ES_NOT_CONFIGURED', 'The cluster address is not a URL', hint);
  }
  if (!/^https?:$/.test(url.protocol) || url.username !== '') {
    throw new EsError('ES_NOT_CONFIGURED', 'The cluster address must be http or https, without a user name', hint);
  }
  const credentials = set(env.ES_CREDENTIALS);
  const basic = credentials?.includes(':');
  const authorization =
    credentials === undefined
      ? {}
      : { authorization: basic ? `Basic ${Buffer.from(credentials).toString('base64')}` : `ApiKey ${credentials}` };
  const file = set(env.ES_CA_FILE);
  let ca;
  try {
    ca = file === undefined ? undefined : readFileSync(file);
  } catch {
    throw new EsError('ES_NOT_CONFIGURED', `The certificate authority ${file} cannot be read`, hint);
  }
  return { url, authorization, ca };
}

/**
 * One call; answers the parsed JSON, or undefined for a 404 where `missing` is true. Reads are tried again after 429 and 503, as
 * Retry-After says; writes never, because nobody knows whether the first was done.
 */
export async function call(cluster, method, path, { body, missing = false } = {}) {
  const reads = method === 'GET' || method === 'HEAD';
  for (let attempt = 1; ; attempt++) {
    const { status, headers, text } = await send(cluster, method, path, body);
    if (status === 404 && missing) return undefined;
    if (status < 300) return method === 'HEAD' || text === '' ? {} : parse(text);
    if (!reads || attempt === TRIES || (status !== 429 && status !== 503)) throw problem(method, path, status, text);
    const wait = Number(headers['retry-after'] ?? attempt);
    await sleep(1000 * Math.min(MAX_WAIT_S, Number.isFinite(wait) ? wait : attempt));
  }
}

function send({ url, authorization, ca }, method, path, body) {
  const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const request = url.protocol === 'https:' ? https : http;
  const target = new URL(url.href.replace(/\/+$/, '') + path);
  const headers = {
    accept: 'application/json',
    ...authorization,
    ...(bytes === undefined ? {} : { 'content-type': 'application/json', 'content-length': bytes.length }),
  };
  return new Promise((resolve, reject) => {
    const req = request(
      target,
      { method, headers, timeout: TIMEOUT_MS, ...(ca === undefined ? {} : { ca }) },
      (res) => {
        const chunks = [];
        let size = 0;
        res.on('data', (chunk) => {
          size += chunk.length;
          if (size > MAX_BYTES) req.destroy(new Error('the answer is too long'));
          else chunks.push(chunk);
        });
        res.on('end', () =>
          resolve({ status: res.statusCode, headers: res.headers, text: Buffer.concat(chunks).toString() }),
        );
        res.on('error', reject);
      },
    );
    req.on('timeout', () => req.destroy(new Error(`no answer in ${TIMEOUT_MS / 1000} s`)));
    req.on('error', (error) => {
      const hint = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY/.test(error.code ?? '')
        ? 'Set the certificate authority in the options of elasticsearch-ops; checking is never switched off.'
        : 'Check the address, and whether this machine reaches it.';
      reject(new EsError('ES_UNREACHABLE', `${target.origin} does not answer (${error.code ?? error.message})`, hint));
    });
    req.end(bytes);
  });
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new EsError(
      'ES_ANSWER_INVALID',
      'The answer is not JSON',
      'Is the address that of a cluster, not of a proxy?',
    );
  }
}

function problem(method, path, status, text) {
  let reason = text.slice(0, 300);
  try {
    const { error } = JSON.parse(text);
    reason = typeof error === 'string' ? error : [error?.type, error?.reason].filter(Boolean).join(': ') || reason;
  } catch {
    // The text itself says it.
  }
  const what = `${method} ${path.split('?')[0]} answered ${status}${reason === '' ? '' : ` (${reason.replace(/\s+/g, ' ')})`}`;
  if (status === 401)
    return new EsError('ES_UNAUTHORIZED', what, 'The credentials are wrong or expired: ask the user for new ones.');
  if (status === 403)
    return new EsError('ES_FORBIDDEN', what, 'The credentials lack this privilege; do not look for others.');
  if (status === 404) return new EsError('ES_NOT_FOUND', what, 'Check the name.');
  if (status === 429)
    return new EsError(
      'ES_BUSY',
      what,
      'The cluster rejects work for now: wait, look at es_health, do not retry in a loop.',
    );
  if (status === 409) return new EsError('ES_CONFLICT', what, 'Something of this name is there or in use.');
  return new EsError('ES_ERROR', what, status >= 500 ? 'Look at es_health.' : 'Read the reason and mend the request.');
}
