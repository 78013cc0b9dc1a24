const SECRET_KEY = /(^|_)(secret|password|passwd|authorization|cookie|private_?key|pem|api_?key)$/i;
const TOKEN = /hvt_[A-Za-z0-9_-]{43}/g;
const PEM = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g;
// Bounded, so that a long word costs no more than its length.
const URL_LOGIN = /(\b\w{1,32}:\/\/)[^/@\s:]+:[^/@\s]+@/g;
const GONE = '[redacted]';
/** A token often stands alone before the host. */
const WEB_LOGIN = /(\bhttps?:\/\/)[^\s/?#]*@/gi;
/** A password that was not percent-encoded may hold what ends a host; a number there is a port. */
const RAW_PASSWORD = /(\bhttps?:\/\/)[^\s/?#@:]*:(?!\d{1,5}\/)[^\s@]*@/gi;
const SECRET_PARAMETER =
  /([?&](?:[\w-]{0,40}[_-])?(?:token|secret|passw(?:or)?d|api[_-]?key|sig|signature|credential)=)[^\s&#]+/gi;
const PASSWORD = /(\b\w{1,32}:\/\/[^\s/:@]*):[^\s/@]*@/g;

/** A text whose addresses carry no login, as they may be kept and shown; the user of `ssh://git@HOST` stays. */
export function withoutLogin(text: string): string {
  return text
    .replace(WEB_LOGIN, '$1')
    .replace(RAW_PASSWORD, '$1')
    .replace(PASSWORD, '$1@')
    .replace(SECRET_PARAMETER, `$1${GONE}`);
}

/** A copy of a JSON value without secrets: by the names of keys, and by what tokens, private keys and logins look like. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') {
    return value.replace(TOKEN, GONE).replace(PEM, GONE).replace(URL_LOGIN, `$1${GONE}@`);
  }
  if (typeof value !== 'object' || value === null || depth > 20) return value;
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      SECRET_KEY.test(key) && inner !== null ? GONE : redact(inner, depth + 1),
    ]),
  );
}
