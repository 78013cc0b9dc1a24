// What translation promises, in the real client: hooks that never fired fire, grants that granted nothing grant.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { packPlugin, type SourceFile } from '../../server/src/domain/version/package.ts';
import { readPlugin } from '../../server/src/machine/read-plugin.ts';
import { manifestWith, pluginFiles } from '../support/plugin-files.ts';
import { REPOSITORY } from '../support/repository.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { writeFiles } from './harness/hand-made-plugin.ts';
import { scriptedSession } from './harness/with-model.ts';

let home: TempHome;
let log = '';
beforeEach(async () => {
  home = await tempHome('translation');
  log = join(home.project, 'log');
});
afterEach(() => home.remove());

/** Makes `pp` the one plugin of this home, packed or as written. */
async function enable(files: SourceFile[], translate: boolean, allow: string[]): Promise<void> {
  const packed = packPlugin(files, { maxBytes: 1_000_000, now: new Date(0), translate });
  const market = join(home.project, 'market');
  for (const { path, sha256 } of packed.record.files) {
    const target = join(market, 'pp', path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, packed.blobs.get(sha256) ?? '');
  }
  const catalogue = { name: 'm', owner: { name: 'T' }, plugins: [{ name: 'pp', source: './pp' }] };
  await writeFiles(market, { '.claude-plugin/marketplace.json': catalogue });
  const settings = {
    permissions: { allow },
    extraKnownMarketplaces: { m: { source: { source: 'directory', path: market } } },
    enabledPlugins: { 'pp@m': true },
  };
  await writeFiles(join(home.home, '.claude'), { 'settings.json': settings });
}

function hookedPlugin(): SourceFile[] {
  const say = (matcher: string, word: string) => ({
    matcher,
    hooks: [{ type: 'command', command: `echo ${word} >> '${log}'` }],
  });
  const hooks = {
    PreToolUse: [say('Bash(kubectl:*)', 'kubectl'), say('Bash(rm -rf:*)|Edit', 'rm'), say('Bash(helm:*)', 'helm')],
    PostToolUse: [
      say('Bash(rm -rf:*)|Bash(echo:*)', 'after'),
      say('Read(*.txt)', 'text'),
      say('Read(*.md)', 'markdown'),
    ],
    PostToolUseFailure: [say('Bash(kubectl:*)', 'failed')],
  };
  return pluginFiles({ '.claude-plugin/plugin.json': manifestWith(), 'hooks/hooks.json': { hooks } });
}

async function wordsOfSession(): Promise<string[]> {
  const file = join(home.project, 'a.txt');
  await writeFile(file, 'x');
  const bash = (command: string) => ({ tool: 'Bash', input: { command, description: 'x' } });
  await scriptedSession(home, [
    ...[
      bash('kubectl-that-is-nowhere x'),
      bash('kubectl version --nonsense'),
      bash('echo hi'),
      bash('rm -rf ./nothing'),
    ],
    ...[{ tool: 'Read', input: { file_path: file } }, { text: 'done' }],
  ]);
  return (await readFile(log, 'utf8').catch(() => '')).split('\n').filter((word) => word !== '');
}

it('permission rules as matchers fire for their own commands only', async () => {
  await enable(hookedPlugin(), true, ['Bash', 'Read']);
  expect((await wordsOfSession()).sort()).toEqual(['after', 'after', 'failed', 'kubectl', 'rm', 'text']);
});

it('as written they never fire', async () => {
  await enable(hookedPlugin(), false, ['Bash', 'Read']);
  expect(await wordsOfSession()).toEqual([]);
});

it.each([true, false])(
  "a command's grant of its plugin's own server counts once translated (%s)",
  async (translate) => {
    const server = (await readPlugin(join(REPOSITORY, 'tests/fixtures/devops-essentials'), { maxBytes: 1e6 })).filter(
      (file) => file.path === '.mcp.json' || file.path === 'server.mjs',
    );
    const command = '---\ndescription: Ask the server\nallowed-tools: mcp__devops__*\n---\n\nPing.\n';
    const files = [
      ...pluginFiles({ '.claude-plugin/plugin.json': manifestWith(), 'commands/ask.md': command }),
      ...server,
    ];
    await enable(files, translate, []);
    await scriptedSession(home, [{ tool: 'mcp__plugin_pp_devops__ping', input: { text: 'once' } }, { text: 'done' }], {
      prompt: '/pp:ask',
      env: { DEVOPS_PING_LOG: log },
    });
    expect(await readFile(log, 'utf8').catch(() => '')).toBe(translate ? 'ping once\n' : '');
  },
);
