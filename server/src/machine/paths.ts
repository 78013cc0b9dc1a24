import { join, resolve, sep } from 'node:path';

/** The one list of every path this machine's side reads or writes. */
export interface MachinePaths {
  home: string;
  /** `~/.claude`, or what CLAUDE_CONFIG_DIR says. */
  claudeDir: string;
  settings: string;
  /** The client's own state, which also holds the user's MCP servers. */
  claudeJson: string;
  /** The client's own list of installed plugins. */
  installedPlugins: string;
  /** Where the client notes the marketplaces it has seen. */
  knownMarketplaces: string;
  /** Where links named after plugins lie (`install_path`, by default `~/.claude/plugins`). */
  pluginsDir: string;
  /** All that is ours: also the folder of the directory marketplace `collective`. */
  root: string;
  /** The pointer to what is live. */
  marketplace: string;
  blobs: string;
  records: string;
  versions: string;
  overlays: string;
  /** Trees of revoked versions, and what was revoked. */
  quarantine: string;
  receipts: string;
  journal: string;
  /** What was changed here, a line each; and the file before it. */
  audit: string;
  auditBefore: string;
  lock: string;
  backups: string;
  spool: string;
  /** What was used here: a file for each process that counts, and what the hub was told of them. */
  usage: string;
  leases: string;
  /** The last plan that was accepted, as it came. */
  plan: string;
  /** What the session start hook saw last. */
  seen: string;
  /** Held by the one process that keeps the live channel. */
  liveLock: string;
  /** What the hook's sh reads. */
  live: string;
  /** What other machines said to this one, a file each, for hooks to tell sessions; and the hub's number of that state. */
  inbox: string;
  inboxRevision: string;
  /** Which of it which session was told. */
  told: string;
  /** This machine's private memories, and the lock on them. */
  memories: string;
  memoriesLock: string;
  /** A person's own things that a plugin has replaced; leaving does not take them away. */
  moved: string;
  /** Names the folders above `root` that we made, so that leaving takes them away again. */
  made: string;
  commandsDir: string;
  haivemindHome: string;
  config: string;
  /** Of config.json: one for all folders of the client, each of which has a `lock` of its own. */
  configLock: string;
  trust: string;
  /** What this machine's user allows, and, above that, what its administrator does. */
  policy: string;
  systemPolicy: string;
  keys: string;
  publisherKey: string;
  /** Signs approvals and epochs; only on an operator's machine. */
  operatorKey: string;
  /** This machine's own: its requests to the hub are signed with it. */
  machineKey: string;
  bin: string;
  cache: string;
}

export interface MachineEnvironment {
  home: string;
  claudeConfigDir?: string | undefined;
  haivemindHome?: string | undefined;
  /** The seed's `plugins.install_path`; `~` is the home, `~/.claude` the client's folder wherever that is. */
  installPath?: string | undefined;
}

function expand(path: string, home: string, claudeDir: string): string {
  if (path === '~/.claude' || path.startsWith('~/.claude/')) return join(claudeDir, path.slice('~/.claude'.length));
  return pathFrom(path, home, home);
}

/** A path as people write it, absolute: `~` is the home, what is relative lies in `base`. */
export function pathFrom(path: string, home: string, base: string): string {
  if (path === '~' || path.startsWith('~/') || path.startsWith(`~${sep}`)) return join(home, path.slice(1));
  return resolve(base, path);
}

/** Every path, from the few things the environment decides. Pure; nothing is looked up on disk. */
export function machinePaths(env: MachineEnvironment): MachinePaths {
  const claudeDir = env.claudeConfigDir ? resolve(env.claudeConfigDir) : join(env.home, '.claude');
  const pluginsDir = env.installPath ? expand(env.installPath, env.home, claudeDir) : join(claudeDir, 'plugins');
  const root = join(pluginsDir, '.haivemind');
  const haivemindHome = env.haivemindHome ? resolve(env.haivemindHome) : join(env.home, '.haivemind');
  return {
    home: env.home,
    claudeDir,
    settings: join(claudeDir, 'settings.json'),
    claudeJson: join(env.claudeConfigDir ? claudeDir : env.home, '.claude.json'),
    installedPlugins: join(claudeDir, 'plugins', 'installed_plugins.json'),
    knownMarketplaces: join(claudeDir, 'plugins', 'known_marketplaces.json'),
    pluginsDir,
    root,
    marketplace: join(root, '.claude-plugin', 'marketplace.json'),
    blobs: join(root, 'blobs'),
    records: join(root, 'records'),
    versions: join(root, 'versions'),
    overlays: join(root, 'overlays'),
    quarantine: join(root, 'quarantine'),
    receipts: join(root, 'receipts.json'),
    journal: join(root, 'journal.json'),
    audit: join(root, 'audit.jsonl'),
    auditBefore: join(root, 'audit-before.jsonl'),
    lock: join(root, 'lock'),
    backups: join(root, 'backups'),
    spool: join(root, 'spool'),
    usage: join(root, 'usage'),
    leases: join(root, 'leases'),
    plan: join(root, 'plan.json'),
    seen: join(root, 'hook.json'),
    liveLock: join(root, 'live-lock'),
    live: join(root, 'live'),
    inbox: join(root, 'inbox'),
    inboxRevision: join(root, 'inbox-revision'),
    told: join(root, 'told'),
    memories: join(haivemindHome, 'memories.json'),
    memoriesLock: join(root, 'memories-lock'),
    moved: join(haivemindHome, 'moved'),
    made: join(root, 'made.json'),
    commandsDir: join(claudeDir, 'commands'),
    haivemindHome,
    config: join(haivemindHome, 'config.json'),
    configLock: join(haivemindHome, 'lock'),
    trust: join(haivemindHome, 'trust.json'),
    policy: join(haivemindHome, 'policy.json'),
    systemPolicy: '/etc/haivemind/policy.json',
    keys: join(haivemindHome, 'keys'),
    publisherKey: join(haivemindHome, 'keys', 'publisher.pem'),
    operatorKey: join(haivemindHome, 'keys', 'operator.pem'),
    machineKey: join(haivemindHome, 'keys', 'machine.pem'),
    bin: join(haivemindHome, 'bin'),
    cache: join(haivemindHome, 'cache'),
  };
}
