// A marketplace of many plugins, some of them broken, into the registry: all of it, again with nothing new, and after one plugin changed;
// beside a clone of the same repository. `import [PLUGINS]`.
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { BUNDLES, machineLine, startHub } from './bench-hub.ts';
import { makePlugin } from './plugins.ts';

const count = Math.max(4, Number(process.argv[2]) || 100);
const BROKEN = 3;
const root = await mkdtemp(join(tmpdir(), 'hv-bench-import-'));
const market = join(root, 'market');
const env = { HOME: join(root, 'home'), PATH: process.env.PATH ?? '' };
const git = (...args: string[]): string =>
  execFileSync('git', ['-c', 'user.name=T', '-c', 'user.email=t@example.org', ...args], { env, encoding: 'utf8' });

interface Report {
  imported: number;
  unchanged: number;
  failed: number;
  plugins: { name: string; code: string | null }[];
}

const hub = await startHub();
try {
  await mkdir(env.HOME);
  await writeMarket();
  const usage = join(root, 'usage.json');
  await writeFile(
    join(root, 'usage.mjs'),
    `import { writeFileSync } from 'node:fs';
process.on('exit', () => writeFileSync(${JSON.stringify(usage)}, JSON.stringify(process.resourceUsage())));
`,
  );
  console.log(machineLine());
  await time('git clone', async () => void git('clone', '-q', '--depth', '1', `file://${market}`, join(root, 'clone')));
  const steps: [string, () => void | Promise<void>][] = [
    ['all of it', () => {}],
    ['again', () => {}],
    ['one changed', change],
  ];
  for (const [what, before] of steps) {
    await before();
    const report = await time(`hv import, ${what}`, runImport);
    const { maxRSS, userCPUTime, systemCPUTime } = JSON.parse(await readFile(usage, 'utf8')) as Record<string, number>;
    const cpu = ((userCPUTime ?? 0) + (systemCPUTime ?? 0)) / 1e6;
    console.log(
      `    hv: ${cpu.toFixed(2)} s of CPU, ${((maxRSS ?? 0) / 1024).toFixed(0)} MB at its highest · hub: ${await hubMemory()}`,
    );
    const { imported, unchanged, failed } = report;
    console.log(`    ${imported} imported, ${unchanged} unchanged, ${failed} failed`);
    for (const p of report.plugins) if (p.code !== null) console.log(`      ${p.name}: ${p.code}`);
    const good = count - BROKEN;
    const expected = what === 'all of it' ? [good, 0] : what === 'again' ? [0, good] : [1, good - 1];
    if (imported !== expected[0] || unchanged !== expected[1] || failed !== BROKEN) process.exitCode = 1;
  }
  if (process.exitCode === 1) console.log('FAIL: not what was to be imported');
} finally {
  await hub.stop();
  await rm(root, { recursive: true, force: true });
}

async function time<T>(what: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await work();
  console.log(`${what.padEnd(24)} ${((performance.now() - started) / 1000).toFixed(2)} s`);
  return result;
}

async function runImport(): Promise<Report> {
  const args = ['--import', join(root, 'usage.mjs'), join(BUNDLES, 'server/dist/cli.mjs')];
  const more = ['import', `file://${market}`, '--json'];
  try {
    const out = execFileSync(process.execPath, [...args, ...more], {
      env: { ...env, HAIVEMIND_HUB_URL: hub.url, HAIVEMIND_TOKEN: hub.admin },
      encoding: 'utf8',
      maxBuffer: 1e8,
    });
    return JSON.parse(out) as Report;
  } catch (thrown) {
    // some plugins failing is an exit code of its own; the report is there all the same
    return JSON.parse((thrown as { stdout: string }).stdout) as Report;
  }
}

async function writeMarket(): Promise<void> {
  const plugins: { name: string; source: string }[] = [];
  for (let i = 0; i < count; i++) {
    const name = `tool-${i}`;
    plugins.push({ name, source: `./plugins/${name}` });
    for (const [path, text] of makePlugin(name, i + 1, 12, 60_000).files) await put(`plugins/${name}/${path}`, text);
    const manifest = { name, version: '1.0.0', description: `Does ${name}`, author: { name: 'T' } };
    await put(`plugins/${name}/.claude-plugin/plugin.json`, i < BROKEN ? '{' : JSON.stringify(manifest));
  }
  await put('.claude-plugin/marketplace.json', JSON.stringify({ name: 'm', owner: { name: 'T' }, plugins }));
  git('init', '-q', market);
  commit();
}

async function change(): Promise<void> {
  const name = `tool-${count - 1}`;
  const path = `plugins/${name}/.claude-plugin/plugin.json`;
  const manifest = JSON.parse(await readFile(join(market, path), 'utf8')) as { version: string };
  await put(path, JSON.stringify({ ...manifest, version: '9.0.0' }));
  commit();
}

function commit(): void {
  git('-C', market, 'add', '.');
  git('-C', market, 'commit', '-qm', 'next');
}

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(market, path)), { recursive: true });
  await writeFile(join(market, path), text);
}

/** Its highest so far, where the system says. */
async function hubMemory(): Promise<string> {
  const status = await readFile(`/proc/${hub.pid}/status`, 'utf8').catch(() => '');
  const kb = /^VmHWM:\s+(\d+) kB/m.exec(status)?.[1];
  return kb === undefined ? 'unknown' : `${(Number(kb) / 1024).toFixed(0)} MB at its highest`;
}
