import * as z from 'zod';
import type { Endpoint } from './endpoint.ts';
import { ROLES } from './roles.ts';

/** The hub itself: whether it lives and serves, what it hands out to everybody, who asks. */

export const HUB_ENDPOINTS = {
  healthz: {
    method: 'GET',
    path: '/healthz',
    summary: 'The process lives',
    access: 'public',
    etag: false,
    reply: z.object({ status: z.literal('ok') }),
  },
  readyz: {
    method: 'GET',
    path: '/readyz',
    summary: 'The hub can serve: database reachable, not draining',
    access: 'public',
    etag: false,
    reply: z.object({ status: z.enum(['ready', 'draining', 'unavailable']) }),
  },
  metrics: {
    method: 'GET',
    path: '/metrics',
    summary: 'Prometheus metrics',
    access: 'public',
    etag: false,
    reply: 'text',
  },
  openapi: {
    method: 'GET',
    path: '/openapi.json',
    summary: 'This API as OpenAPI 3.1',
    access: 'public',
    reply: z.record(z.string(), z.unknown()),
  },
  bundleInfo: {
    method: 'GET',
    path: '/hv.json',
    summary: 'Version and sha256 of the machine bundle',
    access: 'public',
    reply: z.object({ version: z.string(), sha256: z.string(), size: z.number().int(), protocol: z.number().int() }),
  },
  bundle: {
    method: 'GET',
    path: '/hv.mjs',
    summary: 'The machine bundle: `hv` as one JavaScript file',
    access: 'public',
    reply: 'bytes',
  },

  whoami: {
    method: 'GET',
    path: '/api/whoami',
    summary: 'What the token may do, and which hub this is',
    access: ROLES,
    etag: false,
    reply: z.object({
      token: z.object({ id: z.string(), name: z.string(), roles: z.array(z.enum(ROLES)) }),
      machine: z.object({ id: z.string(), name: z.string() }).nullable(),
      hub: z.object({ id: z.string(), public_key: z.string(), epoch: z.number().int(), version: z.string() }),
    }),
  },
} as const satisfies Record<string, Endpoint>;
