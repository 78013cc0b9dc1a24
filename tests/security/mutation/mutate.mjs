// Takes every check of guards/ out, one at a time, and expects the tests that guard it to fail:
// `node tests/security/mutation/mutate.mjs [--sample N] [--seed N] [--only TEXT] [--part I/N]`. Works on a copy of the repository.
import { execFileSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const { values } = parseArgs({
  options: {
    sample: { type: 'string' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    part: { type: 'string' },
    from: { type: 'string', default: '1' },
  },
});

/** The list, and what of it does not stand in the sources any more. */
async function readGuards() {
  const entryPoints = [join(root, 'tests/security/mutation/guards/index.ts')];
  const { outputFiles } = await build({ entryPoints, bundle: true, format: 'esm', write: false });
  return (await import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`))
    .GUARDS;
}

/** A few of all, others for each seed. */
function chosen(all) {
  if (values.only !== undefined) return all.filter((g) => `${g.file} ${g.check}`.includes(values.only));
  if (values.part !== undefined) {
    const [i, n] = values.part.split('/').map(Number);
    return all.filter((_, at) => at % n === i - 1);
  }
  if (values.sample === undefined) return all;
  const n = Math.min(Number(values.sample), all.length);
  const start = (Number(values.seed) * 7919) % all.length;
  const stride = Math.max(1, Math.floor(all.length / n));
  return Array.from({ length: n }, (_, i) => all[(start + i * stride) % all.length]);
}

async function copyOfTheRepository() {
  // Inside node_modules, so that packages are found and no watcher looks.
  await mkdir(join(root, 'node_modules'), { recursive: true });
  const copy = await mkdtemp(join(root, 'node_modules/.mutants-'));
  const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1e8,
  });
  for (const file of files.split('\0').filter((f) => f !== '' && !f.startsWith('server/dist/'))) {
    await mkdir(dirname(join(copy, file)), { recursive: true });
    await cp(join(root, file), join(copy, file), { verbatimSymlinks: true }).catch((error) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'), 'dir');
  return copy;
}

const guards = await readGuards();
const work = chosen(guards);
const copy = await copyOfTheRepository();
process.chdir(copy);
const { createVitest } = await import('vitest/node');
const quiet = { onInit() {}, onTestRunEnd() {} };
const vitest = await createVitest('test', {
  root: copy,
  config: false,
  watch: false,
  include: ['server/src/**/*.test.ts', 'tests/**/*.test.ts'],
  exclude: [],
  pool: 'forks',
  maxWorkers: 1,
  bail: 1,
  testTimeout: 60_000,
  hookTimeout: 120_000,
  reporters: [quiet],
  silent: true,
});

/** What a check keeps finite may go on for ever without it: then its worker is ended, which fails the test too. */
const MAX_MS = 120_000;
function endWorkers() {
  const own = execFileSync('ps', ['-o', 'pid=', '--ppid', String(process.pid)], { encoding: 'utf8' });
  for (const pid of own.split('\n').map(Number).filter(Boolean)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It was ps itself.
    }
  }
}

/** Whether one of these test files fails now, and which test. */
async function failing(tests) {
  for (const test of tests) {
    const specs = await vitest.globTestSpecifications([test]);
    if (specs.length === 0) throw new Error(`there is no ${test}`);
    let ended = false;
    const hung = setTimeout(() => {
      ended = true;
      endWorkers();
    }, MAX_MS);
    const { testModules } = await vitest.runTestSpecifications(specs).finally(() => clearTimeout(hung));
    // The list holds what earlier runs left, too.
    for (const module of testModules.filter((m) => m.moduleId === specs[0].moduleId)) {
      if (module.ok()) continue;
      const first = [...module.children.allTests('failed')][0];
      if (first === undefined && !ended) throw new Error(`${test} does not load: that says nothing of the check`);
      return `${test}: ${first?.fullName ?? 'goes on for ever'}`;
    }
  }
  return null;
}

const survivors = [];
let killed = 0;
try {
  for (const [i, { check, file, find, put, tests }] of work.entries()) {
    if (i + 1 < Number(values.from)) continue;
    const path = join(copy, 'server/src', file);
    const source = await readFile(path, 'utf8');
    const parts = source.split(find);
    if (parts.length !== 2) {
      survivors.push(`${file}: ${check}: its text stands there ${parts.length - 1} times`);
      console.log(`${i + 1}/${work.length} NOT FOUND ${file}: ${check}`);
      continue;
    }
    await writeFile(path, parts.join(put));
    vitest.invalidateFile(path);
    const by = await failing(tests);
    await writeFile(path, source);
    vitest.invalidateFile(path);
    if (by === null) survivors.push(`${file}: ${check}: ${tests.join(', ')} do not notice`);
    else killed++;
    console.log(
      `${i + 1}/${work.length} ${by === null ? 'SURVIVED' : 'killed  '} ${file}: ${check}${by === null ? '' : ` ← ${by}`}`,
    );
  }
} finally {
  await vitest.close();
  process.chdir(root);
  await rm(copy, { recursive: true, force: true });
}
console.log(`${guards.length} checks known, ${work.length} taken out, ${killed} noticed, ${survivors.length} not`);
for (const line of survivors) console.log(`! ${line}`);
process.exit(survivors.length === 0 && killed === work.length ? 0 : 1);
