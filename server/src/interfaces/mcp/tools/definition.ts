import type * as z from 'zod';

/** One tool as data: what a model reads, and the forms that arguments and results are held to. */
export interface ToolDefinition {
  title: string;
  description: string;
  input: z.ZodObject;
  output: z.ZodObject;
  annotations: { readOnlyHint: boolean; destructiveHint: boolean; idempotentHint: boolean; openWorldHint: boolean };
}

export const reads = { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false };
export const adds = { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false };
export const takesAway = { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false };
