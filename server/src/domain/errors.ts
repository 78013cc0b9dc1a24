/**
 * The one error class and the one table of codes. A thrown error that is not a HaiveError is a bug:
 * interfaces show it as INTERNAL without its insides. docs/errors.md is written from this table.
 */

export interface ErrorRow {
  /** HTTP status the hub answers with. */
  http: number;
  /** Exit status of the CLI (sysexits where one fits). */
  exit: number;
  /** One sentence for docs/errors.md: when it happens. */
  means: string;
  /** What to do about it, shown unless the thrower knows better. */
  hint: string;
}

const row = (http: number, exit: number, means: string, hint: string): ErrorRow => ({ http, exit, means, hint });

export const ERRORS = {
  INTERNAL: row(500, 70, 'A defect in hAIveMind itself.', 'Look in the log for the request id and report it.'),
  USAGE: row(400, 64, 'A command was called with words it does not know.', 'Run the command with --help.'),
  BAD_REQUEST: row(
    400,
    64,
    'A field of a request is missing or has the wrong form.',
    'See /openapi.json for the form.',
  ),
  BODY_INVALID: row(400, 65, 'A body is not what its content type says.', 'Send the declared format, complete.'),
  BODY_TOO_LARGE: row(413, 65, 'A body is over the limit.', 'Send less at once, or raise the limit on the hub.'),
  UNAUTHENTICATED: row(401, 77, 'No token was sent.', 'Set HAIVEMIND_TOKEN or run `hv login URL --token T`.'),
  TOKEN_INVALID: row(
    401,
    77,
    'The token is unknown, expired or revoked.',
    'Ask an admin for a new token; where none is left, `hv hub token create NAME --roles admin` on the host of the hub makes one. A machine gets its own by joining: an operator runs `hv machines remove NAME` where it is still listed, then run `hv join URL --token T` on it.',
  ),
  PROOF_REQUIRED: row(
    401,
    77,
    "The request is not signed with the machine's own key; its token alone is not enough.",
    'Copy the whole HOME, or run `hv machines remove` for it as an operator and join again.',
  ),
  PROOF_INVALID: row(
    401,
    77,
    "The signature with the machine's own key does not hold, or is of another time.",
    'Is the clock right? If the key is lost, run `hv machines remove` for it as an operator and join again.',
  ),
  FORBIDDEN: row(
    403,
    77,
    'The token is valid but its roles do not allow this.',
    'Use a token that may do it: `hv token create` makes one for an admin.',
  ),
  NOT_FOUND: row(404, 66, 'What was named is not there.', 'Check the path or address that the message names.'),
  PLUGIN_NOT_FOUND: row(404, 66, 'No plugin has this name or id.', 'Run `hv list` or `hv search WORDS`.'),
  VERSION_NOT_FOUND: row(404, 66, 'The plugin exists, but no version fits.', 'Run `hv info NAME` for its versions.'),
  KEY_NOT_FOUND: row(404, 66, 'No publisher has used this key.', 'Run `hv trust keys`.'),
  MACHINE_NOT_FOUND: row(404, 66, 'No machine has this name or id.', 'Run `hv machines`.'),
  BLOB_NOT_FOUND: row(404, 66, 'The hub holds no such blob, or the token may not read it.', 'Ask for the plan again.'),
  TOKEN_NOT_FOUND: row(404, 66, 'No token has this id.', 'Run `hv token list`.'),
  MEMORY_NOT_FOUND: row(
    404,
    66,
    'No memory that the caller may read has this id.',
    'Search again: it may have been forgotten or have expired.',
  ),
  MEMORY_STAYS_HERE: row(
    422,
    65,
    'A memory that is internal, confidential or pii was to leave the machine.',
    'Store it with visibility private, or without what must not leave this machine.',
  ),
  TASK_NOT_FOUND: row(
    404,
    66,
    'No task that the caller may see has this id.',
    'Run `hv tasks`, or `list_tasks` in a session.',
  ),
  TASK_TAKEN: row(409, 69, 'The task is not open any more.', 'List the tasks again and take another one.'),
  TASK_NOT_YOURS: row(
    409,
    69,
    'The claim that is spoken of does not hold: it ended, or another machine has it.',
    'Stop working on it, and list the tasks again.',
  ),
  METHOD_NOT_ALLOWED: row(405, 64, 'The address exists, but not with this method.', 'See /openapi.json.'),
  TIMEOUT: row(408, 75, 'The other side took too long.', 'Try again; check the network.'),
  VERSION_EXISTS: row(
    409,
    65,
    'This name and version is registered with other bytes, or by somebody else who has not published it.',
    'Raise the version in plugin.json.',
  ),
  VERSION_DELETED: row(
    409,
    65,
    'This name and version was deleted and cannot be used again.',
    'Raise the version in plugin.json.',
  ),
  ID_MISMATCH: row(
    400,
    64,
    'One version is named, and the parameters name another or another is installed.',
    'Give the id or the version, not both.',
  ),
  NAME_TAKEN: row(409, 65, 'Another machine already has this name.', 'Choose another name with --name.'),
  BLOB_MISSING: row(
    409,
    65,
    'A version names bytes that the hub was never sent.',
    'Publish again; it sends what is missing.',
  ),
  MANIFEST_MISSING: row(422, 65, 'There is no .claude-plugin/plugin.json.', 'Run `hv create NAME` for a start.'),
  MANIFEST_INVALID: row(422, 65, 'plugin.json breaks the format.', 'Mend the field that the message names.'),
  COMPONENT_INVALID: row(422, 65, 'A component of the plugin would not load in Claude Code.', 'Run `hv validate DIR`.'),
  NAME_INVALID: row(422, 65, 'A name is not lower-case letters, digits and dashes.', 'Use a name such as my-plugin.'),
  NAME_RESERVED: row(422, 65, 'The client or the operating system keeps this name for itself.', 'Choose another name.'),
  NAME_CONFUSING: row(
    409,
    65,
    'The name of a new plugin looks like that of another one.',
    'Choose a name that nobody can mistake, or let an operator register it.',
  ),
  VERSION_INVALID: row(
    422,
    65,
    'A version or range is not semantic versioning.',
    'Use a version such as 1.2.0, a range such as ^1.2.0.',
  ),
  PATH_UNSAFE: row(
    422,
    65,
    'A path leaves the plugin, is absolute, or cannot exist on every system.',
    'Rename the file.',
  ),
  PATH_COLLISION: row(422, 65, 'Two paths are one on a file system that ignores case.', 'Rename one of them.'),
  FILE_KIND_UNSUPPORTED: row(
    422,
    65,
    'A device, socket or pipe lies in the plugin, or a symbolic link in its zip. (A link in a folder is followed, or left out with a warning.)',
    'Replace it by a regular file.',
  ),
  PLUGIN_TOO_LARGE: row(
    413,
    65,
    'The plugin is over max_plugin_size_mb.',
    'Ship less, or raise plugins.max_plugin_size_mb.',
  ),
  CATALOGUE_INVALID: row(
    422,
    65,
    'A marketplace.json, or an entry of it, cannot be read.',
    'Check it with `claude plugin validate`.',
  ),
  SOURCE_UNSUPPORTED: row(
    422,
    65,
    'A marketplace entry comes from where import cannot fetch, or a part of a plugin is a git submodule.',
    'Import takes folders of the marketplace and git repositories, without submodules.',
  ),
  ARCHIVE_INVALID: row(422, 65, 'The archive is not a readable zip.', 'Zip the plugin folder again.'),
  TRANSLATION_NEEDED: row(
    422,
    65,
    'The bytes sent are still in a dialect the client does not load.',
    'Publish with hv, which translates before it signs.',
  ),
  TARGET_REQUIRED: row(
    422,
    64,
    'Neither groups nor "all" was given, and the manifest names none.',
    'Add --groups a,b or --all.',
  ),
  GROUP_NOT_ALLOWED: row(
    422,
    64,
    "A target group is outside the manifest's machine_groups.",
    'Narrow the target or widen the manifest.',
  ),
  DEPENDENCY_MISSING: row(422, 69, 'A required plugin is not available.', 'Publish it first, or make it optional.'),
  DEPENDENCY_CONFLICT: row(409, 69, 'No set of versions satisfies everyone.', 'The message says who wants what.'),
  MCP_SERVER_MISSING: row(
    422,
    69,
    'An installed plugin needs an MCP server that Claude Code does not have here.',
    'Add it with `claude mcp add`, or install the plugin that brings it.',
  ),
  NOT_ELIGIBLE: row(
    409,
    69,
    'The plugin may not go to this machine.',
    'Check its groups, capabilities and version with `hv machines`.',
  ),
  STATUS_FORBIDS: row(409, 69, "The version's status does not allow a new installation.", 'Choose another version.'),
  DIGEST_MISMATCH: row(
    422,
    65,
    'A version record does not hash to its digest.',
    "Nothing was installed; tell the hub's operator.",
  ),
  VERIFY_FAILED: row(
    422,
    74,
    'A file that was just installed does not read back as it was written.',
    'What was there before is still there. Look at the disk, then run `hv sync --force`.',
  ),
  CLIENT_TOO_OLD: row(
    422,
    69,
    'This Claude Code is older than what loads plugins from a marketplace folder.',
    'Update Claude Code (`claude update`), or use the layout `loose`.',
  ),
  MARKETPLACE_FORBIDDEN: row(
    403,
    77,
    "The organisation's managed settings of Claude Code do not allow our marketplace.",
    'Ask whoever manages them to allow the folder that the message names, or run `hv config set layout loose`.',
  ),
  HASH_MISMATCH: row(
    422,
    65,
    'Bytes do not hash to the sha256 they were announced with.',
    'Nothing was installed; try again, then tell the operator.',
  ),
  SIGNATURE_INVALID: row(
    422,
    77,
    'A signature is missing, wrong or by an unknown key.',
    "Nothing was installed; tell the hub's operator.",
  ),
  SURFACE_EXCEEDED: row(
    422,
    65,
    'The files of a plugin do more than its manifest declares under haivemind.permissions.',
    'Declare it, or take it out.',
  ),
  SURFACE_UNACCEPTED: row(
    422,
    77,
    'A plugin that declares no haivemind.permissions is published for the first time, and nobody has accepted what it does.',
    'Look at what it does, then publish with --accept-surface; or declare it under haivemind.permissions.',
  ),
  APPROVAL_REQUIRED: row(
    403,
    77,
    'The version does more than the one before it, and no operator has approved that.',
    'An operator looks at it with `hv surface NAME` and runs `hv approve NAME@VERSION`.',
  ),
  POLICY_REFUSED: row(
    403,
    77,
    "This machine's own policy forbids the version; nothing the hub says changes that.",
    'See policy.json on this machine, and what the message names.',
  ),
  CONFIRMATION_REQUIRED: row(
    403,
    77,
    "A person has to say yes first: this machine's policy asks before the version is installed, or the command itself does.",
    'Look at what it does (`hv surface NAME`), then run `hv install NAME --yes`.',
  ),
  VERSION_REVOKED: row(410, 69, 'The version was revoked and may run nowhere.', 'Install another version.'),
  AUDIT_BROKEN: row(500, 65, 'The audit log was changed, or rows are missing.', 'Compare it with an exported copy.'),
  LOCK_INVALID: row(422, 65, 'The lockfile is not one of ours.', 'Write it again with `hv lock`.'),
  LOCK_MISMATCH: row(
    409,
    69,
    'The locked set cannot be had on this machine.',
    'The message names what differs; `hv lock` writes what is here now.',
  ),
  PLAN_REPLAYED: row(
    409,
    77,
    'A plan is older than one this machine has already seen, or the hub was restored from a backup of before that one.',
    'If the hub was restored, its operator runs `hv trust epoch` once; machines follow it then. If not, tell the operator. A hub that is moved (stopped, then backed up, then restored) needs none.',
  ),
  FORMAT_UNSUPPORTED: row(
    422,
    65,
    'A file or envelope has a newer format than this program knows.',
    'Update hAIveMind on this machine.',
  ),
  PROTOCOL_MISMATCH: row(426, 76, 'Hub and machine speak different protocol versions.', 'Update the older of the two.'),
  REPORT_OUTDATED: row(
    409,
    75,
    'A machine reports what it had before the last report that the hub took.',
    'Nothing is lost: it looks again and reports that.',
  ),
  RATE_LIMITED: row(429, 75, 'Too many requests.', 'Wait for the time in Retry-After.'),
  HUB_UNREACHABLE: row(
    503,
    69,
    'The hub does not answer.',
    'Is it running? Check the address with `hv config get hub_url`.',
  ),
  HUB_ANSWER_INVALID: row(
    502,
    76,
    'What answered is not a hAIveMind hub, or it broke off.',
    'Check the address with `hv config get hub_url`.',
  ),
  CERTIFICATE_MISMATCH: row(
    502,
    76,
    'The hub shows no certificate of the authority that was named.',
    'Compare the fingerprint with the join line that the hub prints. If it differs, somebody may stand between.',
  ),
  HUB_NOT_CONFIGURED: row(503, 78, 'This machine knows no hub.', 'Run `hv join URL --token T`.'),
  NOT_JOINED: row(409, 78, 'This machine has not joined a hub.', 'Run `hv join URL --token T`.'),
  ALREADY_JOINED: row(409, 78, 'This machine has joined another hub.', 'Run `hv leave` first.'),
  SHUTTING_DOWN: row(503, 75, 'The hub is stopping and takes no new work.', 'Try again in a moment.'),
  DATABASE_UNAVAILABLE: row(
    503,
    69,
    'The database cannot be opened or does not answer.',
    'Check HAIVEMIND_DATABASE_URL or the data folder.',
  ),
  EMBEDDER_FAILED: row(
    502,
    69,
    'The embedder of the search does not answer, or answers something else than vectors.',
    'Check HAIVEMIND_EMBEDDINGS_URL and HAIVEMIND_EMBEDDINGS_MODEL, or HAIVEMIND_EMBEDDINGS_FOLDER; until it answers the hub searches with its own vectors.',
  ),
  SCHEMA_NEWER: row(
    500,
    78,
    'The database was written by a newer hub.',
    'Update this hub, or use a backup made by it.',
  ),
  NATIVE_MODULE: row(
    500,
    78,
    'A native module of the hub does not load here.',
    "Run `npm ci && npm start` in the hub's folder: it builds what this Node needs.",
  ),
  DATA_DIR_IN_USE: row(
    500,
    69,
    'Another hub runs on this data folder.',
    'Stop that one, or give this one a --data-dir of its own; several hubs share one registry on PostgreSQL.',
  ),
  PORT_IN_USE: row(500, 69, 'Another program listens on this port.', 'Choose another with --port.'),
  TLS_REQUIRED: row(
    500,
    78,
    'An address that is not loopback needs TLS.',
    'Give --tls-cert and --tls-key, or --behind-proxy.',
  ),
  CONFIG_INVALID: row(500, 78, 'A configuration file or variable has a wrong value.', 'Mend what the message names.'),
  SETTINGS_INVALID: row(
    500,
    78,
    'A settings file of Claude Code is not JSON; it was left as it is.',
    'Mend the file by hand, then run `hv sync`.',
  ),
  BACKUP_INVALID: row(422, 65, 'The file is not a complete backup.', 'Choose another backup.'),
  PATH_OCCUPIED: row(
    409,
    73,
    'Something that is not ours lies where a file of ours must go.',
    'Move it away, then run `hv sync`.',
  ),
  NAME_CLASH: row(
    409,
    69,
    'A command, agent, skill, output style, theme, server or marketplace of this name belongs to somebody else; it is never overwritten.',
    'Rename yours, or run `hv config set name_clash suffix` and sync again.',
  ),
  LAYOUT_UNSUPPORTED: row(
    422,
    69,
    'The plugin needs what the loose layout lacks (userConfig, CLAUDE_PLUGIN_DATA, language servers, monitors, programs of `bin/` by their bare names); the message names it.',
    'Use it in the native layout: `hv config set layout native`.',
  ),
  NOT_INSTALLED: row(409, 66, 'The plugin is not installed on this machine.', 'Run `hv status`.'),
  ROLLBACK_UNAVAILABLE: row(
    409,
    66,
    'There is no earlier version to go back to.',
    'Name one: `hv rollback NAME --to VERSION`.',
  ),
  DEPENDENT_INSTALLED: row(409, 69, 'Another installed plugin needs this one.', 'Remove that one first.'),
  LOCKED: row(
    409,
    75,
    'Another process on this machine holds the lock for too long.',
    'Wait, or look at the process that the message names.',
  ),
  DISK_FULL: row(
    507,
    74,
    'There is no space left on the device.',
    'Free some space and run the same again; nothing was lost.',
  ),
  READ_ONLY: row(
    500,
    74,
    'The file system or file does not allow writing, or not even reading.',
    'Check the owner and mode of the path in the message; what root left in your folders, `sudo chown -R` gives back to you.',
  ),
  IO_ERROR: row(
    500,
    74,
    'The operating system reports an error on a file.',
    'Check the disk, then run the same again.',
  ),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

export interface ErrorExtras {
  hint?: string;
  /** Machine-readable facts; never secrets. */
  details?: Record<string, unknown>;
  cause?: unknown;
}

export class HaiveError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;
  readonly details: Record<string, unknown> | undefined;

  constructor(code: ErrorCode, message: string, extras: ErrorExtras = {}) {
    super(message, extras.cause === undefined ? undefined : { cause: extras.cause });
    this.name = 'HaiveError';
    this.code = code;
    this.hint = extras.hint ?? ERRORS[code].hint;
    this.details = extras.details;
  }

  get http(): number {
    return ERRORS[this.code].http;
  }

  get exit(): number {
    return ERRORS[this.code].exit;
  }
}

/** Any thrown value as a HaiveError; what is not one becomes INTERNAL with the original as its cause. */
export function toHaiveError(thrown: unknown): HaiveError {
  if (thrown instanceof HaiveError) return thrown;
  return new HaiveError('INTERNAL', 'Something went wrong inside hAIveMind.', { cause: thrown });
}

/** The form every interface prints: `CODE: message. hint`. */
export function formatError(error: { code: string; message: string; hint: string }): string {
  const stop = /[.!?]$/.test(error.message) ? '' : '.';
  return `${error.code}: ${error.message}${stop} ${error.hint}`.trim();
}

/** The errno name of a system error, also where it was wrapped. */
export function errnoOf(error: unknown): string | undefined {
  if (error instanceof HaiveError) return errnoOf(error.cause);
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return undefined;
}
