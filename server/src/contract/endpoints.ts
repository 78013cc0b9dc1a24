import type * as z from 'zod';
import { ADMIN_ENDPOINTS } from './admin-endpoints.ts';
import { COLLECTIVE_ENDPOINTS } from './collective-endpoints.ts';
import type { Endpoint } from './endpoint.ts';
import { HUB_ENDPOINTS } from './hub-endpoints.ts';
import { MACHINE_ENDPOINTS } from './machine-endpoints.ts';
import { RECOMMEND_ENDPOINTS } from './recommend-endpoints.ts';
import { REGISTRY_ENDPOINTS } from './registry-endpoints.ts';
import { TRUST_ENDPOINTS } from './trust-endpoints.ts';
import { USAGE_ENDPOINTS } from './usage-endpoints.ts';

/** Every REST endpoint of the hub, by the name of its use case. */
export const ENDPOINTS = {
  ...HUB_ENDPOINTS,
  ...REGISTRY_ENDPOINTS,
  ...MACHINE_ENDPOINTS,
  ...ADMIN_ENDPOINTS,
  ...TRUST_ENDPOINTS,
  ...COLLECTIVE_ENDPOINTS,
  ...USAGE_ENDPOINTS,
  ...RECOMMEND_ENDPOINTS,
} as const satisfies Record<string, Endpoint>;

export type EndpointName = keyof typeof ENDPOINTS;
type Def<N extends EndpointName> = (typeof ENDPOINTS)[N];

/** What a caller may write (defaults optional) and what the use case receives (defaults filled). */
export type BodyIn<N extends EndpointName> =
  Def<N> extends { body: infer B extends z.ZodType } ? z.input<B> : undefined;
export type Body<N extends EndpointName> = Def<N> extends { body: infer B extends z.ZodType } ? z.output<B> : undefined;
export type QueryIn<N extends EndpointName> =
  Def<N> extends { query: infer Q extends z.ZodType } ? z.input<Q> : undefined;
export type Query<N extends EndpointName> =
  Def<N> extends { query: infer Q extends z.ZodType } ? z.output<Q> : undefined;
export type Reply<N extends EndpointName> = Def<N>['reply'] extends z.ZodType ? z.output<Def<N>['reply']> : Buffer;
