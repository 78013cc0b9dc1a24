/** Small readings of what plugins write, for their surface. Pure. */

const CLIENT_VARIABLES = new Set(['CLAUDE_PLUGIN_ROOT', 'CLAUDE_PLUGIN_DATA', 'CLAUDE_PROJECT_DIR', 'ARGUMENTS']);
const TEXT = /\.(md|mdx|txt|json|jsonc|ya?ml|toml|csv|svg|png|jpe?g|gif|webp|ico|pdf|html?|css|lock)$/i;
const NAMES = /^(license|licence|readme|changelog|notice|authors|\.gitignore|\.editorconfig)$/i;

/** The host of an address; an address that no URL parser reads stands as it is, so that it is seen. */
export function hostOf(url: string): string {
  if (/\$\{?\w/.test(url.replace(/^\w+:\/\//, '').split(/[/?#]/)[0] ?? '')) return url.split(/[?#]/)[0] ?? url;
  return URL.canParse(url) ? new URL(url).host.toLowerCase() : url;
}

/** Names of environment variables that a text asks for, without those that the client itself gives. */
export function variablesIn(text: string): string[] {
  const names: string[] = [];
  for (const match of text.matchAll(/\$(?:\{([A-Za-z_]\w*)(?:[^}]*)\}|([A-Za-z_]\w*))/g)) {
    const name = match[1] ?? match[2] ?? '';
    if (!CLIENT_VARIABLES.has(name) && !/^user_config$/.test(name)) names.push(name);
  }
  return names;
}

/** The lines that the client runs while it expands a command's text: !`…` and what stands between ```! and ```. */
export function inlineCommands(text: string): string[] {
  const found = [...text.matchAll(/(?:^|[\s(])!`([^`]+)`/g), ...text.matchAll(/```!([\s\S]*?)```/g)];
  return found.map((match) => match[1] ?? '').filter((line) => line.trim() !== '');
}

/** True for a file that runs or may run; documents, data and pictures do not. */
export function isCode(path: string, executable: boolean): boolean {
  const name = path.split('/').at(-1) ?? path;
  return executable || !(TEXT.test(name) || NAMES.test(name));
}
