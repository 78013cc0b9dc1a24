import * as z from 'zod';
import { formatError, HaiveError, toHaiveError } from '../../domain/errors.ts';
import { didYouMean } from '../../domain/validate/suggest.ts';
import type { Environment } from '../environment.ts';
import { HANDLERS } from './handlers.ts';
import { TOOLS, type ToolInput, type ToolName, type ToolOutput } from './tools/index.ts';

/** What a tool call may use. */
export interface CallContext {
  environment: Environment;
  /** Aborts when the client takes the call back. */
  signal: AbortSignal;
  onProgress: (message: string) => void;
}

export interface ToolResult {
  content: { type: 'text'; text: string }[];
  structuredContent?: Record<string, unknown>;
  isError?: boolean;
}

/** What a handler answers: a text for the model to read, and the same as data. */
export interface Answer<N extends ToolName> {
  text: string;
  data: ToolOutput<N>;
}

export type Handlers = {
  [N in ToolName]: (input: ToolInput<N>, context: CallContext) => Promise<Answer<N>>;
};

/** Runs one tool. Never throws: an error is a result with `isError` and the text `CODE: message. hint`. */
export async function callTool(name: string, args: unknown, context: CallContext): Promise<ToolResult> {
  try {
    if (!Object.hasOwn(TOOLS, name)) {
      throw new HaiveError('USAGE', `There is no tool ${name}`, {
        hint: `${didYouMean(name, Object.keys(TOOLS))} The tools are ${Object.keys(TOOLS).join(', ')}.`.trim(),
      });
    }
    return await run(name as ToolName, args, context);
  } catch (thrown) {
    const error = toHaiveError(thrown);
    if (error.code === 'INTERNAL') process.stderr.write(`haivemind: ${name}: ${String(error.cause)}\n`);
    return { isError: true, content: [{ type: 'text', text: formatError(error) }] };
  }
}

async function run<N extends ToolName>(name: N, args: unknown, context: CallContext): Promise<ToolResult> {
  // Models write null for "not given".
  const given = Object.fromEntries(Object.entries(args as object).filter(([, value]) => value !== null));
  const parsed = z.strictObject(TOOLS[name].input.shape).safeParse(given);
  if (!parsed.success) throw badArguments(name, parsed.error);
  const answer = await HANDLERS[name](parsed.data as ToolInput<N>, context);
  const structured = TOOLS[name].output.parse(answer.data);
  return { content: [{ type: 'text', text: answer.text }], structuredContent: structured };
}

function badArguments(name: ToolName, error: z.ZodError): HaiveError {
  const wrong = error.issues.map((issue) => `${issue.path.join('.') || 'arguments'}: ${issue.message}`).join('; ');
  return new HaiveError('BAD_REQUEST', `${name} was called with wrong arguments (${wrong})`, {
    hint: `It takes ${Object.keys(TOOLS[name].input.shape).join(', ')}.`,
  });
}
