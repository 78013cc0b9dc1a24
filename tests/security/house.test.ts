// What no file of the product may do: run text as code, build a command line for a shell, or merge a parsed object into another by keys.
import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { expect, it } from 'vitest';

const root = join(import.meta.dirname, '../../server/src');
const sources = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .map((file) => file.split(sep).join('/'))
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
  .map((file) => ({ file, text: readFileSync(join(root, file), 'utf8') }));

const FORBIDDEN: [what: string, pattern: RegExp, example: string][] = [
  [
    'runs text as code',
    /(?<![.\w])eval\s*\(|new Function\s*\(|(?<![.\w])Function\s*\(|from 'node:vm'|import\('node:vm'\)/,
    'eval(text)',
  ],
  ['runs text as code later', /set(?:Timeout|Interval|Immediate)\s*\(\s*['"`]/, "setTimeout('x()')"],
  ['gives a line to a shell', /[^.\w](?:exec|execSync)\s*\(/, 'exec(`rm ${x}`)'],
  ['asks for a shell', /\bshell:\s*(?!(?:false|string)\b|z\.)\S/, 'spawn(x, { shell: true })'],
  [
    'gives a text to sh',
    /(?:spawn|execFile)(?:Sync)?\s*\(\s*['"](?:\/bin\/)?(?:sh|bash|zsh|cmd(?:\.exe)?|powershell)['"]/,
    "spawn('sh', ['-c', x])",
  ],
  ['sets a prototype', /\.__proto__\s*=|Object\.setPrototypeOf\s*\(/, 'x.__proto__ = y'],
  ['merges deeply', /\b(?:lodash|deepmerge|merge-deep|deep-extend)\b/, "import merge from 'deepmerge'"],
  ['loads a module by a name from elsewhere', /\brequire\s*\((?!['"])/, 'require(name)'],
];

/** Lines that look so and are not: printed for others, or comments. */
const KNOWN: Record<string, RegExp> = {
  // The line that joins a machine, as text.
  'hub/bundle.ts': /^\s*'/,
  // What a child process of the hub loads: a native package that was resolved beside chromadb.
  'hub/discovery/local-chroma.ts': /`require\(\$\{JSON\.stringify\(runner\)\}\)/,
  // Compiles the product's own bundle with V8's cache.
  'interfaces/carried-bundle.ts': /^import \{ Script \} from 'node:vm';$/,
};
const breaches = (pattern: RegExp, files = sources): string[] =>
  files.flatMap(({ file, text }) =>
    text
      .split('\n')
      .filter((line) => !/^\s*(?:\*|\/\/|\/\*)/.test(line) && !KNOWN[file]?.test(line) && pattern.test(` ${line}`))
      .map((line) => `${file}: ${line.trim()}`),
  );

it.each(FORBIDDEN)('nothing %s', (_what, pattern, example) => {
  expect(sources.length).toBeGreaterThan(200);
  expect(breaches(pattern, [{ file: 'sneaky.ts', text: example }])).toHaveLength(1);
  expect(breaches(pattern)).toEqual([]);
});
