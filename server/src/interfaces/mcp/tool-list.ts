import * as z from 'zod';
import { TOOLS } from './tools/index.ts';

/** One row of the answer to tools/list. */
export interface ListedTool {
  [key: string]: unknown;
  name: string;
  title: string;
  description: string;
  inputSchema: { [key: string]: unknown; type: 'object' };
  outputSchema: { [key: string]: unknown; type: 'object' };
  annotations: Record<string, unknown>;
}

/** The answer to tools/list. build.mjs runs this once and puts its result in the bundle. */
export function toolList(): ListedTool[] {
  return Object.entries(TOOLS).map(([name, tool]) => ({
    name,
    title: tool.title,
    description: tool.description,
    inputSchema: jsonSchema(tool.input, 'input'),
    outputSchema: jsonSchema(tool.output, 'output'),
    annotations: { title: tool.title, ...tool.annotations },
  }));
}

function jsonSchema(schema: z.ZodObject, io: 'input' | 'output'): ListedTool['inputSchema'] {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io, target: 'draft-2020-12' });
  return { ...json, type: 'object' };
}
