import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** A test's child program as one file that Node runs. */
export async function bundleChild(entry: string): Promise<{ file: string; close(): Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), 'hv-child-'));
  const file = join(dir, 'child.mjs');
  const banner = {
    js: "import { createRequire as __r } from 'node:module';const require = __r(import.meta.url);",
  };
  // As in the shipped bundles: its CommonJS entry requires files by computed names.
  const alias = { 'jsonc-parser': fileURLToPath(import.meta.resolve('jsonc-parser/lib/esm/main.js')) };
  await build({ entryPoints: [entry], outfile: file, bundle: true, platform: 'node', format: 'esm', banner, alias });
  return { file, close: () => rm(dir, { recursive: true, force: true }) };
}
