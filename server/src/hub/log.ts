import type { HubConfig, LogLevel } from './config.ts';
import type { Log } from './context.ts';

const ORDER: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3, silent: 4 };
const SECRET =
  /hvt_[A-Za-z0-9_-]{8,}|(postgres(?:ql)?:\/\/[^:@/\s]*:)[^@\s]+@|-----BEGIN [^-]*PRIVATE KEY-----[\s\S]*?-----END[^-]*-----/g;

/** Blanks tokens, database passwords and private keys in a text that goes to a log. */
export function redact(text: string): string {
  return text.replace(SECRET, (_match, url: string | undefined) =>
    url === undefined ? '[redacted]' : `${url}[redacted]@`,
  );
}

/** Control characters that JSON leaves as they are: C1, line separators, and what turns the direction of text. */
const STEERING = /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** One JSON line an entry; control characters are escaped, so that no value can forge an entry or steer a terminal. */
export function createLog(
  level: HubConfig['logLevel'],
  write: (line: string) => void = (line) => writeOrLose(process.stderr, line),
  clock: () => Date = () => new Date(),
): Log {
  const entry = (name: Exclude<LogLevel, 'silent'>) => (fields: Record<string, unknown>, message: string) => {
    if (ORDER[name] < ORDER[level]) return;
    const line = JSON.stringify({ time: clock().toISOString(), level: name, msg: message, ...fields }, plainErrors);
    const shown = line.replace(STEERING, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
    write(`${redact(shown)}\n`);
  };
  return { info: entry('info'), warn: entry('warn'), error: entry('error') };
}

/** What cannot be written is lost: a full disk is no reason for whoever speaks to fail. */
export function writeOrLose(stream: NodeJS.WritableStream, text: string): void {
  try {
    stream.write(text);
  } catch {}
}

function plainErrors(_key: string, value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  return {
    name: value.name,
    message: value.message,
    stack: value.stack?.split('\n').slice(1, 8).join('\n'),
    ...('code' in value ? { code: value.code } : {}),
    ...(value.cause === undefined ? {} : { cause: value.cause }),
  };
}
