import * as z from 'zod';
import type { Headers } from './headers.ts';
import { ROLES, type Role } from './roles.ts';

/**
 * One REST endpoint as data. The hub routes from it, the client calls from it, /openapi.json is written from it.
 * `access` lists the roles that may call; admin may call all; `public` needs no token; `self` in a comment
 * means that a machine's token reaches only its own {machine} (checked by the use case, id `me`).
 */
export interface Endpoint {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  summary: string;
  access: readonly Role[] | 'public';
  query?: z.ZodType;
  /** Those that it reads beside the ones of every call. */
  headers?: Headers;
  /** False for a GET whose reply changes by itself: others carry an etag, and are 304 to whoever has it. */
  etag?: false;
  /** JSON body; `frames` and `bytes` bodies are streamed to the use case. */
  body?: z.ZodType | 'frames';
  /** The fields are the arguments of the tool that does the same: null is one that was not given, and targets are not misnamed. */
  tool?: true;
  reply: z.ZodType | 'frames' | 'bytes' | 'text';
}

/** Whoever has a token, but for one that only joins. */
export const ANY: readonly Role[] = ROLES.filter((r) => r !== 'join');

/** The reply of what has nothing to say but that it is done. */
export const Done = z.object({ ok: z.literal(true) });
