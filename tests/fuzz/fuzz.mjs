// Fuzzes the parsers of targets.ts, guided by V8's block coverage: `node tests/fuzz/fuzz.mjs [--target NAME,NAME] [--minutes N | --seconds N]
// [--seed N] [--keep]`. With --keep, what reaches new code goes to corpus/TARGET; what breaks a promise goes to crashes/TARGET and fails
// the run. Once it is mended, it moves to the corpus, which every run and every test starts with. `--adopt FOLDER` fuzzes nothing: it takes
// from another run's corpus what reaches code that this one does not, the shortest first.
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = fileURLToPath(new URL('.', import.meta.url));
const folder = await mkdtemp(join(here, '../../node_modules/.fuzz-'));
const bundle = join(folder, 'targets.mjs');
try {
  await build({
    entryPoints: [join(here, 'targets.ts')],
    bundle: true,
    platform: 'node',
    mainFields: ['module', 'main'],
    target: 'node20',
    format: 'esm',
    outfile: bundle,
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    define: { __HAIVEMIND_VERSION__: '"0.0.0"' },
    logLevel: 'warning',
  });
  const args = [join(here, 'run.mjs'), ...process.argv.slice(2)];
  const { status } = spawnSync(process.execPath, args, {
    stdio: 'inherit',
    env: { ...process.env, HAIVEMIND_FUZZ: bundle },
  });
  process.exitCode = status ?? 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}
