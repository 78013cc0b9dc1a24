/** Names that Claude Code 2.1 knows: what is not here, it ignores. */

export const TOOLS = [
  'Agent',
  'AskUserQuestion',
  'Bash',
  'BashOutput',
  'Edit',
  'EnterPlanMode',
  'ExitPlanMode',
  'Glob',
  'Grep',
  'KillShell',
  'LS',
  'LSP',
  'ListMcpResourcesTool',
  'Monitor',
  'MultiEdit',
  'NotebookEdit',
  'NotebookRead',
  'PowerShell',
  'Read',
  'ReadMcpResourceTool',
  'SendMessage',
  'Skill',
  'SlashCommand',
  'Task',
  'TaskCreate',
  'TaskGet',
  'TaskList',
  'TaskOutput',
  'TaskStop',
  'TaskUpdate',
  'TodoRead',
  'TodoWrite',
  'ToolSearch',
  'WebFetch',
  'WebSearch',
  'Write',
] as const;

export const HOOK_EVENTS = [
  'PreToolUse',
  'PostToolUse',
  'PostToolUseFailure',
  'PostToolBatch',
  'Notification',
  'UserPromptSubmit',
  'UserPromptExpansion',
  'SessionStart',
  'SessionEnd',
  'Stop',
  'StopFailure',
  'SubagentStart',
  'SubagentStop',
  'PreCompact',
  'PostCompact',
  'PreModelSwitch',
  'PostModelSwitch',
  'PermissionRequest',
  'PermissionDenied',
  'Setup',
  'TeammateIdle',
  'TaskCreated',
  'TaskCompleted',
  'Elicitation',
  'ElicitationResult',
  'ConfigChange',
  'WorktreeCreate',
  'WorktreeRemove',
  'InstructionsLoaded',
  'CwdChanged',
  'FileChanged',
  'DirectoryAdded',
  'MessageDisplay',
] as const;

/** Events whose matcher is a tool's name and whose handlers may carry `if`. */
export const TOOL_EVENTS = [
  'PreToolUse',
  'PostToolUse',
  'PostToolUseFailure',
  'PermissionRequest',
  'PermissionDenied',
] as const;

/** Events where one entry that cannot be loaded makes the client refuse the plugin's whole hooks. */
export const GUARD_EVENTS = ['PreToolUse', 'PermissionRequest'] as const;

/** Fields of plugin.json that say where components lie. */
export const COMPONENT_FIELDS = [
  'commands',
  'agents',
  'skills',
  'hooks',
  'mcpServers',
  'lspServers',
  'outputStyles',
  'themes',
  'monitors',
  'workflows',
] as const;

/** Fields of plugin.json that the client reads (`components` and `haivemind` are the collective's own). */
export const MANIFEST_FIELDS = [
  '$schema',
  'name',
  'version',
  'displayName',
  'description',
  'author',
  'homepage',
  'repository',
  'license',
  'icon',
  'keywords',
  'category',
  'tags',
  'dependencies',
  ...COMPONENT_FIELDS,
  'channels',
  'settings',
  'userConfig',
  'experimental',
  'defaultEnabled',
  'metadata',
  'engines',
  'network',
  'types',
  'binaries',
] as const;

/** Fields of the manifest's `haivemind` block. */
export const HAIVEMIND_FIELDS = [
  'machine_groups',
  'required_capabilities',
  'min_haivemind_version',
  'global_commands',
  'use_cases',
  'dependencies',
  'optional_dependencies',
  'permissions',
  'include',
] as const;

/** A name as it appears inside `mcp__plugin_PLUGIN_SERVER__TOOL`. */
export function toolNamePart(name: string): string {
  return name.replace(/[^A-Za-z0-9_-]/g, '_');
}
