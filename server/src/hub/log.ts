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

/** One JSON line an entry; JSON escapes line breaks, so that no value can forge an entry. */
export function createLog(
  level: HubConfig['logLevel'],
  write: (line: string) => void = (line) => process.stderr.write(line),
  clock: () => Date = () => new Date(),
): Log {
  const entry = (name: Exclude<LogLevel, 'silent'>) => (fields: Record<string, unknown>, message: string) => {
    if (ORDER[name] < ORDER[level]) return;
    const line = JSON.stringify({ time: clock().toISOString(), level: name, msg: message, ...fields }, plainErrors);
    write(`${redact(line)}\n`);
  };
  return { info: entry('info'), warn: entry('warn'), error: entry('error') };
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
