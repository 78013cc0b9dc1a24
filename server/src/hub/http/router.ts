import { createHash, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import * as z from 'zod';
import type { Endpoint } from '../../contract/endpoint.ts';
import { ENDPOINTS, type EndpointName } from '../../contract/endpoints.ts';
import { checkProtocol, PROTOCOL, PROTOCOL_HEADER } from '../../contract/protocol.ts';
import { HaiveError, toHaiveError } from '../../domain/errors.ts';
import { type Authenticator, requireAccess } from '../auth.ts';
import type { Call, HubContext, Principal, RawReply, UseCase, UseCases } from '../context.ts';
import { isProven, proofMissing } from '../machines/proof.ts';
import { METRICS_TYPE, type Metrics } from '../metrics.ts';
import { limitedStream, readJson, validate } from './body.ts';
import { callerKey } from './client-address.ts';
import { PROBLEM_TYPE, problemOf } from './problem.ts';
import type { RequestLimits } from './request-limits.ts';
import { toolArguments } from './tool-arguments.ts';

export interface RouterParts {
  hub: HubContext;
  useCases: UseCases;
  auth: Authenticator;
  metrics: Metrics;
  limits: RequestLimits;
  /** Told of every authenticated call. */
  seen(principal: Principal): void;
  isDraining(): boolean;
}

/** For public addresses, where nobody needs to say who they are. */
const ANONYMOUS: Principal = { tokenId: '', name: 'anonymous', roles: [], machineId: null, namePattern: null };

/** Answered while the hub drains, and however much is asked, so that whoever watches it knows why. */
const WHILE_DRAINING: readonly string[] = ['healthz', 'readyz', 'metrics'];

/** One route per endpoint of the contract; everything else is NOT_FOUND or METHOD_NOT_ALLOWED. */
export function addRoutes(app: FastifyInstance, parts: RouterParts): void {
  // Bodies are read by us: streamed ones must reach their use case untouched.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.addHook('onRequest', async (request, reply) => {
    reply.header(PROTOCOL_HEADER, String(PROTOCOL));
    // No answer is a page: names and descriptions in it must not become one.
    reply.header('x-content-type-options', 'nosniff').header('content-security-policy', "default-src 'none'");
    checkProtocol(request.headers[PROTOCOL_HEADER] as string | undefined, 'machine');
  });
  app.addHook('onResponse', async (request, reply) => account(parts, request, reply));
  app.setErrorHandler((thrown, request, reply) => sendProblem(parts, thrown, request, reply));
  app.setNotFoundHandler((request, reply) => {
    parts.limits.address.take(callerKey(request.ip));
    throw unknownAddress(request, reply);
  });
  for (const [name, endpoint] of Object.entries(ENDPOINTS) as [EndpointName, Endpoint][]) {
    app.route({
      method: endpoint.method,
      url: endpoint.path.replace(/\{(\w+)\}/g, ':$1'),
      handler: (request, reply) => handle(parts, name, endpoint, request, reply),
    });
  }
}

async function handle(
  parts: RouterParts,
  name: EndpointName,
  endpoint: Endpoint,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  if (parts.isDraining() && !WHILE_DRAINING.includes(name)) {
    reply.header('connection', 'close');
    throw new HaiveError('SHUTTING_DOWN', 'The hub is stopping');
  }
  const caller = callerKey(request.ip);
  let principal = ANONYMOUS;
  let proven = true;
  if (endpoint.access === 'public') {
    if (!WHILE_DRAINING.includes(name)) parts.limits.address.take(caller);
  } else {
    const who = await parts.auth.authenticate(request.headers.authorization, caller);
    principal = { ...who, address: request.ip };
    parts.limits.token(principal);
    (request as { principal?: Principal }).principal = principal;
    parts.seen(principal);
    requireAccess(principal, endpoint);
    proven = isProven(
      principal,
      { method: request.method, url: request.url, headers: request.headers },
      parts.hub.clock(),
    );
    // Without a proof a machine's token is good for one thing: to hear that nothing changed.
    if (!proven && (!isSafe(request) || request.headers['if-none-match'] === undefined))
      throw proofMissing(parts.hub.clock());
  }
  const call = await callOf(parts.hub, endpoint, principal, request);
  // The contract's types hold per name; the compiler cannot follow a name chosen at run time.
  const useCase = parts.useCases[name] as unknown as UseCase<EndpointName>;
  const answer = (await useCase(parts.hub, call as Call<EndpointName>)) as unknown;
  if (!proven && !isUnchanged(endpoint, answer, request)) {
    if (isRaw(answer) && answer.body instanceof Readable) answer.body.destroy();
    throw proofMissing(parts.hub.clock());
  }
  if (isRaw(answer)) return sendRaw(answer, request, reply);
  return sendPlain(endpoint, answer, request, reply);
}

async function callOf(
  hub: HubContext,
  endpoint: Endpoint,
  principal: Principal,
  request: FastifyRequest,
): Promise<unknown> {
  const { limits, maxPluginSizeMb } = hub.config;
  const params = request.params as Record<string, string>;
  for (const [key, value] of Object.entries(params)) {
    if (value.includes('\0')) throw new HaiveError('BAD_REQUEST', `The path parameter ${key} holds a NUL`);
  }
  const length = request.headers['content-length'];
  const contentType = request.headers['content-type'] ?? '';
  const hasBody = request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
  const streamed = endpoint.body === 'frames';
  // A streamed plugin is measured by its use case; base64 and frame heads are why more may arrive than a plugin holds.
  const bytes = streamed ? maxPluginSizeMb * 1024 * 1024 * 2 + limits.jsonBodyBytes : limits.jsonBodyBytes;
  const stream =
    endpoint.body !== undefined && hasBody
      ? limitedStream(request.raw, length, { bytes, idleMs: limits.bodyIdleMs })
      : Readable.from([]);
  let body: unknown;
  if (endpoint.body !== undefined && !streamed) {
    if (hasBody && !/^application\/(json|[\w.+-]+\+json)\s*(;|$)/i.test(contentType)) {
      throw new HaiveError(
        'BODY_INVALID',
        `The body must be application/json, not ${contentType.slice(0, 80) || 'unnamed'}`,
      );
    }
    const sent = hasBody ? await readJson(stream) : {};
    const given = endpoint.tool === true ? toolArguments(endpoint.body as z.ZodObject, sent) : sent;
    body = validate(endpoint.body as z.ZodType, given, 'body');
  }
  return {
    principal,
    params,
    query: endpoint.query === undefined ? undefined : validate(endpoint.query, request.query, 'query'),
    body,
    stream,
    contentType,
    header: (key: string) => {
      const value = request.headers[key.toLowerCase()];
      return Array.isArray(value) ? value.join(', ') : value;
    },
    remoteAddress: request.ip,
    requestId: request.id,
  };
}

function isRaw(answer: unknown): answer is RawReply {
  return typeof answer === 'object' && answer !== null && (answer as { raw?: unknown }).raw === true;
}

/** Whether this answer will be a 304: nothing else goes to who has only a machine's token. */
function isUnchanged(endpoint: Endpoint, answer: unknown, request: FastifyRequest): boolean {
  const asked = request.headers['if-none-match'];
  if (isRaw(answer)) {
    const { status, headers } = answer;
    return status === 304 || (status === 200 && headers.etag !== undefined && matches(asked, headers.etag));
  }
  const hasEtag = endpoint.reply instanceof z.ZodType && endpoint.etag !== false;
  return hasEtag && matches(asked, etagOf(JSON.stringify(answer)));
}

function sendRaw(answer: RawReply, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const etag = answer.headers.etag;
  if (
    answer.status === 200 &&
    etag !== undefined &&
    isSafe(request) &&
    matches(request.headers['if-none-match'], etag)
  ) {
    if (answer.body instanceof Readable) answer.body.destroy();
    return reply.code(304).headers(answer.headers).removeHeader('content-length').send();
  }
  // What has no body is no page, and this is the answer that machines get all the time.
  if (answer.status === 304) reply.removeHeader('x-content-type-options').removeHeader('content-security-policy');
  return reply
    .code(answer.status)
    .headers(answer.headers)
    .send(answer.body ?? undefined);
}

function sendPlain(endpoint: Endpoint, answer: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (endpoint.reply === 'text') return reply.type(METRICS_TYPE).send(answer);
  if (!(endpoint.reply instanceof z.ZodType)) return reply.type('application/octet-stream').send(answer);
  const text = JSON.stringify(answer);
  reply.type('application/json; charset=utf-8');
  if (isSafe(request) && endpoint.etag !== false) {
    const etag = etagOf(text);
    reply.header('etag', etag);
    if (matches(request.headers['if-none-match'], etag)) return reply.code(304).removeHeader('content-type').send();
  }
  return reply.send(text);
}

const isSafe = (request: FastifyRequest): boolean => request.method === 'GET' || request.method === 'HEAD';

/** A strong etag: 128 bits of the sha256. */
function etagOf(content: string | Buffer): string {
  return `"${createHash('sha256').update(content).digest('base64url').slice(0, 22)}"`;
}

/** Whether an If-None-Match header names this etag. */
export function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  if (header === etag || header.trim() === '*') return true;
  return header.split(',').some((part) => part.trim().replace(/^W\//, '') === etag);
}

function unknownAddress(request: FastifyRequest, reply: FastifyReply): HaiveError {
  const path = request.url.split('?', 1)[0] ?? '';
  const methods = Object.values(ENDPOINTS as Record<string, Endpoint>)
    .filter((endpoint) => patternOf(endpoint.path).test(path))
    .map((endpoint) => endpoint.method);
  if (methods.length === 0)
    return new HaiveError('NOT_FOUND', `Nothing is at ${path.slice(0, 200)}`, {
      hint: 'Check the path against /openapi.json.',
    });
  const allowed = [...new Set(methods.flatMap((m) => (m === 'GET' ? ['GET', 'HEAD'] : [m])))];
  reply.header('allow', allowed.join(', '));
  return new HaiveError(
    'METHOD_NOT_ALLOWED',
    `${request.method} is not for ${path.slice(0, 200)}, ${allowed.join(', ')} is`,
  );
}

function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replace(/[.]/g, '\\.').replace(/\{\w+\}/g, '[^/]+')}/?$`);
}

/** Answers with an error; what is not ours is logged, and shown as INTERNAL. */
export function sendProblem(
  parts: Pick<RouterParts, 'hub'>,
  thrown: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const error = fromFastify(thrown);
  if (error.code === 'INTERNAL') parts.hub.log.error({ request_id: request.id, error: error.cause ?? error }, 'defect');
  if (error.http === 401) reply.header('www-authenticate', 'Bearer');
  const wait = error.details?.retry_after_s;
  if (typeof wait === 'number') reply.header('retry-after', String(wait));
  if (error.code === 'SHUTTING_DOWN') reply.header('retry-after', '2');
  (request as { errorCode?: string }).errorCode = error.code;
  // What the caller still sends is thrown away, but not for ever.
  if (!request.raw.complete) {
    reply.header('connection', 'close');
    request.raw.resume();
    const { socket } = request.raw;
    setTimeout(() => socket.destroy(), 10_000).unref();
  }
  reply.header(PROTOCOL_HEADER, String(PROTOCOL));
  reply.removeHeader('etag').removeHeader('content-length').header('x-request-id', request.id);
  return reply
    .code(error.http)
    .type(PROBLEM_TYPE)
    .send(Buffer.from(JSON.stringify(problemOf(error, request.id))));
}

function fromFastify(thrown: unknown): HaiveError {
  const { code, message } = thrown as { code?: unknown; message?: string };
  if (thrown instanceof HaiveError || typeof code !== 'string') return toHaiveError(thrown);
  if (code === 'FST_ERR_BAD_URL' || code === 'FST_ERR_MAX_PARAM_LENGTH') {
    return new HaiveError('BAD_REQUEST', 'The address is not well-formed');
  }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new HaiveError('BODY_TOO_LARGE', 'The body is too large');
  if (code.startsWith('FST_ERR_CTP_')) return new HaiveError('BODY_INVALID', message ?? 'The body cannot be read');
  return toHaiveError(thrown);
}

function account(parts: RouterParts, request: FastifyRequest, reply: FastifyReply): void {
  const route = request.routeOptions.url ?? 'unknown';
  const ms = reply.elapsedTime;
  parts.metrics.request(route, request.method, reply.statusCode, ms / 1000);
  const { principal, errorCode } = request as { principal?: Principal; errorCode?: string };
  parts.hub.log.info(
    {
      request_id: request.id,
      method: request.method,
      path: request.url.split('?', 1)[0],
      status: reply.statusCode,
      ms: Math.round(ms * 100) / 100,
      address: request.ip,
      ...(principal === undefined ? {} : { token: principal.tokenId }),
      ...(principal?.machineId ? { machine: principal.machineId } : {}),
      ...(errorCode === undefined ? {} : { code: errorCode }),
    },
    'request',
  );
}

/** The caller's own request id where it is harmless, else a new one. */
export function requestIdOf(headers: Record<string, string | string[] | undefined>): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && /^[\w.-]{1,64}$/.test(given) ? given : randomUUID();
}
