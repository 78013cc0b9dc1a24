import { Command, CommanderError } from 'commander';
import { HAIVEMIND_VERSION } from '../../contract/version.ts';
import { HaiveError } from '../../domain/errors.ts';
import { usageError } from '../../domain/usage-error.ts';
import { VERBS } from './table.ts';
import type { VerbRow } from './verb.ts';

export interface Parsed {
  row: VerbRow;
  args: (string | undefined)[];
  rest: string[];
  options: Record<string, unknown>;
}

const WITHOUT = 'Leave the word out: `hv list`, `hv install NAME` and so on.';
const TAKEN_BACK =
  '`hv remove NAME` takes a plugin off this machine; `hv yank NAME@VERSION` offers a version to nobody any more, `hv revoke` takes it away.';

/** What a verb is called by others: a slip of the finger is far from it, or near to its contrary. */
const ELSEWHERE: Record<string, string> = {
  plugin: WITHOUT,
  plugins: WITHOUT,
  '/hv-plugin': WITHOUT,
  'hv-plugin': WITHOUT,
  uninstall: 'That is `hv remove NAME`.',
  unpublish: TAKEN_BACK,
  delete: TAKEN_BACK,
  upgrade: 'That is `hv update [NAME]`.',
  find: 'That is `hv search WORDS`.',
  show: 'That is `hv info NAME`.',
  init: 'That is `hv create NAME`, or `hv join` for a machine.',
  new: 'That is `hv create NAME`.',
};

/**
 * Reads a command line.
 * @returns the verb to run, or text that answers the line by itself (help, version)
 * @throws HaiveError USAGE
 */
export function parseLine(argv: readonly string[]): Parsed | { text: string } {
  let parsed: Parsed | undefined;
  let printed = '';
  const io = {
    writeOut: (text: string) => {
      printed += text;
    },
    writeErr: () => undefined,
  };
  const program = new Command('hv')
    .description('Carries Claude Code plugins from an author to every machine of a collective.')
    .version(HAIVEMIND_VERSION, '-V, --version', 'print the version')
    .configureOutput(io)
    .configureHelp({ sortSubcommands: false, showGlobalOptions: false })
    .exitOverride()
    .addHelpText('after', '\nEvery verb takes --json and --help.');
  program
    .command('hub')
    .description('run a hub here; `hv hub --help` lists its options, `hv hub backup FILE` and others')
    .helpOption(false);
  for (const row of VERBS) {
    const command = program
      .command(row.args === undefined ? row.name : `${row.name} ${row.args}`)
      .description(row.summary)
      .configureOutput(io)
      .exitOverride()
      .allowExcessArguments(false)
      .option('--json', 'print JSON')
      .addHelpText(
        'after',
        `\nExample${row.examples.length > 1 ? 's' : ''}:\n${row.examples.map((e) => `  ${e}`).join('\n')}`,
      );
    for (const [flags, text] of row.options ?? []) command.option(flags, text);
    command.action((...given: unknown[]) => {
      const values = given.slice(0, -2);
      const rest = values.find(Array.isArray) as string[] | undefined;
      parsed = {
        row,
        args: values.filter((v) => !Array.isArray(v)) as string[],
        rest: rest ?? [],
        options: command.opts(),
      };
    });
  }
  try {
    program.parse(isKnown(wordOf(argv)) ? [...argv] : [wordOf(argv)], { from: 'user' });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    if (thrown.exitCode === 0 || thrown.code === 'commander.help')
      return { text: printed || program.helpInformation() };
    const word = wordOf(argv);
    const meant = Object.hasOwn(ELSEWHERE, word) ? ELSEWHERE[word] : undefined;
    if (meant !== undefined) throw new HaiveError('USAGE', `unknown command '${word}'`, { hint: meant });
    throw usageError(thrown.message, VERBS.some(({ name }) => name === argv[0]) ? `hv ${argv[0]} --help` : 'hv --help');
  }
  return parsed ?? { text: program.helpInformation() };
}

/** The verb that a line means, also where it asks for its help; empty where it names none. */
function wordOf([first = '', second = '']: readonly string[]): string {
  const word = first === 'help' ? second : first;
  return word.startsWith('-') ? '' : word;
}

/** The parser answers a question for the help of an unknown verb with that of all: whoever mistyped it is told so instead. */
const isKnown = (word: string): boolean => ['', 'hub', 'help', ...VERBS.map(({ name }) => name)].includes(word);
