// Builds server/dist: one self-contained ESM file per entry. The machine's files may hold nothing native.
import { mkdir, readFile, rm } from 'node:fs/promises';
import { build } from 'esbuild';

const { version } = JSON.parse(await readFile(new URL('package.json', import.meta.url), 'utf8'));
const outdir = new URL('server/dist/', import.meta.url).pathname;

// CommonJS packages (gray-matter, fs-extra, fastify) call require() at run time.
const requireBanner =
  "import { createRequire as __createRequire } from 'node:module';const require = __createRequire(import.meta.url);";

const common = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  minify: true,
  legalComments: 'none',
  define: { __HAIVEMIND_VERSION__: JSON.stringify(version) },
  logLevel: 'warning',
  metafile: true,
};

const native = ['better-sqlite3', 'pg', 'pg-native', 'chromadb'];

async function bundle(entry, out, options) {
  const result = await build({
    ...common,
    entryPoints: [entry],
    outfile: `${outdir}${out}`,
    banner: { js: `${options.shebang ? '#!/usr/bin/env node\n' : ''}${requireBanner}` },
    external: options.external ?? [],
  });
  for (const output of Object.values(result.metafile.outputs)) {
    const left = output.imports.filter((i) => i.external && !i.path.startsWith('node:') && !isBuiltin(i.path));
    const allowed = new Set(options.external ?? []);
    const bad = left.filter((i) => !allowed.has(i.path));
    if (bad.length > 0) throw new Error(`${out}: external imports survive: ${bad.map((i) => i.path).join(', ')}`);
  }
  return result.metafile;
}

import { isBuiltin } from 'node:module';

await rm(outdir, { recursive: true, force: true });
await mkdir(outdir, { recursive: true });
await bundle('server/src/hub/main.ts', 'hub.mjs', { external: native });
await bundle('server/src/interfaces/cli/main.ts', 'cli.mjs', { shebang: true, external: ['./hub.mjs'] });
await bundle('server/src/interfaces/mcp/main.ts', 'mcp.mjs', {});
await bundle('server/src/interfaces/hook/main.ts', 'hook.mjs', {});
