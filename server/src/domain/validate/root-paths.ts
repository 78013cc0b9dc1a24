import type { Place, Subject } from './subject.ts';

const ROOT = '${CLAUDE_PLUGIN_ROOT}';
const ROOT_PATH = /\$\{CLAUDE_PLUGIN_ROOT\}\/([\w@%+=,.~/-]+)/g;

/**
 * A command's uses of `${CLAUDE_PLUGIN_ROOT}`: files that are not there, scripts that cannot be run, forms that the
 * client does not replace. `args` is set where no shell takes part.
 */
export function checkRootPaths(
  subject: Subject,
  file: string,
  place: Place,
  command: string,
  args?: readonly string[],
): void {
  const isThere = (path: string): boolean => subject.has(path) || subject.hasFolder(path);
  for (const text of [command, ...(args ?? [])]) {
    if (/\$\{CLAUDE_PLUGIN_ROOT:?[-+=?]/.test(text)) {
      subject.warn(
        'ROOT_WITH_DEFAULT',
        file,
        place,
        'Only the exact ${CLAUDE_PLUGIN_ROOT} is replaced; with a default it becomes the default.',
        `Write ${ROOT}.`,
      );
    }
    for (const match of text.matchAll(ROOT_PATH)) {
      const path = (match[1] ?? '').replace(/\/+$/, '').replace(/^\.\//, '');
      if (path.split('/').includes('..')) {
        subject.warn(
          'SCRIPT_OUTSIDE',
          file,
          place,
          `${match[0]} leaves the plugin.`,
          'Ship the file inside the plugin.',
        );
      } else if (path !== '' && ![path, wholePath(text, match.index, args === undefined)].some(isThere)) {
        subject.warn(
          'SCRIPT_MISSING',
          file,
          place,
          `${match[0]} is not in the plugin.`,
          'Add the file or correct the path.',
        );
      }
    }
  }
  if (args === undefined && command.includes(ROOT) && !/["'][^"']*\$\{CLAUDE_PLUGIN_ROOT\}/.test(command)) {
    subject.warn(
      'ROOT_UNQUOTED',
      file,
      place,
      `A shell splits ${ROOT} where the path has a space.`,
      'Put it in double quotes, or name program and "args" apart.',
    );
  }
  const quoted = /^["']/.test(command) ? 1 : 0;
  const first = command.startsWith(ROOT, quoted) ? wholePath(command, quoted, args === undefined) : undefined;
  const script = first === undefined ? undefined : subject.files.get(first);
  if (script !== undefined && !script.executable) {
    subject.warn(
      'SCRIPT_NOT_EXECUTABLE',
      file,
      place,
      `${first} is run by itself but lacks the executable bit.`,
      `Run \`chmod +x ${first}\`, or name its interpreter.`,
    );
  }
}

/** The path that starts with the root at `at`, spaces and all: up to the closing quote or the next word of a shell, or to the end. */
function wholePath(text: string, at: number, isShell: boolean): string {
  const rest = text.slice(at + ROOT.length).replace(/^\/(\.\/)*/, '');
  if (!isShell) return rest;
  const quote = openQuote(text.slice(0, at));
  if (quote !== undefined) return rest.split(quote)[0] ?? rest;
  return (/^(?:\\.|[^\s\\;&|<>()"'])*/.exec(rest)?.[0] ?? '').replace(/\\(.)/g, '$1');
}

function openQuote(text: string): string | undefined {
  let open: string | undefined;
  for (const char of text) {
    if (char === open) open = undefined;
    else if (open === undefined && (char === '"' || char === "'")) open = char;
  }
  return open;
}
