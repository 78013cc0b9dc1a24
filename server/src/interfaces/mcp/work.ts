/** What the MCP server does once somebody calls a tool or the session stands; loaded then, not at start. */
export { callTool } from './call-tool.ts';
export { countUseOf } from './count-use.ts';
export { attendSession } from './session.ts';
