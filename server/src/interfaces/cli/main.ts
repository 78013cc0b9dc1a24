import type { ClientContext } from '../../client/context.ts';
import { errnoOf, HaiveError, toHaiveError } from '../../domain/errors.ts';
import { fileError } from '../../machine/files/file-port.ts';
import { type Environment, processEnvironment } from '../environment.ts';
import { errorOutput, harmless, styleFor } from './output.ts';
import { parseLine } from './program.ts';
import type { VerbCall } from './verb.ts';

/** Imports a module by its address. */
export type Importing = (url: string) => Promise<unknown>;

/**
 * All of `hv`: parse, call one verb, print.
 * @returns the exit code, by the table of errors, and whether this machine has joined a hub and stays
 */
export async function run(argv: string[], importing: Importing): Promise<{ exit: number; member: boolean }> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // The reader of a pipe went away (`hv list | head`): nothing is wrong.
    if (error.code === 'EPIPE') process.exit(0);
    const failed = toHaiveError(fileError(error, 'standard output'));
    process.stderr.write(errorOutput(failed, false).stderr);
    process.exit(failed.exit);
  });
  const json = argv.includes('--json');
  try {
    if (argv[0] === 'hub') return { exit: await runHub(argv.slice(1), importing), member: false };
    if (argv[0] === 'help' && argv[1] === 'hub') return { exit: await runHub(['--help'], importing), member: false };
    const parsed = parseLine(argv);
    if ('text' in parsed) {
      process.stdout.write(parsed.text);
      return { exit: 0, member: false };
    }
    const verb = await parsed.row.load();
    const call = verbCall(parsed, json);
    const output = await verb(call);
    call.progress('');
    if (json) process.stdout.write(`${JSON.stringify(output.json, null, 2)}\n`);
    else if (output.text !== '') process.stdout.write(`${harmless(output.text)}\n`);
    const member = parsed.row.name !== 'leave' && here?.config.token !== undefined;
    return { exit: output.exit ?? 0, member };
  } catch (thrown) {
    const error = toHaiveError(thrown);
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
    const { stdout, stderr } = errorOutput(error, json);
    process.stdout.write(stdout);
    process.stderr.write(stderr);
    if (error.code === 'INTERNAL' && error.cause instanceof Error) {
      process.stderr.write(`${error.cause.stack ?? error.cause.message}\n`);
    }
    return { exit: error.exit, member: false };
  }
}

/** This machine, where the verb asked for it. */
let here: ClientContext | undefined;

function verbCall(parsed: Exclude<ReturnType<typeof parseLine>, { text: string }>, json: boolean): VerbCall {
  const env: Environment = processEnvironment();
  const onTerminal = process.stderr.isTTY === true && !json;
  let shown = false;
  let opened: Promise<ClientContext> | undefined;
  return {
    args: parsed.args,
    rest: parsed.rest,
    options: parsed.options,
    env,
    style: styleFor(process.stdout.isTTY === true && !env.noColor && !json),
    json,
    cwd: process.cwd(),
    program: process.argv[1] ?? '',
    open: () => {
      // Loaded only for verbs that need the machine: help and mistakes answer at once.
      opened ??= import('../../client/context.ts').then(async ({ openClient }) => {
        here = await openClient(env);
        return here;
      });
      return opened;
    },
    progress: (text) => {
      if (!onTerminal || (text === '' && !shown)) return;
      shown = text !== '';
      process.stderr.write(`\r\u001b[K${harmless(text)}`);
    },
    confirm: onTerminal && process.stdin.isTTY === true ? confirm : undefined,
    say: (text) => void process.stdout.write(`${harmless(text)}\n`),
  };
}

/** Anything but a clear yes is no. */
async function confirm(question: string): Promise<boolean> {
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  // Whoever closes the input has not agreed.
  const closed = new Promise<string>((resolve) => lines.once('close', () => resolve('')));
  try {
    const answer = await Promise.race([lines.question(`${harmless(question)} [y/N] `), closed]);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}

/** The hub is a bundle of its own beside this one: its native modules are none of a machine's business. */
async function runHub(argv: string[], importing: Importing): Promise<number> {
  const file = new URL('./hub.mjs', import.meta.url);
  let hub: { runHub(argv: string[]): Promise<void> };
  try {
    hub = (await importing(file.href)) as typeof hub;
  } catch (cause) {
    if (errnoOf(cause) !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new HaiveError('USAGE', 'This copy of hv holds no hub', {
      cause,
      hint: 'A hub runs from a clone of the repository: `npm ci && npm start`.',
    });
  }
  await hub.runHub(argv);
  return Number(process.exitCode ?? 0);
}
