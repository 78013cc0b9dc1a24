// `node tests/client/agreement.mjs DIR [--json]`: our verdict on every plugin below DIR beside that of `claude plugin validate`,
// as a confusion table with each disagreement; a plugin that is only an entry of a marketplace.json is assembled first. Exit 1 when the client refuses something that we let pass.
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const here = fileURLToPath(new URL('.', import.meta.url));
const folder = await mkdtemp(join(here, '..', '..', 'node_modules', '.agreement-'));
const outfile = join(folder, 'main.mjs');
const entryPoints = [join(here, 'agreement', 'main.ts')];
try {
  await build({ entryPoints, outfile, bundle: true, platform: 'node', format: 'esm', packages: 'external' });
  await import(pathToFileURL(outfile).href);
} finally {
  await rm(folder, { recursive: true, force: true });
}
