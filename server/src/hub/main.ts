import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { GIVEN_ROLES, ROLES, type Role } from '../contract/roles.ts';
import { formatError, HaiveError, toHaiveError } from '../domain/errors.ts';
import { usageError } from '../domain/usage-error.ts';
import { type HubFlags, readHubConfig } from './config.ts';
import { serve } from './serve.ts';

/**
 * The verb `hub` with its own verbs. Prints, and sets process.exitCode; never throws.
 * @param argv the words after `hub`
 */
export async function runHub(argv: string[]): Promise<void> {
  const json = argv.includes('--json');
  const hub = program();
  try {
    await hub.parseAsync(argv, { from: 'user' });
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return;
    const error = thrown instanceof CommanderError ? refused(thrown, hub) : toHaiveError(thrown);
    const { code, message, hint } = error;
    if (json) process.stdout.write(`${JSON.stringify({ error: { code, message, hint } })}\n`);
    else process.stderr.write(`${formatError(error)}\n`);
    if (code === 'INTERNAL') process.stderr.write(`${(error.cause as Error | undefined)?.stack ?? ''}\n`);
    process.exitCode = error.exit;
  }
}

function refused({ code, message }: CommanderError, hub: Command): HaiveError {
  // The parser's own words for these are none: a word after `hub` that is no verb, and `token` alone.
  const verbs = hub.commands.map((command) => command.name());
  const [word] = hub.args;
  if (code === 'commander.excessArguments' && word !== undefined && !verbs.includes(word)) {
    return new HaiveError('USAGE', `hv hub ${word} is not known`, { hint: `Use ${verbs.join(', ')}, or no word.` });
  }
  if (code === 'commander.help') return usageError('A command is missing', `hv hub ${word} --help`);
  return usageError(message, 'hv hub --help');
}

function program(): Command {
  const hub = strict(new Command('hv hub'))
    .description('Run the hub: the registry that machines of the collective ask')
    .option('--port <n>', 'port, 0 for any (HAIVEMIND_PORT, 7420)')
    .option('--host <address>', 'address to listen on (127.0.0.1)')
    .option('--tls-cert <file>', 'PEM certificate; needed for an address that is not loopback')
    .option('--tls-key <file>', 'PEM key of the certificate')
    .option('--behind-proxy', 'a proxy in front ends TLS')
    .option('--public-url <url>', 'the address machines use, where it is another')
    .option(
      '--chroma <local|url>',
      'keep the vectors of the search in Chroma: a server of its own, or one that runs (HAIVEMIND_CHROMA_URL)',
    )
    .option('--log-level <level>', 'debug, info, warn, error or silent');
  withDatabase(hub).addHelpText('after', '\nExample:\n  hv hub --port 7420 --data-dir ./data');
  hub.action((flags: HubFlags & { json?: boolean }) => serve(readHubConfig(flags), flags.json === true));
  // The parent's options may stand before or after a verb's name.
  const all = (command: Command): HubFlags & { json?: boolean } => command.optsWithGlobals();

  withDatabase(strict(hub.command('backup <file>')))
    .description('Write a backup, also while the hub runs')
    .action(async (file: string, _flags: unknown, command: Command) => {
      const { backupTo } = await import('./offline.ts');
      const made = await backupTo(readHubConfig(all(command)), file);
      print(
        all(command).json,
        made,
        (r) =>
          `Backup of ${r.database} written to ${r.file}: ${r.rows} rows, ${r.versions} plugin versions, ${r.bytes} bytes`,
      );
    });
  withDatabase(strict(hub.command('restore <file>')))
    .description('Fill an empty database from a backup')
    .action(async (file: string, _flags: unknown, command: Command) => {
      const { restoreFrom } = await import('./offline.ts');
      print(all(command).json, await restoreFrom(readHubConfig(all(command)), file), (r) =>
        [
          `Restored ${r.rows} rows`,
          'Machines that have seen newer plans than the backup holds refuse this hub until an operator has run `hv trust epoch` on it.',
        ].join('\n'),
      );
    });

  const token = strict(hub.command('token')).description("Tokens, straight in the hub's database");
  withDatabase(strict(token.command('create <name>')))
    .description('Make a token and print its secret, once')
    .requiredOption('--roles <a,b>', `some of ${GIVEN_ROLES.join(', ')}`)
    .option('--name-pattern <a,b>', 'publisher: the plugin names it may publish (es-*,log-*)')
    .option('--expires-in-days <n>', 'when it ends')
    .action(async (name: string, flags: TokenFlags, command: Command) => {
      const { createTokenOffline } = await import('./offline.ts');
      const made = await createTokenOffline(readHubConfig(all(command)), tokenWish(name, flags));
      print(
        all(command).json,
        made,
        (t) => `${t.token}\n${t.id}: ${t.roles.join(', ')}. The secret is shown only now.`,
      );
    });
  withDatabase(strict(token.command('list')))
    .description('List tokens')
    .action(async (_flags: unknown, command: Command) => {
      const { listTokensOffline } = await import('./offline.ts');
      const rows = await listTokensOffline(readHubConfig(all(command)));
      print(all(command).json, { tokens: rows }, () => rows.map(tokenLine).join('\n'));
    });
  withDatabase(strict(token.command('revoke <id>')))
    .description('Revoke a token at once')
    .action(async (id: string, _flags: unknown, command: Command) => {
      const { revokeTokenOffline } = await import('./offline.ts');
      const { lastAdmin, also } = await revokeTokenOffline(readHubConfig(all(command)), id);
      print(all(command).json, { revoked: id, last_admin: lastAdmin, also }, () =>
        [
          `Revoked ${id}`,
          ...also.map((other) => `It was rotated: ${other} still holds. \`hv hub token revoke ${other}\` ends it too`),
          ...(lastAdmin ? ['No admin is left: `hv hub token create NAME --roles admin`'] : []),
        ].join('\n'),
      );
    });
  return hub;
}

interface TokenFlags {
  roles: string;
  namePattern?: string;
  expiresInDays?: string;
}

function tokenWish(name: string, flags: TokenFlags) {
  const roles = flags.roles.split(',').map((role) => role.trim());
  const unknown = roles.find((role) => !ROLES.includes(role as Role));
  if (unknown !== undefined) throw new HaiveError('USAGE', `${unknown} is none of the roles ${GIVEN_ROLES.join(', ')}`);
  const days = flags.expiresInDays === undefined ? undefined : Number(flags.expiresInDays);
  if (days !== undefined && !(days > 0 && days <= 3650)) {
    throw new HaiveError('USAGE', '--expires-in-days takes a number of days up to 3650');
  }
  return {
    name,
    roles: roles as Role[],
    ...(flags.namePattern === undefined ? {} : { name_pattern: flags.namePattern }),
    ...(days === undefined ? {} : { expires_in_days: days }),
  };
}

function tokenLine(token: { id: string; name: string; roles: readonly string[]; revoked_at: string | null }): string {
  return `${token.id}  ${token.name}  ${token.roles.join(',')}${token.revoked_at === null ? '' : '  revoked'}`;
}

/** Errors are thrown, to be printed in one form. */
function strict(command: Command): Command {
  return command
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .allowExcessArguments(false);
}

function withDatabase(command: Command): Command {
  return command
    .option('--data-dir <dir>', 'folder of the database (HAIVEMIND_DATA_DIR, ./data)')
    .option('--database-url <url>', 'PostgreSQL instead (HAIVEMIND_DATABASE_URL)')
    .option('--json', 'answer in JSON');
}

function print<T>(json: boolean | undefined, value: T, human: (value: T) => string): void {
  process.stdout.write(`${json === true ? JSON.stringify(value) : human(value)}\n`);
}

function isEntry(): boolean {
  try {
    return (
      process.argv[1] !== undefined && realpathSync(process.argv[1]) === realpathSync(fileURLToPath(import.meta.url))
    );
  } catch {
    return false;
  }
}

if (isEntry()) await runHub(process.argv.slice(2));
