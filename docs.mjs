// Writes the documents that are made from code: docs/errors.md from the error table, docs/openapi.json from the contract.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
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

const { ERRORS } = await load('server/src/domain/errors.ts');
const { openApiDocument } = await load('server/src/hub/openapi.ts');
const pages = {
  'docs/errors.md': errorsPage(ERRORS),
  'docs/openapi.json': `${JSON.stringify(openApiDocument(), null, 2)}\n`,
};
for (const [path, text] of Object.entries(pages)) {
  if (!check) await writeFile(join(root, path), text);
  else if ((await readFile(join(root, path), 'utf8').catch(() => '')) !== text) {
    console.error(`${path} is not what the code says: run \`npm run docs\``);
    process.exitCode = 1;
  }
}
