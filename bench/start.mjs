// What a session's start costs, beside what cannot be cheaper. All cases run in turn in one run, so that a busy machine
// slows them alike; goals are ratios of medians, but for the hook beside a live agent. See bench/README.md.
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SAMPLES = Math.max(5, Number(process.argv[2] ?? 40));
const root = fileURLToPath(new URL('..', import.meta.url));
const fixture = (name) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
const initialize = `${JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'bench', version: '1' } },
})}\n`;

const work = await mkdtemp(join(tmpdir(), 'haivemind-bench-'));
const plugin = join(work, 'plugin');

/** Milliseconds until the process ends, or with `until: 'answer'` until it first says something. */
function time({ command, args, env, until }) {
  return new Promise((resolve, reject) => {
    const started = process.hrtime.bigint();
    const done = () => resolve(Number(process.hrtime.bigint() - started) / 1e6);
    const child = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
    child.on('error', reject);
    child.stdin.on('error', () => {});
    if (until === 'answer') {
      child.stdin.write(initialize);
      child.stdout.once('data', () => {
        done();
        child.kill('SIGKILL');
      });
      child.once('exit', (code) => reject(new Error(`${args.at(-1)} ended with ${code}`)));
    } else {
      let said = '';
      child.stdout.on('data', (chunk) => {
        said += chunk;
      });
      child.stdin.end();
      child.once('close', (code) => {
        if (code === 0 && said === '') done();
        else reject(new Error(`${command} ${args.join(' ')} ended with ${code} and said ${said}`));
      });
    }
  });
}

function run(command, args, env = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
      cwd: root,
    });
    let out = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.once('close', (code) => (code === 0 ? resolve(out) : reject(new Error(`${command} ended with ${code}`))));
  });
}

/** A plugin folder as it lies on a machine: bundles and hook, no node_modules above. */
async function layOut() {
  await mkdir(join(plugin, 'hooks'), { recursive: true });
  await writeFile(join(plugin, 'hooks', 'session-start.sh'), await readFile(join(root, 'hooks', 'session-start.sh')));
  const sizes = await run(process.execPath, ['build.mjs', 'mcp', 'hook'], {
    HAIVEMIND_DIST: join(plugin, 'server/dist'),
  });
  console.log(`Bundles, and what weighs in them:\n${sizes}`);
}

const base = { PATH: process.env.PATH };

/** A HOME where this process is the live agent. */
async function homeWithAgent() {
  const folder = join(work, 'agent', '.claude', 'plugins', '.haivemind');
  await mkdir(folder, { recursive: true });
  const stat = await readFile('/proc/self/stat', 'utf8').catch(() => '');
  const started = stat === '' ? 0 : stat.slice(stat.lastIndexOf(') ') + 2).split(' ')[19];
  await writeFile(join(folder, 'live'), `v1 ${process.pid} ${started} ${Math.floor(Date.now() / 1000)}\n\n`);
  return { ...base, HOME: join(work, 'agent') };
}

/** A HOME that has joined the hub at `url`, follows its newest plan, and has nothing waiting. */
async function homeInStep(url) {
  const home = join(work, 'joined');
  const folder = join(home, '.claude', 'plugins', '.haivemind');
  await mkdir(folder, { recursive: true });
  await mkdir(join(home, '.haivemind'));
  const plan = { etag: '"bench"', counter: 1, epoch: 1 };
  await writeFile(
    join(home, '.haivemind', 'config.json'),
    JSON.stringify({ format: 1, hub_url: url, token: 'hvt_bench', plan, plugins: {} }),
  );
  await writeFile(join(folder, 'hook.json'), JSON.stringify({ etag: plan.etag, receipts: '', output: null }));
  return { ...base, HOME: home };
}

/** One whole start and end of the MCP server, which leaves its code cache as a first session does. */
function firstSession(args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { env, stdio: ['pipe', 'ignore', 'inherit'] });
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`mcp.mjs ended with ${code}`))));
    child.stdin.end(initialize);
  });
}

function report(cases) {
  const median = (times) => [...times].sort((a, b) => a - b)[times.length >> 1];
  const of = Object.fromEntries(cases.map((c) => [c.name, median(c.times)]));
  console.log(`${SAMPLES} samples each, milliseconds: median (min-max)`);
  let failed = false;
  for (const c of cases) {
    const m = of[c.name];
    const range = `${Math.min(...c.times).toFixed(1)}-${Math.max(...c.times).toFixed(1)}`;
    let verdict = '';
    if (c.beside !== undefined) {
      const ratio = m / of[c.beside];
      verdict = `${ratio.toFixed(2)} x ${c.beside}`;
      if (c.goal !== undefined) verdict += `, goal ${c.goal} x: ${ratio <= c.goal ? 'PASS' : 'FAIL'}`;
      failed ||= c.goal !== undefined && ratio > c.goal;
    } else if (c.atMost !== undefined) {
      verdict = `goal ${c.atMost} ms: ${m <= c.atMost ? 'PASS' : 'FAIL'}`;
      failed ||= m > c.atMost;
    }
    console.log(`${c.name.padEnd(36)} ${m.toFixed(1).padStart(7)} (${range})`.padEnd(66), verdict);
  }
  return failed;
}

const hub = spawn(process.execPath, [fixture('hub-304.mjs')], { stdio: ['ignore', 'pipe', 'inherit'] });
let failed = true;
try {
  const url = await new Promise((resolve) => hub.stdout.once('data', (chunk) => resolve(String(chunk).trim())));
  await layOut();
  const agent = await homeWithAgent();
  const joined = await homeInStep(url);
  const sh = [join(plugin, 'hooks', 'session-start.sh')];
  const node = process.execPath;
  const mcp = [join(plugin, 'server', 'dist', 'mcp.mjs')];
  const fresh = (i) => ({ ...base, HOME: join(work, 'first', String(i)) });
  await firstSession(mcp, joined);
  const cases = [
    { name: 'node -e 0', make: () => ({ command: node, args: ['-e', '0'], env: base }) },
    {
      name: 'sh reading a file',
      make: () => ({ command: 'sh', args: ['-c', `read -r x <${JSON.stringify(sh[0])}`], env: base }),
    },
    { name: 'hook beside a live agent', atMost: 5, make: () => ({ command: 'sh', args: sh, env: agent }) },
    {
      name: 'hook that asks the hub (304)',
      beside: 'node -e 0',
      goal: 1.5,
      make: () => ({ command: 'sh', args: sh, env: joined }),
    },
    {
      name: 'hand-written JSON-RPC server',
      make: () => ({ command: node, args: [fixture('json-rpc-server.mjs')], env: base, until: 'answer' }),
    },
    {
      name: 'mcp.mjs, first start',
      beside: 'hand-written JSON-RPC server',
      make: (i) => ({ command: node, args: mcp, env: fresh(i), until: 'answer' }),
    },
    {
      name: 'mcp.mjs, later starts',
      beside: 'hand-written JSON-RPC server',
      goal: 1.5,
      make: () => ({ command: node, args: mcp, env: joined, until: 'answer' }),
    },
  ].map((c) => ({ ...c, times: [] }));
  for (const c of cases) await time(c.make(-1));
  for (let i = 0; i < SAMPLES; i++) for (const c of cases) c.times.push(await time(c.make(i)));
  failed = report(cases);
} finally {
  hub.kill();
  await rm(work, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;
