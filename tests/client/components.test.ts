// Which commands, agents and skills the real client finds is what we count, list and copy.
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { componentsOf } from '../../server/src/domain/version/components.ts';
import { parseFrontMatter } from '../../server/src/domain/version/front-matter.ts';
import { tempHome } from '../support/temp-home.ts';
import { enableByHand, writeFiles } from './harness/hand-made-plugin.ts';
import { scriptedSession } from './harness/with-model.ts';

const c = '---\ndescription: x\n---\nbody\n';
const a = (name: string) => `---\nname: ${name}\ndescription: x\n---\nbody\n`;
const folders = { 'commands/o.md': c, 'commands/sub/od.md': c, 'agents/o.md': a('ao'), 'skills/d/SKILL.md': a('x') };
const PLUGINS: [Record<string, unknown>, Record<string, string>][] = [
  [{}, folders],
  [{ commands: './new/' }, { ...folders, 'new/n.md': c, 'new/sub/deep.md': c }],
  [{ commands: ['./new/', './commands/'] }, { ...folders, 'new/n.md': c }],
  [{ commands: ['./commands/sub/'] }, folders],
  [{ commands: ['./commands/sub/od.md'] }, folders],
  [{ commands: ['./new/', './new/sub/'] }, { 'new/n.md': c, 'new/sub/deep.md': c }],
  [{ commands: { go: { source: './c/run.md' } } }, { ...folders, 'c/run.md': c }],
  [{ commands: './' }, { 'top.md': c, 'docs/z.md': c }],
  [{ commands: [], agents: [] }, folders],
  [{ agents: ['./a/x.md'] }, { ...folders, 'a/x.md': a('ax'), 'a/y.md': a('ay') }],
  [{ agents: './agents/o.md' }, { 'agents/o.md': a('ao'), 'agents/p.md': a('ap') }],
  [{ skills: './know/' }, { ...folders, 'know/k/SKILL.md': a('k') }],
  [{ skills: ['./know/k'] }, { 'know/k/SKILL.md': a('other'), 'know/l/SKILL.md': a('l') }],
  [{ skills: ['./know/'] }, { 'know/SKILL.md': a('knowme'), 'know/d/SKILL.md': a('d') }],
  [{ skills: ['./skills/g'] }, { 'skills/g/x/SKILL.md': a('x'), 'skills/e/SKILL.md': a('e') }],
  [{ skills: [] }, { 'skills/d/SKILL.md': a('d'), 'SKILL.md': a('r') }],
  [{}, { 'SKILL.md': a('rooty'), 'commands/y.md': c }],
  [{}, { 'SKILL.md': a('rooty'), 'skills/README.md': 'x' }],
  [{ skills: './' }, { 'SKILL.md': a('rooty'), 'skills/d/SKILL.md': a('d'), 'sub/SKILL.md': a('s') }],
  [{ skills: '.' }, { 'know/SKILL.md': a('k'), 'x/y/SKILL.md': a('y') }],
  [{}, { 'skills/SKILL.md': a('only'), 'skills/d/SKILL.md': a('d') }],
  [{}, { 'skills/a/b/SKILL.md': a('b'), 'skills/a/SKILL.md': a('a'), 'skills/g/h/SKILL.md': a('h') }],
];

it('is the same, plugin by plugin', async () => {
  const home = await tempHome('components');
  const market = join(home.project, 'market');
  const names = PLUGINS.map((_plugin, i) => `p${i}`);
  for (const [i, [manifest, files]] of PLUGINS.entries()) {
    const plugin = { name: `p${i}`, version: '1.0.0', description: 'd', ...manifest };
    await writeFiles(join(market, `p${i}`), { '.claude-plugin/plugin.json': plugin, ...files });
  }
  const bad = { name: 'bad', version: '1.0.0', description: 'd' };
  await writeFiles(join(market, 'bad'), { '.claude-plugin/plugin.json': bad, 'SKILL.md': a('"x') });
  await enableByHand(join(home.home, '.claude'), market, [...names, 'bad']);
  const { init } = await scriptedSession(home);
  const own = (list: string[], name: string) => list.filter((item) => item.startsWith(`${name}:`));
  const seen = names.map((name) => ({
    commands: own(init.slash_commands, name)
      .filter((item) => !init.skills.includes(item))
      .sort(),
    agents: own(init.agents, name).sort(),
    skills: own(init.skills, name).sort(),
  }));
  const ours = PLUGINS.map(([manifest, files], i) => {
    const called = (kind: string) =>
      componentsOf(manifest, Object.keys(files))
        .filter((component) => component.kind === kind)
        .map(({ file, name, namesItself }) => {
          const said = namesItself ? parseFrontMatter(files[file] ?? '').data.name : undefined;
          return `p${i}:${said ?? name.replaceAll('/', ':')}`;
        })
        .sort();
    return { commands: called('command'), agents: called('agent'), skills: called('skill') };
  });
  expect(ours).toEqual(seen);
  // FRONT_MATTER_INVALID is right there too, though `claude plugin validate` does not look.
  expect(own(init.skills, 'bad')).toEqual([]);
  await home.remove();
});
