import { parse } from 'shell-quote';

/** What shell text does that a reviewer wants to know; the text is parsed by shell-quote, never run. */
export interface ShellFault {
  code: 'DOWNLOAD_RUN' | 'PACKAGE_UNPINNED';
  message: string;
  fix: string;
}

type Token = string | { op: string } | { comment: string };

const MAX_COMMAND = 8192;
const DOWNLOADS = new Set(['curl', 'wget', 'fetch', 'aria2c', 'iwr', 'invoke-webrequest']);
const RUNS = new Set([
  'sh',
  'bash',
  'zsh',
  'dash',
  'ksh',
  'fish',
  'python',
  'python3',
  'node',
  'perl',
  'ruby',
  'php',
  'iex',
  'source',
  '.',
  'eval',
]);
const WRAPPERS = new Set(['sudo', 'env', 'exec', 'nohup', 'time', 'command', 'then', 'do', 'else', 'if', '!']);
/** A word that is what a download printed. */
const FETCHED_TEXT = /(?:\$\(|`)\s{0,4}(?:curl|wget)\s/;
const SEPARATORS = new Set(['|', '|&', ';', '&&', '||', '&', '(', ')', '<(', '>(']);

/** @param args arguments given apart, where no shell takes part */
export function shellFaults(command: string, args?: readonly string[]): ShellFault[] {
  if (command.length > MAX_COMMAND) return [];
  if (args !== undefined) return unpinned([command, ...args]);
  let tokens: Token[];
  try {
    tokens = parse(command, (name) => `$${name}`) as Token[];
  } catch {
    return []; // not shell at all
  }
  const faults = segments(tokens).flatMap(({ words }) => unpinned(words));
  let downloaded = false;
  let before = '';
  for (const { words, op } of segments(tokens)) {
    const program = programOf(words);
    if (op !== '|' && op !== '|&') downloaded = false;
    const runs = RUNS.has(program) && (downloaded || FETCHED_TEXT.test(words.join(' ')));
    if (runs) faults.push(downloadRun(program));
    else if (op === '<(' && DOWNLOADS.has(program) && RUNS.has(before)) faults.push(downloadRun(before));
    downloaded ||= DOWNLOADS.has(program);
    before = program;
  }
  const inside = /\b(eval|sh|bash|zsh)\b[^\n]{0,40}(?:\$\(|`)\s{0,4}(?:curl|wget)\s/.exec(command);
  if (inside !== null && !faults.some((f) => f.code === 'DOWNLOAD_RUN'))
    faults.push(downloadRun(inside[1] ?? 'a shell'));
  return faults;
}

/** Simple commands, each with the operator before it. */
function segments(tokens: readonly Token[]): { words: string[]; op: string }[] {
  const result: { words: string[]; op: string }[] = [{ words: [], op: '' }];
  for (const token of tokens) {
    if (typeof token === 'string') result.at(-1)?.words.push(token);
    else if ('op' in token && SEPARATORS.has(token.op)) result.push({ words: [], op: token.op });
  }
  return result;
}

/** The program of a simple command, without assignments, wrappers and its folder. */
function programOf(words: readonly string[]): string {
  const word = words.find((w) => !/^\w+=/.test(w) && !WRAPPERS.has(w) && !w.startsWith('-')) ?? '';
  return (word.split('/').at(-1) ?? '').toLowerCase();
}

function downloadRun(program: string): ShellFault {
  return {
    code: 'DOWNLOAD_RUN',
    message: `What is downloaded is run by ${program} at once: its author may change it any day.`,
    fix: 'Ship the script inside the plugin, or check a hash before running it.',
  };
}

/** `npx PACKAGE` and the like without a version. */
function unpinned(words: readonly string[]): ShellFault[] {
  const start = words.findIndex((w) => !/^\w+=/.test(w) && !WRAPPERS.has(w));
  const program = programOf(words);
  const rest = words.slice(start + 1);
  const runner = ['npx', 'bunx', 'uvx', 'pnpx'].includes(program)
    ? program
    : ['npm', 'pnpm', 'yarn', 'bun'].includes(program) && ['exec', 'dlx', 'x'].includes(rest[0] ?? '')
      ? `${program} ${rest.shift()}`
      : ['uv', 'pipx'].includes(program) && (rest[0] === 'tool' || rest[0] === 'run') && rest.includes('run')
        ? `${program} ${rest.splice(0, rest.indexOf('run') + 1).join(' ')}`
        : undefined;
  if (runner === undefined) return [];
  const named = flagValue(rest, ['--package', '-p', '--from', '--with']);
  const target = named ?? rest.find((w) => !w.startsWith('-'));
  if (target === undefined || /^[.$/]|\.(?:py|js|mjs|ts)$/.test(target) || isPinned(target)) return [];
  // `uv run FILE` and the like run what the project has
  if (program === 'uv' && runner === 'uv run') return [];
  return [
    {
      code: 'PACKAGE_UNPINNED',
      message: `${runner} fetches ${target.slice(0, 80)} in whatever version is newest when it runs.`,
      fix: `Name the version: ${target.slice(0, 60)}@1.2.3 (Python: ==1.2.3).`,
    },
  ];
}

function flagValue(words: readonly string[], flags: readonly string[]): string | undefined {
  for (const [i, word] of words.entries()) {
    const [flag = '', value] = word.split('=', 2);
    if (flags.includes(flag)) return value ?? words[i + 1];
  }
  return undefined;
}

/** An exact version, tag-free: `pkg@1.2.3`, `pkg==1.2`, a git address with a commit. */
function isPinned(target: string): boolean {
  return (
    /.@v?\d+\.\d+(?:\.\d+)?(?:[-+.][\w.+-]*)?$/.test(target) || /==\d/.test(target) || /[#@][0-9a-f]{40}$/.test(target)
  );
}
