// Errors of ours that `claude plugin validate` does not have: each is something that does not work in a session.
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { HaiveError } from '../../server/src/domain/errors.ts';
import { translate } from '../../server/src/domain/translate/index.ts';
import { validatePlugin } from '../../server/src/domain/validate/index.ts';
import { packPlugin, type SourceFile } from '../../server/src/domain/version/package.ts';
import { readPlugin } from '../../server/src/machine/read-plugin.ts';
import { M, md, on } from '../packaging/one-fault.ts';
import { manifestWith, pluginFiles } from '../support/plugin-files.ts';
import { REPOSITORY } from '../support/repository.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { writeSource } from './agreement/compare.ts';
import { listPlugins } from './harness/claude-plugin.ts';
import { writeFiles } from './harness/hand-made-plugin.ts';
import { scriptedSession } from './harness/with-model.ts';

let home: TempHome;
const log = () => join(home.project, 'log');
const logged = () => readFile(log(), 'utf8').catch(() => '');
const say = (word: string) => ({ type: 'command', command: `echo ${word} >> '${log()}'` });
beforeEach(async () => {
  home = await tempHome('extra');
});
afterEach(() => home.remove());

/** Enables plugins by hand, so that none of our checks stands in the way. */
async function enable(plugins: Record<string, SourceFile[]>): Promise<void> {
  const market = join(home.project, 'market');
  await rm(market, { recursive: true, force: true });
  for (const [name, files] of Object.entries(plugins)) await writeSource(join(market, name), files);
  const names = Object.keys(plugins);
  await writeFiles(market, {
    '.claude-plugin/marketplace.json': {
      name: 'm',
      owner: { name: 'T' },
      plugins: names.map((name) => ({ name, source: `./${name}` })),
    },
  });
  await writeFiles(join(home.home, '.claude'), {
    'settings.json': {
      extraKnownMarketplaces: { m: { source: { source: 'directory', path: market } } },
      enabledPlugins: Object.fromEntries(names.map((name) => [`${name}@m`, true])),
    },
  });
}
const errors = (files: SourceFile[]) => validatePlugin(files).flatMap((f) => (f.severity === 'error' ? [f.code] : []));
const bash = (command: string) => ({ tool: 'Bash', input: { command, description: 'x' } });

it('HOOK_MATCHER_RULE: a permission rule as matcher never fires, with an if beside it or without', async () => {
  const files = pluginFiles({
    ...M({}),
    'hooks/hooks.json': {
      hooks: {
        PreToolUse: [
          { matcher: 'Bash(echo:*)', hooks: [{ ...say('both'), if: 'Bash(echo a:*)' }] },
          { matcher: 'Bash', hooks: [{ ...say('right'), if: 'Bash(echo:*)' }] },
        ],
      },
    },
  });
  expect(errors(files)).toEqual(['HOOK_MATCHER_RULE']);
  await enable({ pp: files });
  await scriptedSession(home, [bash('echo a b'), { text: 'done' }], { extraArgs: ['--allowedTools', 'Bash'] });
  expect(await logged()).toBe('right\n');
});

it('HOOK_MCP_TOOL_EARLY: mcp_tool on SessionStart calls nothing', async () => {
  const server = (await readPlugin(join(REPOSITORY, 'tests/fixtures/devops-essentials'), { maxBytes: 1e6 })).filter(
    (f) => ['.mcp.json', 'server.mjs'].includes(f.path),
  );
  const call = (event: string) => [
    ...pluginFiles({
      ...M({}),
      ...on(event, { type: 'mcp_tool', server: 'plugin:pp:devops', tool: 'ping', input: { text: event } }),
    }),
    ...server,
  ];
  expect(errors(call('SessionStart'))).toEqual(['HOOK_MCP_TOOL_EARLY']);
  expect(errors(call('UserPromptSubmit'))).toEqual([]);
  for (const [event, expected] of [
    ['SessionStart', ''],
    ['UserPromptSubmit', 'ping UserPromptSubmit\n'],
  ] as const) {
    await enable({ pp: call(event) });
    await scriptedSession(home, [{ text: 'done' }], { env: { DEVOPS_PING_LOG: log() } });
    expect([event, await logged()]).toEqual([event, expected]);
  }
});

it('DEPENDENCY_UNSATISFIABLE: the plugin does not load; one that depends on itself does', async () => {
  const command = { 'commands/a.md': md('description: x') };
  const other = pluginFiles({
    '.claude-plugin/plugin.json': manifestWith({ name: 'q', version: '1.5.0' }),
    ...command,
  });
  const loaded = async (dependencies: unknown, code: string | undefined) => {
    const files = pluginFiles({ ...M({ dependencies }), ...command });
    expect(errors(files)).toEqual(code === undefined ? [] : [code]);
    await enable({ pp: files, q: other });
    const { init } = await scriptedSession(home);
    return [init.slash_commands.includes('pp:a'), (await listPlugins(home)).flatMap((p) => p.errors ?? []).length > 0];
  };
  expect((await loaded([{ name: 'q', version: '^1.0.0' }], undefined))[0]).toBe(true);
  expect((await loaded([{ name: 'q', version: '>2.0.0 <1.0.0' }], 'DEPENDENCY_UNSATISFIABLE'))[0]).toBe(false);
  expect((await loaded(['pp'], undefined))[0]).toBe(true);
});

it('HOOK_MATCHER_SERVER: the short name of an own tool never matches; translated it does', async () => {
  const server = (await readPlugin(join(REPOSITORY, 'tests/fixtures/devops-essentials'), { maxBytes: 1e6 })).filter(
    (f) => ['.mcp.json', 'server.mjs'].includes(f.path),
  );
  const files = [...pluginFiles({ ...M({}), ...on('PreToolUse', say('seen'), 'mcp__devops__.*') }), ...server];
  expect(validatePlugin(files).map((f) => f.code)).toEqual(['HOOK_MATCHER_SERVER']);
  const session = () =>
    scriptedSession(home, [{ tool: 'mcp__plugin_pp_devops__ping', input: { text: 'x' } }, { text: 'done' }], {
      extraArgs: ['--allowedTools', 'mcp__plugin_pp_devops__ping'],
    });
  await enable({ pp: files });
  await session();
  expect(await logged()).toBe('');
  const translated = translate(files);
  expect(translated.changes.map((c) => c.rule)).toEqual(['hook-matcher-server']);
  expect(translate(translated.files).changes).toEqual([]);
  await enable({ pp: translated.files });
  await session();
  expect(await logged()).toBe('seen\n');
});

const named = (name: string) =>
  pluginFiles({ '.claude-plugin/plugin.json': manifestWith({ name }), 'commands/a.md': md('description: x') });

it('NAME_INVALID: a name that no marketplace may list is never loaded; one that only the registry refuses is', async () => {
  const never = ['prüfer', '-x', '_x', 'org:plugin', 'c++'];
  const registryOnly = ['a..b', 'con', 'cache', 'x'.repeat(65)];
  for (const name of never) expect([name, errors(named(name))]).toEqual([name, ['NAME_INVALID']]);
  for (const name of registryOnly) {
    const [finding] = validatePlugin(named(name));
    expect([finding?.severity, finding?.message]).toEqual([
      'warning',
      expect.stringContaining('Only the registry refuses'),
    ]);
    expect(() => packPlugin(named(name), { maxBytes: 1e6, now: new Date() })).toThrow(HaiveError);
  }
  await enable(Object.fromEntries([...never, ...registryOnly].map((name) => [name, named(name)])));
  const { init } = await scriptedSession(home);
  expect(init.plugins.map((p) => p.name).sort()).toEqual([...registryOnly].sort());
});

it('DEPENDENCY_UNSATISFIABLE: a version that is no range is never met; "latest" is translated', async () => {
  const files = (version: string) => [
    ...pluginFiles({ ...M({ dependencies: [{ name: 'q', version }] }), 'commands/a.md': md('description: x') }),
  ];
  const loads = async (given: SourceFile[]) => {
    await enable({ pp: given, q: named('q') });
    return (await scriptedSession(home)).init.slash_commands.includes('pp:a');
  };
  expect(errors(files('one'))).toEqual(['DEPENDENCY_UNSATISFIABLE']);
  expect(await loads(files('one'))).toBe(false);
  expect(validatePlugin(files('latest')).map((f) => [f.severity, f.code])).toEqual([
    ['warning', 'DEPENDENCY_UNSATISFIABLE'],
  ]);
  expect(await loads(files('latest'))).toBe(false);
  expect(await loads(translate(files('latest')).files)).toBe(true);
  expect(errors(files(''))).toEqual([]);
  expect(await loads(files(''))).toBe(true);
});

it('FRONT_MATTER_INVALID: where the validator of the client does not look, its fields are dropped all the same', async () => {
  const places = (front: string) => ({
    ...M({ skills: ['./k/s'], agents: ['./x/a.md'], commands: ['./c/a.md'] }),
    'k/s/SKILL.md': md(`name: s\ndescription: ${front}`),
    'x/a.md': md(`description: ${front}\nname: z`),
    'c/a.md': md(`description: ${front}`),
  });
  const [broken, whole] = [pluginFiles(places('"x')), pluginFiles(places('x'))];
  expect(errors(broken)).toEqual(['FRONT_MATTER_INVALID', 'FRONT_MATTER_INVALID', 'FRONT_MATTER_INVALID']);
  expect(errors(whole)).toEqual([]);
  const seen = async (files: SourceFile[]) => {
    await enable({ pp: files });
    const { init } = await scriptedSession(home);
    return [init.skills.includes('pp:s'), init.agents.filter((a) => a.startsWith('pp:'))];
  };
  expect(await seen(broken)).toEqual([false, ['pp:a']]);
  expect(await seen(whole)).toEqual([true, ['pp:z']]);
});

it('what is not loaded is told: nested skills, folders that plugin.json puts aside, skills beside skills/SKILL.md', async () => {
  const skill = (name: string) => md(`name: ${name}\ndescription: x`);
  const cases: [Record<string, unknown>, string, string[]][] = [
    [{ 'skills/group/s/SKILL.md': skill('s') }, 'SKILL_FILE_MISSING', []],
    [{ 'skills/SKILL.md': skill('s'), 'skills/b/SKILL.md': skill('b') }, 'SKILL_PLACE', ['pp:s']],
    [
      { ...M({ commands: ['./c/a.md'] }), 'c/a.md': md('description: x'), 'commands/b.md': md('description: x') },
      'COMPONENT_SHADOWED',
      ['pp:a'],
    ],
  ];
  for (const [contents, code, commands] of cases) {
    const files = pluginFiles({ ...M({}), ...contents });
    expect(validatePlugin(files).map((f) => f.code)).toEqual([code]);
    await enable({ pp: files });
    const { init } = await scriptedSession(home);
    expect(init.slash_commands.filter((c) => c.startsWith('pp:'))).toEqual(commands);
  }
});

it('HOOK_MATCHER_CONDITION and HOOK_MATCHER_TOOL: neither a condition nor a name in other capitals ever fires', async () => {
  const never = ['tool == "Bash"', 'Bash && Edit', '"Bash"', "'Bash'", '/Bash/', 'bash', 'BASH|edit'];
  const fires = ['Bash"|Bash', 'Edit|Bash', 'Edit, Bash', '^Bash$', 'Ba.h'];
  const files = pluginFiles({
    ...M({}),
    'hooks/hooks.json': {
      hooks: { PreToolUse: [...never, ...fires].map((matcher, i) => ({ matcher, hooks: [say(String(i))] })) },
    },
  });
  const codes = validatePlugin(files).map((f) => f.code);
  expect(codes).toEqual([...Array(5).fill('HOOK_MATCHER_CONDITION'), 'HOOK_MATCHER_TOOL', 'HOOK_MATCHER_TOOL']);
  await enable({ pp: files });
  await scriptedSession(home, [bash('echo a'), { text: 'done' }], { extraArgs: ['--allowedTools', 'Bash'] });
  const fired = (await logged())
    .trim()
    .split('\n')
    .map(Number)
    .sort((a, b) => a - b);
  expect(fired).toEqual(fires.map((_m, i) => never.length + i));
});

it('FRONT_MATTER_LARGE: the client loads it, so only the registry says no', async () => {
  const files = pluginFiles({ ...M({}), 'commands/a.md': md(`description: x\nmore: ${'y'.repeat(70_000)}`) });
  const [finding] = validatePlugin(files);
  expect([finding?.code, finding?.severity]).toEqual(['FRONT_MATTER_LARGE', 'warning']);
  expect(() => packPlugin(files, { maxBytes: 1e6, now: new Date() })).toThrow('longer than 64 KB');
  await enable({ pp: files });
  expect((await scriptedSession(home)).init.slash_commands).toContain('pp:a');
});
