// One session of the real client, run to its end and read back as data.
import { runProcess } from '../../support/run-process.ts';
import type { TempHome } from '../../support/temp-home.ts';
import { claudeBinary } from './claude-binary.ts';
import type { ScriptedModel } from './scripted-model.ts';

export interface InitEvent {
  /** Those the client brings itself (path "builtin") are left out. */
  plugins: { name: string; path: string; source?: string }[];
  slash_commands: string[];
  agents: string[];
  skills: string[];
  tools: string[];
  mcp_servers: { name: string; status: string }[];
}
export interface HookRun {
  event: string;
  name: string;
  stdout: string;
  stderr: string;
  output: string;
  exitCode: number | null;
}
export interface ToolUse {
  id: string;
  name: string;
  input: Record<string, unknown>;
}
export interface ToolResult {
  id: string;
  isError: boolean;
  text: string;
}
export interface SessionEvents {
  init: InitEvent;
  hooks: HookRun[];
  toolUses: ToolUse[];
  toolResults: ToolResult[];
  /** What the client says of the whole session. */
  result: { subtype: string; is_error: boolean; result?: string; permission_denials?: { tool_name: string }[] };
  all: Record<string, unknown>[];
  stderr: string;
  code: number | null;
}

export interface SessionOptions {
  model: ScriptedModel;
  prompt: string;
  extraArgs?: string[];
  env?: Record<string, string>;
  cwd?: string;
  /** Milliseconds. Default 60 000. */
  timeoutMs?: number;
}

/** Environment the real client runs in: the HOME given and nothing of the developer's. */
export function clientEnv(home: TempHome, extra: Record<string, string> = {}): Record<string, string> {
  return home.env({ DISABLE_AUTOUPDATER: '1', CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1', ...extra });
}

/** Runs `claude -p PROMPT` in `home` against the scripted model. Rejects when it prints no init or no result event. */
export async function runSession(home: TempHome, options: SessionOptions): Promise<SessionEvents> {
  const args = ['-p', options.prompt, '--output-format', 'stream-json', '--verbose', '--include-hook-events'];
  const run = await runProcess(await claudeBinary(), [...args, ...(options.extraArgs ?? [])], {
    cwd: options.cwd ?? home.project,
    env: clientEnv(home, {
      ANTHROPIC_BASE_URL: options.model.url,
      ANTHROPIC_API_KEY: 'sk-ant-api03-not-a-real-key',
      ...options.env,
    }),
    timeoutMs: options.timeoutMs ?? 60_000,
  });
  const all = run.stdout
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const printed = all.find((event) => event.type === 'system' && event.subtype === 'init');
  const result = all.findLast((event) => event.type === 'result');
  if (!printed || !result) {
    throw new Error(
      `the session printed no ${printed ? 'result' : 'init'} event (exit ${run.code})\n${run.stdout.slice(0, 4000)}\n${run.stderr.slice(0, 4000)}`,
    );
  }
  const init = printed as unknown as InitEvent;
  const blocks = all.flatMap(contentBlocks);
  return {
    init: { ...init, plugins: init.plugins.filter((plugin) => plugin.path !== 'builtin') },
    hooks: all.filter((event) => event.type === 'system' && event.subtype === 'hook_response').map(hookRun),
    toolUses: blocks
      .filter((block) => block.type === 'tool_use')
      .map((block) => ({ id: String(block.id), name: String(block.name), input: block.input as ToolUse['input'] })),
    toolResults: blocks
      .filter((block) => block.type === 'tool_result')
      .map((block) => ({
        id: String(block.tool_use_id),
        isError: block.is_error === true,
        text: textOf(block.content),
      })),
    result: result as unknown as SessionEvents['result'],
    all,
    stderr: run.stderr,
    code: run.code,
  };
}

type Block = Record<string, unknown>;

function contentBlocks(event: Record<string, unknown>): Block[] {
  const message = event.message as { content?: unknown } | undefined;
  return Array.isArray(message?.content) ? (message.content as Block[]) : [];
}

function hookRun(event: Record<string, unknown>): HookRun {
  return {
    event: String(event.hook_event),
    name: String(event.hook_name),
    stdout: String(event.stdout ?? ''),
    stderr: String(event.stderr ?? ''),
    output: String(event.output ?? ''),
    exitCode: typeof event.exit_code === 'number' ? event.exit_code : null,
  };
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part: { text?: string }) => part.text ?? '').join('\n');
}
