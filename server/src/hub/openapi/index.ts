import { FRAMES_TEXT, LIVE_TEXT, PROOF_DESCRIPTION } from '../../contract/api-text.ts';
import type { Endpoint } from '../../contract/endpoint.ts';
import { ENDPOINTS, type EndpointName } from '../../contract/endpoints.ts';
import { FRAMES_TYPE } from '../../contract/frames.ts';
import { ClientMessage, LIVE, WS_PATH } from '../../contract/messages.ts';
import { PROTOCOL, PROTOCOL_HEADER } from '../../contract/protocol.ts';
import { HAIVEMIND_VERSION } from '../../contract/version.ts';
import { ERRORS } from '../../domain/errors.ts';
import { PROOF_HEADER } from '../../domain/signing/machine-proof.ts';
import { PROBLEM_TYPE } from '../http/problem.ts';
import {
  header,
  inline,
  type Json,
  NAMED,
  pathParameters,
  queryParameters,
  ref,
  replyContent,
  requestBody,
} from './parts.ts';

/** The whole API as an OpenAPI 3.1 document, written from the contract. */
export function openApiDocument(): Json {
  const paths: Record<string, Json> = {};
  for (const [name, endpoint] of Object.entries(ENDPOINTS) as [EndpointName, Endpoint][]) {
    paths[endpoint.path] ??= {};
    (paths[endpoint.path] as Json)[endpoint.method.toLowerCase()] = operation(name, endpoint);
  }
  paths[WS_PATH] = { get: liveChannel() };
  return {
    openapi: '3.1.0',
    info: {
      title: 'hAIveMind plugin hub',
      version: HAIVEMIND_VERSION,
      description: `Protocol ${PROTOCOL}; both sides state theirs in the header \`${PROTOCOL_HEADER}\`. Errors are RFC 9457 problems with a stable \`code\`.`,
    },
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer', bearerFormat: 'hvt_…' } },
      schemas: {
        ...Object.fromEntries(Object.entries(NAMED).map(([name, schema]) => [name, inline(schema, 'output')])),
        ClientMessage: inline(ClientMessage, 'input'),
        Frames: { type: 'string', contentMediaType: FRAMES_TYPE, description: FRAMES_TEXT },
        ErrorCode: { type: 'string', enum: Object.keys(ERRORS) },
      },
      parameters: {
        Proof: header(PROOF_HEADER, PROOF_DESCRIPTION),
        IfNoneMatch: header(
          'if-none-match',
          'Etags of answers that the caller has: 304 where one of them still holds.',
        ),
      },
      responses: {
        NotModified: { description: 'What If-None-Match names is still the answer.' },
        Problem: {
          description: 'An error; `code` is stable.',
          content: { [PROBLEM_TYPE]: { schema: ref('Problem') } },
        },
      },
    },
  };
}

function operation(name: EndpointName, endpoint: Endpoint): Json {
  const { access, path, query, headers = {}, body, reply } = endpoint;
  const unchanged = endpoint.method === 'GET' && endpoint.etag !== false;
  const parameters = [
    ...pathParameters(path),
    ...queryParameters(query),
    ...Object.entries(headers).map(([key, description]) => header(key, description)),
    ...(mayBeMachine(access) ? [{ $ref: '#/components/parameters/Proof' }] : []),
    ...(unchanged ? [{ $ref: '#/components/parameters/IfNoneMatch' }] : []),
  ];
  return {
    operationId: name,
    summary: endpoint.summary,
    ...whoMay(access),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body === undefined ? {} : { requestBody: requestBody(name, body) }),
    responses: {
      200: { description: 'Done.', content: replyContent(name, reply) },
      ...(headers['a-im'] === undefined
        ? {}
        : { 226: { description: 'Differences, as a-im asked for.', content: replyContent(name, reply) } }),
      ...(unchanged ? { 304: { $ref: '#/components/responses/NotModified' } } : {}),
      default: { $ref: '#/components/responses/Problem' },
    },
  };
}

function liveChannel(): Json {
  return {
    operationId: 'live',
    summary: LIVE.summary,
    description: LIVE_TEXT,
    ...whoMay(LIVE.access),
    parameters: [{ $ref: '#/components/parameters/Proof' }],
    responses: {
      101: { description: 'It is a WebSocket from here on.' },
      default: { $ref: '#/components/responses/Problem' },
    },
    'x-websocket': { sends: ref('ClientMessage'), receives: ref('ServerMessage') },
  };
}

const whoMay = (access: Endpoint['access']): Json =>
  access === 'public'
    ? { security: [] }
    : { security: [{ token: [] }], 'x-roles': ['admin', ...access.filter((r) => r !== 'admin')] };

const mayBeMachine = (access: Endpoint['access']): boolean =>
  access !== 'public' && (access.includes('machine') || access.includes('join'));
