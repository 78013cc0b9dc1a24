// Preloaded by `npm start`, `npm test` and `npm run verify` (node --import): installs what a fresh clone lacks, and builds the
// one native module whose install script this repository allows. .npmrc keeps npm from running the scripts of all others.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('.', import.meta.url));

function npm(args, env = {}) {
  const own = process.env.npm_execpath;
  const [command, first] = own?.endsWith('.js') ? [process.execPath, [own]] : ['npm', []];
  const { status } = spawnSync(command, [...first, ...args], {
    cwd: root,
    // What npm says goes to standard error: standard output belongs to what runs next.
    stdio: ['ignore', 2, 2],
    env: { ...process.env, ...env },
    shell: first.length === 0 && process.platform === 'win32',
  });
  return status === 0;
}

/** True where better-sqlite3 opens a database: its native part is there and is for this Node. */
function nativeWorks() {
  try {
    const Database = createRequire(join(root, 'package.json'))('better-sqlite3');
    new Database(':memory:').close();
    return true;
  } catch {
    return false;
  }
}

/** The headers of this very Node where they lie beside it, so that building needs no download of them. */
function headers() {
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  const file = join(prefix, 'include', 'node', 'node_version.h');
  if (process.env.npm_config_nodedir || !existsSync(file)) return {};
  const text = readFileSync(file, 'utf8');
  const version = ['MAJOR', 'MINOR', 'PATCH'].map((part) => new RegExp(`NODE_${part}_VERSION (\\d+)`).exec(text)?.[1]);
  return version.join('.') === process.versions.node ? { npm_config_nodedir: prefix } : {};
}

if (!existsSync(join(root, 'node_modules')) && !npm(['ci', '--no-audit', '--no-fund'])) process.exit(1);
if (!nativeWorks()) {
  console.error('Preparing better-sqlite3 for this Node (once; up to two minutes where it has to be compiled) …');
  if (!npm(['rebuild', 'better-sqlite3', '--ignore-scripts=false'], headers()) || !nativeWorks()) {
    console.error('better-sqlite3 could not be prepared; the hub can still use PostgreSQL (HAIVEMIND_DATABASE_URL).');
  }
}
// Done once a run is enough: what is forked from here starts without this file.
const preload = process.execArgv.indexOf('./prepare.mjs');
if (preload > 0) process.execArgv.splice(preload - 1, 2);

// A shell stands between npm and what it starts, and passes no signal on: whoever ends npm means the hub too.
if (process.env.npm_lifecycle_event === 'start') {
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && process.kill(process.pid, 'SIGTERM'), 500).unref();
}
