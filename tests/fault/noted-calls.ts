/** `file:line` of every line of the machine's side that led to a file operation. */
export const callSites = new Set<string>();

/** Remembers who is asking for a file operation right now. */
export function noteCallSite(): void {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 40;
  const stack = new Error().stack ?? '';
  Error.stackTraceLimit = limit;
  for (const [, file, line] of stack.matchAll(/server\/src\/machine\/([\w/.-]+\.ts):([0-9]+):/g))
    callSites.add(`${file}:${line}`);
}
