import type { IncomingMessage } from 'node:http';
import { PROTOCOL, PROTOCOL_HEADER } from '../../contract/protocol.ts';
import { type ProxySettings, proxyFor } from '../../domain/proxy.ts';

/** How the hub answers "is my plan still this one?". */
export type HubAnswer =
  | { kind: 'unchanged' }
  | { kind: 'changed' }
  /** Not there, too slow, or not a hub; `why` is a few words. */
  | { kind: 'away'; why: string }
  /** The hub is there and refuses; `code` is its own. */
  | { kind: 'refused'; code: string };

export interface Question {
  /** The hub's base address. */
  url: string;
  token: string;
  /** Etag of what is known: the plan this machine follows. */
  etag: string | undefined;
  /** What is asked for, where it is not the plan. */
  path?: string;
  /** PEM of the authority that the hub's certificate comes from, where it was pinned. */
  ca?: string | undefined;
  proxies?: ProxySettings | undefined;
  /** Milliseconds for connecting and the answer together. */
  timeoutMs: number;
}

const PLAN = '/api/machines/me/plan';
const MAX_PROBLEM_BYTES = 64 * 1024;

/**
 * The same question where only "nothing changed" counts, over a bare socket: the answer of nearly every session start, for
 * a third of what node:http costs to load. False means no more than: ask properly. Never throws.
 */
export async function isUnchanged({
  url,
  token,
  etag,
  timeoutMs,
  path: asked = PLAN,
  proxies,
}: Question): Promise<boolean> {
  const plain = /^http:\/\/(\[[0-9a-f:]+\]|[a-z0-9.-]+)(?::(\d+))?((?:\/[\w.~-]+)*)\/?$/i.exec(url);
  if (plain === null || etag === undefined || /[^\x21-\x7e]/.test(etag + token)) return false;
  if (proxies !== undefined && proxyFor(new URL(url), proxies) !== undefined) return false;
  const [, host = '', port = '80', path = ''] = plain;
  const { connect } = await import('node:net');
  return await new Promise((resolve) => {
    const socket = connect({ host: host.replace(/^\[|\]$/g, ''), port: Number(port) });
    const limit = setTimeout(() => settle(false), timeoutMs);
    const settle = (unchanged: boolean): void => {
      clearTimeout(limit);
      socket.destroy();
      resolve(unchanged);
    };
    let head = '';
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      head += chunk;
      // Whole, because what answers 304 must speak our protocol or none.
      if (head.includes('\r\n\r\n')) settle(is304(head));
      else if (head.length > MAX_PROBLEM_BYTES) settle(false);
    });
    socket.on('error', () => settle(false)).on('close', () => settle(false));
    socket.write(
      `GET ${path}${asked} HTTP/1.1\r\nHost: ${host}:${port}\r\nConnection: close\r\n` +
        `Authorization: Bearer ${token}\r\n${PROTOCOL_HEADER}: ${PROTOCOL}\r\nIf-None-Match: ${etag}\r\n\r\n`,
    );
  });
}

function is304(head: string): boolean {
  const stated = new RegExp(`\\r\\n${PROTOCOL_HEADER}: *([^\\r]*)`, 'i').exec(head)?.[1];
  return /^HTTP\/1\.1 304 /.test(head) && (stated === undefined || stated === String(PROTOCOL));
}

/** One conditional GET of this machine's plan over bare node:http. Never throws, never takes longer than it may. */
export async function askHub({ url, token, etag, timeoutMs, ca, proxies, path = PLAN }: Question): Promise<HubAnswer> {
  let address: URL;
  try {
    address = new URL(`${url.replace(/\/+$/, '')}${path}`);
    if (address.protocol !== 'http:' && address.protocol !== 'https:') throw new Error(address.protocol);
  } catch {
    return { kind: 'away', why: 'its address is not http or https' };
  }
  const { get } = address.protocol === 'https:' ? await import('node:https') : await import('node:http');
  const proxy = proxyFor(address, proxies);
  const agent =
    proxy !== undefined && (await import('../../client/hub/tunnel.ts')).proxyAgent(proxy, address.protocol, { ca });
  return await new Promise((resolve) => {
    const request = get(
      address,
      {
        agent,
        timeout: timeoutMs,
        ...(ca === undefined ? {} : { ca }),
        headers: {
          authorization: `Bearer ${token}`,
          [PROTOCOL_HEADER]: String(PROTOCOL),
          ...(etag === undefined ? {} : { 'if-none-match': etag }),
        },
      },
      (answer) => {
        judge(answer).then(settle, () => settle({ kind: 'away', why: 'its answer broke off' }));
      },
    );
    const limit = setTimeout(() => settle({ kind: 'away', why: 'no answer in time' }), timeoutMs);
    const settle = (answer: HubAnswer): void => {
      clearTimeout(limit);
      resolve(answer);
      request.destroy();
    };
    request.on('error', (error: NodeJS.ErrnoException) => settle({ kind: 'away', why: error.code ?? error.message }));
  });
}

async function judge(answer: IncomingMessage): Promise<HubAnswer> {
  const status = answer.statusCode ?? 0;
  const type = answer.headers['content-type'] ?? '';
  const ours = answer.headers[PROTOCOL_HEADER];
  if (status === 304) return { kind: 'unchanged' };
  if (ours !== undefined && ours !== String(PROTOCOL)) return { kind: 'refused', code: 'PROTOCOL_MISMATCH' };
  if (status === 200 && type.includes('json')) return { kind: 'changed' };
  if (!type.includes('problem+json')) return { kind: 'away', why: `HTTP ${status}, not a hub` };
  let text = '';
  for await (const chunk of answer) {
    text += chunk;
    if (text.length > MAX_PROBLEM_BYTES) break;
  }
  try {
    const { code } = JSON.parse(text) as { code?: unknown };
    // Signed questions are the full run's business: this one only learns that the answer is no more what it was.
    if (code === 'PROOF_REQUIRED') return { kind: 'changed' };
    if (typeof code === 'string' && /^[A-Z_]{3,40}$/.test(code)) {
      return status >= 500 ? { kind: 'away', why: code } : { kind: 'refused', code };
    }
  } catch {
    // Said below: not a hub's answer.
  }
  return { kind: 'away', why: `HTTP ${status}, not a hub` };
}
