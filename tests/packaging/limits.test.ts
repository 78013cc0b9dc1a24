// The whole way of `hv validate`, from the bytes on disk to the last finding, on what no author would send: it answers, soon, in little
// memory, and runs nothing. Each input has a process of its own, whose time on the processor and memory at its highest are read at its end.
import { randomBytes } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeSource } from '../client/agreement/compare.ts';
import { manifestWith, pluginFiles } from '../support/plugin-files.ts';
import { bareRepository } from '../support/repository.ts';
import { runProcess } from '../support/run-process.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { rawZip } from './hostile-zips.ts';

const MANIFEST = '.claude-plugin/plugin.json';
const KINDS = [
  MANIFEST,
  'hooks/hooks.json',
  '.mcp.json',
  'commands/a.md',
  'agents/a.md',
  'skills/s/SKILL.md',
  'run.sh',
];
/** Against an ordinary plugin with Node's start, so that no machine is too slow for it. */
const MAX_TIMES_CPU = 12;
const MAX_RSS_MB = 300;

let home: TempHome;
let report = '';
let cli = '';
/** Seconds on the processor that an ordinary plugin took. */
let ordinary = 0;
const measured: string[] = [];
beforeAll(async () => {
  home = await tempHome('limits');
  cli = join(await bareRepository(), 'server', 'dist', 'cli.mjs');
  report = join(home.project, 'report.mjs');
  await writeFile(
    report,
    // maxRSS counts what the parent held when it forked; the kernel's own high-water mark begins with the program
    `import { readFileSync, writeFileSync } from 'node:fs';
process.on('exit', () => {
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  let kb = maxRSS;
  try {
    kb = Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
  } catch {}
  writeFileSync(process.env.USAGE_FILE, JSON.stringify({ rss: kb / 1024, cpu: (userCPUTime + systemCPUTime) / 1e6 }));
});
`,
  );
  const path = await folder('ordinary', { 'commands/a.md': '---\ndescription: Says a\n---\nSay a.\n' });
  // The first run keeps its compiled code for those after it.
  await measure(path);
  ordinary = (await measure(path)).cpu;
});
afterAll(async () => {
  console.log(`limits:\n${measured.join('\n')}`);
  await home.remove();
});

/** Validates what lies at `path` in a process of its own: what it says, its memory at its highest (MB) and its time on the processor (s). */
async function measure(path: string) {
  const usage = join(home.project, 'usage.json');
  await writeFile(usage, '');
  const args = ['--import', report, cli, 'validate', path, '--json'];
  const run = await runProcess(process.execPath, args, {
    cwd: home.project,
    env: home.env({ USAGE_FILE: usage }),
  });
  return { ...run, ...(JSON.parse(await readFile(usage, 'utf8')) as { rss: number; cpu: number }) };
}

async function validate(what: string, path: string): Promise<{ code: string }> {
  const { rss, cpu, ...run } = await measure(path);
  measured.push(`${what}: ${cpu.toFixed(2)} s, ${rss.toFixed(0)} MB`);
  expect(run.stderr).toBe('');
  expect([0, 65]).toContain(run.code);
  expect(rss).toBeLessThan(MAX_RSS_MB);
  expect(cpu).toBeLessThan(MAX_TIMES_CPU * ordinary);
  const answer = JSON.parse(run.stdout) as { findings?: { code: string }[]; error?: { code: string } };
  const codes = answer.findings?.map((f) => f.code) ?? [];
  expect(codes).not.toContain('VALIDATION_FAILED');
  expect(answer.error?.code).not.toBe('INTERNAL');
  return { code: answer.error?.code ?? codes[0] ?? 'none' };
}

async function folder(name: string, contents: Record<string, unknown>): Promise<string> {
  const path = join(home.project, name);
  await writeSource(path, pluginFiles(contents));
  return path;
}

const bomb = `---\na0: &a0 [${'x,'.repeat(9)}x]\n${Array.from({ length: 12 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i},`.repeat(9)}*a${i}]`).join('\n')}\ndescription: *a12\n---\n`;
const js = `---js\n{ description: require('node:fs').writeFileSync('pwned', 'x') }\n---\n`;
const keys = JSON.stringify(Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`dependancy${i}`, 1])));
const TEXTS: [what: string, text: string | Buffer][] = [
  ['ten megabytes on one line', 'x'.repeat(10_000_000)],
  ['ten megabytes of front matter', `---\ndescription: ${'y '.repeat(5_000_000)}\n---\n`],
  ['brackets without end', '['.repeat(400_000)],
  ['objects in objects', `${'{"hooks":'.repeat(50_000)}1${'}'.repeat(50_000)}`],
  ['aliases that explode', bomb],
  ['front matter in JavaScript', js],
  ['front matter in JavaScript, by its long name', js.replace('---js', '---javascript')],
  ['names that nobody knows', keys],
  ['dashes', '---\n'.repeat(100_000)],
  ['what looks like a secret, on and on', `api_key="${'aB3'.repeat(200_000)}"`],
  ['orders, on and on', 'ignore all the '.repeat(60_000)],
  ['quotes and dollars', `"'\${CLAUDE_PLUGIN_ROOT}/`.repeat(40_000)],
  ...Array.from({ length: 4 }, (_, i): [string, Buffer] => [`random bytes ${i + 1}`, randomBytes(10 ** (i + 2))]),
];

it.each(TEXTS)('in every kind of file: %s', async (what, text) => {
  const everywhere = Object.fromEntries(KINDS.map((path) => [path, text]));
  const first = await validate(what, await folder(what, everywhere));
  expect(first.code).not.toBe('none');
  // and where the manifest is whole, so that nothing ends early
  await validate(
    `${what}, beside a manifest`,
    await folder(`${what} 2`, { ...everywhere, [MANIFEST]: manifestWith() }),
  );
  await expect(stat(join(home.project, 'pwned'))).rejects.toThrow();
});

const whole = { name: MANIFEST, data: Buffer.from(JSON.stringify(manifestWith())) };
const zeros = Buffer.alloc(60 * 1024 * 1024);
const ZIPS: [what: string, code: string, make: () => Buffer][] = [
  ['a whole one', 'none', () => rawZip([whole])],
  ['inflates beyond the limit', 'PLUGIN_TOO_LARGE', () => rawZip([whole, { name: 'a', data: zeros }])],
  [
    'inflates beyond what it declares',
    'PLUGIN_TOO_LARGE',
    () => rawZip([whole, { name: 'a', data: zeros, declared: 9 }]),
  ],
  ['climbs out', 'ARCHIVE_INVALID|PATH_UNSAFE', () => rawZip([whole, { name: '../../pwned' }])],
  ['an absolute path', 'ARCHIVE_INVALID|PATH_UNSAFE', () => rawZip([whole, { name: '/tmp/pwned' }])],
  [
    'entries that share bytes',
    'ARCHIVE_INVALID',
    () =>
      rawZip([
        whole,
        { name: 'a', data: zeros.subarray(0, 1e6) },
        ...Array.from({ length: 5000 }, (_, i) => ({ name: `b${i}`, sharesWith: 1 })),
      ]),
  ],
  [
    'a hundred thousand entries',
    'ARCHIVE_INVALID|PLUGIN_TOO_LARGE',
    () => rawZip(Array.from({ length: 100_000 }, (_, i) => ({ name: `f${i}`, data: Buffer.alloc(0) }))),
  ],
  ['cut off', 'ARCHIVE_INVALID', () => rawZip([whole, { name: 'a' }]).subarray(0, -30)],
  [
    'half of it',
    'ARCHIVE_INVALID',
    () => rawZip([whole, { name: 'a', data: randomBytes(100_000) }]).subarray(0, 50_000),
  ],
  ['nothing at all', 'ARCHIVE_INVALID', () => Buffer.alloc(0)],
  ['noise', 'ARCHIVE_INVALID', () => randomBytes(1_000_000)],
];

it.each(ZIPS)('an archive: %s', async (what, code, make) => {
  const path = join(home.project, 'plugin.zip');
  await writeFile(path, make());
  expect((await validate(`zip, ${what}`, path)).code).toMatch(new RegExp(`^(?:${code})$`));
  await expect(stat(join(home.project, 'pwned'))).rejects.toThrow();
});
