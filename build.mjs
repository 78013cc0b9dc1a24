// Builds server/dist: one self-contained ESM file per entry, the same bytes from the same source.
// `node build.mjs [hub|embedder|cli|mcp|hook|sandbox …]` builds all or the named entries; HAIVEMIND_DIST names another output folder.
// The machine's files (cli, mcp, hook, sandbox) hold nothing native: the build fails if an external import survives in them.

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

/** Helpers that ws and debug try and do without: throwing at require() is how they learn that they are not there. */
const withoutOptionalHelpers = {
  name: 'without-optional-helpers',
  setup(b) {
    b.onResolve({ filter: /^(bufferutil|utf-8-validate|supports-color)$/ }, ({ path }) => ({
      path,
      namespace: 'not-shipped',
    }));
    b.onLoad({ filter: /.*/, namespace: 'not-shipped' }, ({ path }) => ({
      contents: `throw new Error(${JSON.stringify(`${path} is not shipped`)});`,
    }));
  },
};

/** The SDK's JSON Schema validator (ajv, 120 KB) checks answers to elicitation only, which our server never asks for. */
const withoutAjv = {
  name: 'without-ajv',
  setup(b) {
    b.onResolve({ filter: /ajv-provider\.js$/ }, ({ path }) => ({ path, namespace: 'no-validator' }));
    b.onLoad({ filter: /.*/, namespace: 'no-validator' }, () => ({
      contents:
        'export class AjvJsonSchemaValidator { getValidator() { throw new Error("no schema validator in this server"); } }',
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
      const json = JSON.stringify(JSON.stringify(toolList()));
      return { contents: `export const toolList = () => JSON.parse(${json});`, loader: 'js' };
    });
  },
};

/** The sandbox looks for native helpers by asking npm, for a second at each start; the launcher names what it found itself. */
const withoutSearches = {
  name: 'without-searches',
  setup(b) {
    const load = (filter, contents) => b.onLoad({ filter }, () => ({ contents }));
    load(
      /sandbox[\\/]generate-seccomp-filter\.js$/,
      'export const getApplySeccompBinaryPath = (path) => path ?? null;' +
        'export const getApplySeccompBinaryPathAsync = async (path) => path ?? null;',
    );
    load(
      /sandbox[\\/]java-proxy-agent\.js$/,
      'export const getJavaProxyAgentJarPathAsync = async (path) => path ?? null;' +
        'export const buildJavaToolOptions = () => undefined;',
    );
  },
};

async function bundleText(entry, options) {
  const plugins = [withoutOptionalHelpers, ...(options.plugins ?? [])];
  const result = await build({ ...common, define: versionDefine, ...options, plugins, entryPoints: [entry] });
  return { text: result.outputFiles[0].text, meta: result.metafile };
}

/** undici asks for node:sqlite where it is, in newer Nodes than this one. */
const isNodes = (path) => path.startsWith('node:') || isBuiltin(path);

/** Throws when anything but Node's own modules and `allowed` is still imported at run time. */
function checkExternals(name, meta, allowed = []) {
  for (const output of Object.values(meta.outputs)) {
    const bad = output.imports.filter((i) => i.external && !isNodes(i.path) && !allowed.includes(i.path));
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
    `${name.padEnd(13)} ${kb(Buffer.byteLength(text)).padStart(8)}   ${heavy
      .slice(0, 6)
      .map(([k, n]) => `${k} ${kb(n)}`)
      .join(', ')}`,
  );
}

/** One ESM file. `external` are packages that only the hub's host has. */
async function plain(name, entry, { external = [], shebang = false, plugins = [] } = {}) {
  const { text, meta } = await bundleText(entry, {
    format: 'esm',
    external,
    plugins,
    banner: { js: `${shebang ? '#!/usr/bin/env node\n' : ''}${requireBanner}` },
  });
  checkExternals(name, meta, external);
  await write(name, text, [meta]);
}

/**
 * A small ESM head with CommonJS bundles behind it, each in line comments that V8 skips until the head runs one through
 * vm.Script, which (unlike import) takes a V8 code cache: the other half of this format is interfaces/carried-bundle.ts.
 * Each is a bundle of its own: esbuild's lazy modules would initialize zod in an order that it does not survive.
 */
async function carried(name, head, bodies, { shebang = false } = {}) {
  const banner = shebang ? { banner: { js: '#!/usr/bin/env node' } } : {};
  const outer = await bundleText(head, { format: 'esm', ...banner });
  checkExternals(name, outer.meta);
  const metas = [outer.meta];
  let file = outer.text.trimEnd();
  for (const [key, { entry, plugins = [] }] of Object.entries(bodies)) {
    const { text: bundled, meta } = await bundleText(entry, {
      format: 'cjs',
      plugins,
      supported: { 'dynamic-import': false },
      define: { ...versionDefine, 'import.meta.url': '__moduleUrl' },
    });
    checkExternals(name, meta);
    metas.push(meta);
    // esbuild escapes what is not ASCII everywhere but in regular expressions, where the same escape holds.
    const text = bundled.replace(/[^\t\n\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
    if (/[^\n\x20-\x7e\t]|\n@carried /.test(text)) throw new Error(`${name}: ${key} cannot be carried in comments`);
    const id = createHash('sha256').update(text).digest('hex').slice(0, 16);
    file += `\n//@carried ${key} ${id}\n//${text.trimEnd().replaceAll('\n', '\n//')}`;
  }
  await write(name, `${file}\n`, metas);
}

const entries = {
  hub: () =>
    plain('hub.mjs', 'server/src/hub/main.ts', { external: ['better-sqlite3', 'pg', 'pg-native', 'chromadb'] }),
  embedder: () => plain('embedder.mjs', 'server/src/hub/discovery/onnx-worker.ts'),
  cli: () =>
    carried(
      'cli.mjs',
      'server/src/interfaces/cli/start.ts',
      { hv: { entry: 'server/src/interfaces/cli/main.ts' } },
      { shebang: true },
    ),
  mcp: () =>
    carried('mcp.mjs', 'server/src/interfaces/mcp/main.ts', {
      serve: { entry: 'server/src/interfaces/mcp/serve.ts', plugins: [withoutAjv, toolListAtBuildTime] },
      work: { entry: 'server/src/interfaces/mcp/work.ts' },
    }),
  sandbox: () => plain('sandbox.mjs', 'server/src/interfaces/sandbox/main.ts', { plugins: [withoutSearches] }),
  // CommonJS, because Node's loader of ES modules alone costs a fifth of a bare start.
  hook: async () => {
    const { text, meta } = await bundleText('server/src/interfaces/hook/main.ts', {
      format: 'cjs',
      supported: { 'dynamic-import': false },
    });
    checkExternals('hook.cjs', meta);
    await write('hook.cjs', text, [meta]);
    await plain('hook-sync.mjs', 'server/src/interfaces/hook/sync-main.ts');
  },
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in entries));
if (unknown.length > 0)
  throw new Error(`No such entry: ${unknown.join(', ')}. Known: ${Object.keys(entries).join(', ')}`);
for (const name of wanted.length > 0 ? wanted : Object.keys(entries)) await entries[name]();
