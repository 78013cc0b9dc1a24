// Builds server/dist: one self-contained ESM file per entry, the same bytes from the same source.
// `node build.mjs [hub|cli|mcp|hook …]` builds all or the named entries; HAIVEMIND_DIST names another output folder.
// The machine's files (cli, mcp, hook) hold nothing native: the build fails if an external import survives in them.

import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('.', import.meta.url));
const outdir = resolve(process.env.HAIVEMIND_DIST ?? join(root, 'server/dist'));
const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));

const common = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node20',
  minify: true,
  legalComments: 'none',
  charset: 'ascii',
  logLevel: 'warning',
  metafile: true,
  write: false,
};
// its CommonJS entry requires files by computed names, which no bundler follows
common.alias = { 'jsonc-parser': join(root, 'node_modules/jsonc-parser/lib/esm/main.js') };
const versionDefine = { __HAIVEMIND_VERSION__: JSON.stringify(version) };

// CommonJS packages (gray-matter, fs-extra, fastify) call require() at run time.
const requireBanner =
  "import { createRequire as __createRequire } from 'node:module';const require = __createRequire(import.meta.url);";

/** The SDK's JSON Schema validator (ajv, 120 KB) checks answers to elicitation only, which our server never asks for. */
const withoutAjv = {
  name: 'without-ajv',
  setup(b) {
    b.onResolve({ filter: /ajv-provider\.js$/ }, () => ({
      path: join(root, 'server/src/interfaces/mcp/no-validator.ts'),
    }));
  },
};

/** Computes the answer to tools/list at build time, so that no start pays for turning zod into JSON Schema. */
const toolListAtBuildTime = {
  name: 'tool-list-at-build-time',
  setup(b) {
    b.onLoad({ filter: /interfaces[\\/]mcp[\\/]tool-list\.ts$/ }, async ({ path }) => {
      const { text } = await bundleText(path, { format: 'esm', banner: { js: requireBanner } });
      const { toolList } = await import(
        `data:text/javascript;base64,${Buffer.from(text.replace('import.meta.url', JSON.stringify(import.meta.url))).toString('base64')}`
      );
      return { contents: `export const toolList = () => (${JSON.stringify(toolList())});`, loader: 'js' };
    });
  },
};

async function bundleText(entry, options) {
  const result = await build({ ...common, define: versionDefine, ...options, entryPoints: [entry] });
  return { text: result.outputFiles[0].text, meta: result.metafile };
}

/** Throws when anything but Node's own modules and `allowed` is still imported at run time. */
function checkExternals(name, meta, allowed = []) {
  for (const output of Object.values(meta.outputs)) {
    const bad = output.imports.filter((i) => i.external && !isBuiltin(i.path) && !allowed.includes(i.path));
    if (bad.length > 0) throw new Error(`${name}: external imports survive: ${bad.map((i) => i.path).join(', ')}`);
  }
}

/** What weighs in a bundle: bytes per package or folder, heaviest first. */
function weights(meta) {
  const sums = new Map();
  for (const output of Object.values(meta.outputs)) {
    for (const [path, { bytesInOutput }] of Object.entries(output.inputs)) {
      const inPackage = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1];
      const key = inPackage ?? path.split('/').slice(0, 3).join('/');
      sums.set(key, (sums.get(key) ?? 0) + bytesInOutput);
    }
  }
  return [...sums].sort((a, b) => b[1] - a[1]);
}

async function write(name, text, metas) {
  await mkdir(outdir, { recursive: true });
  const temporary = join(outdir, `.${name}.${process.pid}`);
  await writeFile(temporary, text);
  await rename(temporary, join(outdir, name));
  const heavy = weights({ outputs: Object.assign({}, ...metas.map((m, i) => ({ [i]: Object.values(m.outputs)[0] }))) });
  const kb = (n) => `${Math.ceil(n / 1024)} KB`;
  console.log(
    `${name.padEnd(9)} ${kb(Buffer.byteLength(text)).padStart(8)}   ${heavy
      .slice(0, 6)
      .map(([k, n]) => `${k} ${kb(n)}`)
      .join(', ')}`,
  );
}

/** One ESM file. `external` are packages that only the hub's host has. */
async function plain(name, entry, { external = [], shebang = false } = {}) {
  const { text, meta } = await bundleText(entry, {
    format: 'esm',
    external,
    banner: { js: `${shebang ? '#!/usr/bin/env node\n' : ''}${requireBanner}` },
  });
  checkExternals(name, meta, external);
  await write(name, text, [meta]);
}

/**
 * A small ESM head that carries CommonJS bundles as text and runs them through vm.Script, which (unlike import) takes a
 * V8 code cache, and which costs nothing until it is run (interfaces/carried-bundle.ts). Each is a bundle of its own:
 * esbuild's lazy modules would put their initialization in an order that zod does not survive.
 */
async function carried(name, head, bodies) {
  const define = { ...versionDefine };
  const metas = [];
  for (const [key, { entry, plugins = [] }] of Object.entries(bodies)) {
    const { text, meta } = await bundleText(entry, {
      format: 'cjs',
      plugins,
      supported: { 'dynamic-import': false },
      define: { ...versionDefine, 'import.meta.url': '__moduleUrl' },
    });
    checkExternals(name, meta);
    metas.push(meta);
    define[key] = JSON.stringify({ text, id: createHash('sha256').update(text).digest('hex').slice(0, 16) });
  }
  const outer = await bundleText(head, { format: 'esm', define });
  checkExternals(name, outer.meta);
  await write(name, outer.text, metas);
}

const entries = {
  hub: () =>
    plain('hub.mjs', 'server/src/hub/main.ts', { external: ['better-sqlite3', 'pg', 'pg-native', 'chromadb'] }),
  cli: () => plain('cli.mjs', 'server/src/interfaces/cli/main.ts', { external: ['./hub.mjs'], shebang: true }),
  mcp: () =>
    carried('mcp.mjs', 'server/src/interfaces/mcp/head.ts', {
      __PROTOCOL__: { entry: 'server/src/interfaces/mcp/main.ts', plugins: [withoutAjv, toolListAtBuildTime] },
      __WORK__: { entry: 'server/src/interfaces/mcp/work.ts' },
    }),
  hook: () =>
    carried('hook.mjs', 'server/src/interfaces/hook/main.ts', {
      __BACKGROUND__: { entry: 'server/src/interfaces/hook/background.ts' },
    }),
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in entries));
if (unknown.length > 0)
  throw new Error(`No such entry: ${unknown.join(', ')}. Known: ${Object.keys(entries).join(', ')}`);
for (const name of wanted.length > 0 ? wanted : Object.keys(entries)) await entries[name]();
