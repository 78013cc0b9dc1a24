// Writes what is made from something else: docs/errors.md from the error table, docs/openapi.json from the contract, the templates
// of `hv create` from plugins/.
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = new URL('.', import.meta.url).pathname;
const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
const define = { __HAIVEMIND_VERSION__: JSON.stringify(version) };
const check = process.argv.includes('--check');

async function load(entry) {
  const dir = await mkdtemp(join(tmpdir(), 'haivemind-docs-'));
  try {
    const outfile = join(dir, 'module.mjs');
    await build({
      entryPoints: [join(root, entry)],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      logLevel: 'error',
      define,
    });
    return await import(pathToFileURL(outfile).href);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function errorsPage(table) {
  const rows = Object.entries(table).map(
    ([code, e]) => `| \`${code}\` | ${e.http} | ${e.exit} | ${e.means} | ${e.hint} |`,
  );
  return `# Errors

Written by \`npm run docs\` from \`server/src/domain/errors.ts\`. The hub answers with RFC 9457 \`application/problem+json\` that carries the
\`code\`; \`hv\` exits with the status given here and prints \`CODE: message. hint\` (with \`--json\`: \`{"error":{"code","message","hint"}}\`); MCP tools
answer \`isError\` with the same text. Codes are stable: programs may depend on them, messages may be reworded.

| code | HTTP | exit | when | what to do |
|---|---|---|---|---|
${rows.join('\n')}
`;
}

/** The built-in plugins' files, so that `hv create --template NAME` starts from a plugin that works. */
async function templates() {
  const all = {};
  for (const name of (await readdir(join(root, 'plugins'))).sort()) {
    const folder = join(root, 'plugins', name);
    const files = [];
    for (const path of (await readdir(folder, { recursive: true })).sort()) {
      const info = await stat(join(folder, path));
      if (!info.isFile()) continue;
      const text = await readFile(join(folder, path), 'utf8');
      files.push({ path: path.replaceAll('\\', '/'), text, executable: (info.mode & 0o100) !== 0 });
    }
    all[name] = files;
  }
  return `import type { ScaffoldPart } from './parts.ts';

/** Written by \`npm run docs\` from plugins/: the files of each template, as that plugin has them. */
export const TEMPLATES: Record<string, ScaffoldPart[]> = ${JSON.stringify(all, null, 2)};
`;
}

const { ERRORS } = await load('server/src/domain/errors.ts');
const { openApiDocument } = await load('server/src/hub/openapi/index.ts');
const pages = {
  'docs/errors.md': errorsPage(ERRORS),
  'docs/openapi.json': `${JSON.stringify(openApiDocument(), null, 2)}\n`,
  'server/src/machine/scaffold/templates.ts': await templates(),
};
for (const [path, text] of Object.entries(pages)) {
  if (!check) await writeFile(join(root, path), text);
  else if ((await readFile(join(root, path), 'utf8').catch(() => '')) !== text) {
    console.error(`${path} is not what the code says: run \`npm run docs\``);
    process.exitCode = 1;
  }
}
