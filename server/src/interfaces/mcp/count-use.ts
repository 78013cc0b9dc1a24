import { openClient } from '../../client/context.ts';
import { countUse, memberOf } from '../../client/report/usage.ts';
import { toHaiveError } from '../../domain/errors.ts';
import type { UseEvent } from '../../domain/use.ts';
import { UsageCounter } from '../../machine/usage.ts';
import type { Environment } from '../environment.ts';
import type { ToolResult } from './call-tool.ts';

let counter: { of: string; counts: UsageCounter } | undefined;

/** Counts what a hook saw. Answers nothing, whatever happens: a session must not notice. */
export async function countUseOf(environment: Environment, args: unknown): Promise<ToolResult> {
  try {
    const ctx = await openClient(environment);
    const member = memberOf(ctx);
    const of = `${member} ${ctx.machine.paths.usage}`;
    if (counter?.of !== of) counter = { of, counts: new UsageCounter(ctx.machine, member) };
    await countUse(ctx, counter.counts, eventOf(args));
  } catch (thrown) {
    process.stderr.write(`haivemind: a use was not counted: ${toHaiveError(thrown).code}\n`);
  }
  return { content: [] };
}

function eventOf(args: unknown): UseEvent {
  const given = (args ?? {}) as Record<string, unknown>;
  const text = (key: string) => (typeof given[key] === 'string' ? given[key] : undefined);
  return { command: text('command'), skill: text('skill'), agent: text('agent'), tool: text('tool') };
}
