import * as z from 'zod';
import type { JsonObject } from '../json/read.ts';

/** Hook handlers by type, as Claude Code wants their fields; one that is otherwise is not loaded. Further fields are ignored. */

const text = z.string('must be text');
const flag = z.boolean('must be true or false').optional();
const common = {
  if: text.optional(),
  timeout: z.number('must be a number of seconds').positive('must be a number of seconds above 0').optional(),
  statusMessage: text.optional(),
  once: flag,
};
const question = { ...common, prompt: text, model: text.optional() };

export const HANDLERS: Record<string, z.ZodType> = {
  command: z.looseObject({
    ...common,
    command: text,
    args: z.array(text, 'must be a list of text').optional(),
    shell: z.enum(['bash', 'powershell'], 'must be bash or powershell').optional(),
    async: flag,
    asyncRewake: flag,
  }),
  prompt: z.looseObject(question),
  agent: z.looseObject(question),
  http: z.looseObject({
    ...common,
    url: z.string('must be text').refine((url) => URL.canParse(url), 'must be an absolute URL'),
    headers: z.record(text, text, 'must be an object of text').optional(),
    allowedEnvVars: z.array(text, 'must be a list of text').optional(),
  }),
  mcp_tool: z.looseObject({
    ...common,
    server: text,
    tool: text,
    input: z.record(text, z.unknown(), 'must be an object').optional(),
  }),
};

/** What is wrong with a handler's fields: one fault a field. */
export function handlerFaults(schema: z.ZodType, handler: JsonObject): { key: string; message: string }[] {
  const parsed = schema.safeParse(handler);
  if (parsed.success) return [];
  return parsed.error.issues.map((issue) => ({ key: String(issue.path[0] ?? ''), message: issue.message }));
}
