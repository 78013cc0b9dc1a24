// Measures distribution beside its yardsticks: `node bench/distribution.mjs noop|transfer|fleet|sockets [ARGS]`. See bench/README.md.

import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const sources = join(root, 'bench/distribution');
const known = (await readdir(sources)).filter((name) => name.endsWith('.bench.ts')).map((name) => name.split('.')[0]);
const [what, ...rest] = process.argv.slice(2);
if (!known.includes(what)) {
  console.error(`node bench/distribution.mjs ${known.join('|')} [ARGS]`);
  process.exit(64);
}
// Beside node_modules, so that better-sqlite3 is found; the hub looks two folders above its bundle for the core plugin.
const folder = await mkdtemp(join(root, 'node_modules/.bench-distribution-'));
try {
  const dist = join(folder, 'server/dist');
  await mkdir(dist, { recursive: true });
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const bundle = (entry, outfile) =>
    build({
      entryPoints: [join(root, entry)],
      bundle: true,
      platform: 'node',
      target: 'node20',
      format: 'esm',
      packages: 'external',
      external: ['./hub.mjs'],
      define: { __HAIVEMIND_VERSION__: JSON.stringify(version) },
      logLevel: 'warning',
      outfile,
    });
  await bundle('server/src/hub/main.ts', join(dist, 'hub.mjs'));
  // As it ships: one minified file with everything in it.
  const shipped = spawnSync(process.execPath, [join(root, 'build.mjs'), 'cli'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, HAIVEMIND_DIST: dist },
  });
  if (shipped.status !== 0) throw new Error('the command line could not be built');
  for (const entry of (await readdir(sources)).filter((name) => /\.(bench|child)\.ts$/.test(name))) {
    await bundle(`bench/distribution/${entry}`, join(folder, entry.replace(/\.ts$/, '.mjs')));
  }
  const { status } = spawnSync(process.execPath, ['--expose-gc', join(folder, `${what}.bench.mjs`), ...rest], {
    stdio: 'inherit',
    env: { ...process.env, HAIVEMIND_BENCH: folder },
  });
  process.exitCode = status ?? 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}
