import * as z from 'zod';
import type { Endpoint } from '../contract/endpoint.ts';
import { ENDPOINTS } from '../contract/endpoints.ts';
import { FRAMES_TYPE } from '../contract/frames.ts';
import { PROTOCOL, PROTOCOL_HEADER } from '../contract/protocol.ts';
import * as s from '../contract/schemas.ts';
import { HAIVEMIND_VERSION } from '../contract/version.ts';
import { ERRORS } from '../domain/errors.ts';
import { PROBLEM_TYPE } from './problem.ts';

type Json = Record<string, unknown>;

const NAMED: Record<string, z.ZodType> = {
  Problem: s.Problem,
  PluginSummary: s.PluginSummary,
  PluginDetails: s.PluginDetails,
  Registered: s.Registered,
  Published: s.Published,
  Machine: s.Machine,
  MachineDetails: s.MachineDetails,
  Joined: s.Joined,
  Envelope: s.Envelope,
  StatusReport: s.StatusReport,
};

/** The whole API as an OpenAPI 3.1 document, written from the contract. */
export function openApiDocument(): Json {
  const paths: Record<string, Json> = {};
  for (const [name, endpoint] of Object.entries(ENDPOINTS) as [string, Endpoint][]) {
    paths[endpoint.path] ??= {};
    (paths[endpoint.path] as Json)[endpoint.method.toLowerCase()] = operation(name, endpoint);
  }
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
        ErrorCode: { type: 'string', enum: Object.keys(ERRORS) },
      },
      responses: {
        Problem: {
          description: 'An error; `code` is stable.',
          content: { [PROBLEM_TYPE]: { schema: ref('Problem') } },
        },
      },
    },
  };
}

function operation(name: string, endpoint: Endpoint): Json {
  const parameters = [...pathParameters(endpoint.path), ...queryParameters(endpoint.query)];
  return {
    operationId: name,
    summary: endpoint.summary,
    ...(endpoint.access === 'public'
      ? { security: [] }
      : { security: [{ token: [] }], 'x-roles': ['admin', ...endpoint.access.filter((r) => r !== 'admin')] }),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(endpoint.body === undefined ? {} : { requestBody: requestBody(endpoint.body) }),
    responses: {
      200: { description: 'Done.', content: replyContent(endpoint.reply) },
      ...(name === 'plan' ? { 304: { description: 'Nothing changed since the plan that If-None-Match names.' } } : {}),
      default: { $ref: '#/components/responses/Problem' },
    },
  };
}

function pathParameters(path: string): Json[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

function queryParameters(query: z.ZodType | undefined): Json[] {
  if (query === undefined) return [];
  const schema = inline(query, 'input') as { properties?: Record<string, Json>; required?: string[] };
  return Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const { description, ...rest } = property;
    return {
      name,
      in: 'query',
      required: schema.required?.includes(name) ?? false,
      ...(description === undefined ? {} : { description }),
      schema: rest,
    };
  });
}

function requestBody(body: z.ZodType | 'frames'): Json {
  if (body !== 'frames') {
    return { required: true, content: { 'application/json': { schema: schemaOf(body, 'input') } } };
  }
  const archive = {
    type: 'object',
    properties: {
      plugin_archive: { type: 'string', contentEncoding: 'base64', contentMediaType: 'application/zip' },
      plugin_url: { type: 'string', format: 'uri' },
    },
  };
  return {
    required: true,
    content: {
      [FRAMES_TYPE]: { schema: { type: 'string', format: 'binary' } },
      'application/json': { schema: archive },
      'application/zip': { schema: { type: 'string', format: 'binary' } },
    },
  };
}

function replyContent(reply: Endpoint['reply']): Json {
  if (reply === 'frames') return { [FRAMES_TYPE]: { schema: { type: 'string', format: 'binary' } } };
  if (reply === 'bytes') return { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } };
  if (reply === 'text') return { 'text/plain': { schema: { type: 'string' } } };
  return { 'application/json': { schema: schemaOf(reply, 'output') } };
}

const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const named = Object.entries(NAMED).find(([, known]) => known === schema);
  return named === undefined ? inline(schema, io) : ref(named[0]);
}

function inline(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Json;
  return rest;
}
