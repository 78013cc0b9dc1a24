import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ClientEnvironment } from '../client/context.ts';
import { proxiesIn } from '../domain/proxy.ts';

/** The only reader of process.env on the machine's side: CLI, MCP server and hook share it. */
export interface Environment extends ClientEnvironment {
  /** NODE_EXTRA_CA_CERTS: read by Node itself at its start. */
  extraCaFile?: string | undefined;
  /** CLAUDE_PLUGIN_DATA: a folder that survives updates of the plugin. */
  pluginData: string | undefined;
  /** CLAUDE_PLUGIN_ROOT: the folder of the plugin that runs us. */
  pluginRoot: string | undefined;
  /** True when NO_COLOR is set or the terminal is dumb. */
  noColor: boolean;
  /** Set by Claude Code in hooks. */
  projectDir: string | undefined;
  /** systemd or launchd started this very process, and starts it again when it ends. */
  isService: boolean;
}

const set = (value: string | undefined): string | undefined =>
  // An unset `${user_config.x}` arrives as the empty string, and an unknown one as its own text.
  value === undefined || value.trim() === '' || value.startsWith('${') ? undefined : value.trim();

/**
 * Reads what the environment says.
 * @param env usually process.env
 */
function readEnvironment(env: Record<string, string | undefined>): Environment {
  const home = set(env.HOME) ?? set(env.USERPROFILE) ?? homedir();
  return {
    home,
    claudeConfigDir: set(env.CLAUDE_CONFIG_DIR),
    haivemindHome: set(env.HAIVEMIND_HOME) ?? join(home, '.haivemind'),
    hubUrl: set(env.HAIVEMIND_HUB_URL) ?? set(env.CLAUDE_PLUGIN_OPTION_HUB_URL),
    token: set(env.HAIVEMIND_TOKEN) ?? set(env.CLAUDE_PLUGIN_OPTION_TOKEN),
    caFile: set(env.HAIVEMIND_CA_FILE),
    proxies: proxiesIn(env),
    path: env.PATH ?? '',
    extraCaFile: set(env.NODE_EXTRA_CA_CERTS),
    pluginData: set(env.CLAUDE_PLUGIN_DATA),
    pluginRoot: set(env.CLAUDE_PLUGIN_ROOT),
    noColor: (env.NO_COLOR ?? '') !== '' || env.TERM === 'dumb',
    projectDir: set(env.CLAUDE_PROJECT_DIR),
    isService: env.SYSTEMD_EXEC_PID === String(process.pid) || env.XPC_SERVICE_NAME === 'dev.haivemind.agent',
  };
}

/** What the launcher of confined programs needs to know, and `all` that it was given itself. */
export function launcherEnvironment() {
  const env = processEnvironment();
  return {
    ...env,
    haivemindHome: env.haivemindHome ?? join(env.home, '.haivemind'),
    claudeDir: env.claudeConfigDir ?? join(env.home, '.claude'),
    all: { ...process.env },
  };
}

/** Lets this process, and what it confines, put temporary files into a folder. */
export function useTemporaryFolder(path: string): void {
  process.env.TMPDIR = path;
  // What the sandbox's own package gives to programs.
  process.env.CLAUDE_CODE_TMPDIR = path;
}

/** By these a hook of git points every git below it to its repository, also for writing. */
const OF_A_GIT_HOOK = [
  ...['GIT_DIR', 'GIT_WORK_TREE', 'GIT_INDEX_FILE', 'GIT_OBJECT_DIRECTORY', 'GIT_ALTERNATE_OBJECT_DIRECTORIES'],
  ...['GIT_COMMON_DIR', 'GIT_SHALLOW_FILE', 'GIT_NAMESPACE', 'GIT_PREFIX'],
];

/** Lets the git that this process starts forget the repository whose hook started this process. */
export function leaveGitHook(): void {
  for (const name of OF_A_GIT_HOOK) delete process.env[name];
}

/** What this process was started with. */
export function processEnvironment(): Environment {
  return readEnvironment(process.env);
}
