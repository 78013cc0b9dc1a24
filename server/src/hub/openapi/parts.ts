import * as z from 'zod';
import { FRAMES_OF } from '../../contract/api-text.ts';
import type { Endpoint } from '../../contract/endpoint.ts';
import { ENDPOINTS, type EndpointName } from '../../contract/endpoints.ts';
import { FRAMES_TYPE } from '../../contract/frames.ts';
import { ServerMessage } from '../../contract/messages.ts';
import * as s from '../../contract/schemas.ts';
import { RecordForm } from '../registry/record-form.ts';

/** Parts of an OpenAPI document, each from a piece of the contract. */
export type Json = Record<string, unknown>;

/** Schemas that the document names once. */
export const NAMED: Record<string, z.ZodType> = {
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
  VersionRecord: RecordForm,
  ServerMessage,
};

/** One header as a parameter. */
export const header = (name: string, description: string): Json => ({
  name,
  in: 'header',
  required: false,
  description,
  schema: { type: 'string' },
});

export function pathParameters(path: string): Json[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

export function queryParameters(query: z.ZodType | undefined): Json[] {
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

export function requestBody(name: EndpointName, body: z.ZodType | 'frames'): Json {
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
      ...framesOf(name),
      'application/json': { schema: archive },
      'application/zip': { schema: { type: 'string', format: 'binary' } },
    },
  };
}

export function replyContent(name: EndpointName, reply: Endpoint['reply']): Json {
  if (reply === 'frames') return framesOf(name);
  if (reply === 'bytes') return { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } };
  if (reply === 'text') return { 'text/plain': { schema: { type: 'string' } } };
  return {
    'application/json': { schema: schemaOf(reply, 'output') },
    ...(takesFrames(name) ? {} : framesOf(name)),
  };
}

const takesFrames = (name: EndpointName): boolean => (ENDPOINTS[name] as Endpoint).body === 'frames';

function framesOf(name: EndpointName): Json {
  const description = FRAMES_OF[name];
  return description === undefined ? {} : { [FRAMES_TYPE]: { schema: { ...ref('Frames'), description } } };
}

export const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const named = Object.entries(NAMED).find(([, known]) => known === schema);
  return named === undefined ? inline(schema, io) : ref(named[0]);
}

export function inline(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Json;
  return rest;
}
