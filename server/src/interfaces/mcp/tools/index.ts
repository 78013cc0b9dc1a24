import type * as z from 'zod';
import { COLLECTIVE_TOOLS } from './collective.ts';
import type { ToolDefinition } from './definition.ts';
import { DISCOVERY_TOOLS } from './discovery.ts';
import { INSTALLATION_TOOLS } from './installation.ts';
import { PUBLISHING_TOOLS } from './publishing.ts';
import { STATUS_TOOLS } from './status.ts';

/** All tools, in the order in which a model is told of them. No code runs here; call-tool.ts joins each name to its use case. */
export const TOOLS = {
  ...DISCOVERY_TOOLS,
  ...STATUS_TOOLS,
  ...INSTALLATION_TOOLS,
  ...PUBLISHING_TOOLS,
  ...COLLECTIVE_TOOLS,
} as const satisfies Record<string, ToolDefinition>;

export type ToolName = keyof typeof TOOLS;
export type ToolInput<N extends ToolName> = z.output<(typeof TOOLS)[N]['input']>;
export type ToolOutput<N extends ToolName> = z.input<(typeof TOOLS)[N]['output']>;
