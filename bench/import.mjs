// `node bench/import.mjs [PLUGINS]`: a marketplace into the registry. See bench/README.md.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const bench = fileURLToPath(new URL('distribution.mjs', import.meta.url));
const { status } = spawnSync(process.execPath, [bench, 'import', ...process.argv.slice(2)], { stdio: 'inherit' });
process.exitCode = status ?? 1;
