const NAMES = new Set(['.git', '.hg', '.svn', '.ds_store', 'thumbs.db', 'desktop.ini', '__macosx']);
const EDITOR_FILES = /(^\.#|^#.*#$|~$|\.sw[a-p]$|^\._)/;

/**
 * What packing leaves out, because no author means it: version control (`.git`, `.hg`, `.svn`), traces of desktops
 * (`.DS_Store`, `._*`, `__MACOSX`, `Thumbs.db`, `desktop.ini`), of editors (`*.swp`, `*~`, `.#*`, `#*#`) and
 * `node_modules/.cache`. `segments` are the parts of a path inside the plugin.
 */
export function isLeftOut(segments: readonly string[]): boolean {
  return segments.some(
    (segment, i) =>
      NAMES.has(segment.toLowerCase()) ||
      EDITOR_FILES.test(segment) ||
      (segment === '.cache' && segments[i - 1] === 'node_modules'),
  );
}

const PRIVATE = /^(\.env(rc|\..+)?|\.netrc|\.pypirc|\.git-credentials|id_(rsa|dsa|ecdsa|ed25519))$/i;
const FOR_OTHERS = /\.(example|sample|template|dist|defaults?)$/i;
const NPM_LOGIN = /^[^#;=]*_(auth|authToken|password)\s*=/m;

/**
 * What holds its author's own secrets and settings, and lies in a plugin as a rule by mistake: `.env`, `.env.local`, `.envrc`, `.netrc`, `.pypirc`,
 * `.git-credentials`, private keys of ssh, `.claude/settings.local.json`, `.npmrc` with a login. Not `.env.example` and its like.
 */
export function isPrivate({ path, bytes }: { path: string; bytes: Uint8Array }): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (name === '.npmrc') return NPM_LOGIN.test(Buffer.from(bytes).toString('latin1'));
  return (PRIVATE.test(name) && !FOR_OTHERS.test(name)) || /(^|\/)\.claude\/settings\.local\.json$/i.test(path);
}

/** What Python leaves behind by running, other at each run. */
export const isCache = (path: string): boolean => path.split('/').includes('__pycache__');
