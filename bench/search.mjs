// Measures the hub's search. `node bench/search.mjs quality FOLDER [SIZES] [chroma]` (plugins.jsonl, queries.json) or `latency FOLDER [PLUGINS]`.

import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const [what, ...rest] = process.argv.slice(2);
if (what !== 'quality' && what !== 'latency') {
  console.error('node bench/search.mjs quality FOLDER [SIZES] [chroma] | latency FOLDER [PLUGINS]');
  process.exit(64);
}
// Beside node_modules, so that better-sqlite3 is found.
const built = await mkdtemp(join(root, 'node_modules/.bench-search-'));
try {
  const outfile = join(built, `${what}.mjs`);
  const banner = "import { createRequire } from 'node:module';const require = createRequire(import.meta.url);";
  await build({
    entryPoints: [join(root, `bench/search/${what}.ts`)],
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    packages: 'external',
    banner: { js: banner },
    logLevel: 'warning',
    outfile,
  });
  const [folder = '', ...others] = rest;
  const args = [folder, join(root, 'bench/search/keywords.json'), ...others];
  const { status } = spawnSync(process.execPath, ['--expose-gc', outfile, ...args], {
    stdio: 'inherit',
    cwd: tmpdir(),
  });
  process.exitCode = status ?? 1;
} finally {
  await rm(built, { recursive: true, force: true });
}
