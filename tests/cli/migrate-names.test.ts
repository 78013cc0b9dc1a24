// Own things whose names no plugin may have, or which no plugin ships, stay; the rest moves all the same.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { planMigration } from '../../server/src/client/migrate/plan.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { clientAt } from '../support/verb-call.ts';

let home: TempHome;
beforeEach(async () => {
  home = await tempHome('names');
});
afterEach(() => home.remove());

const plan = async (...paths: string[]) => {
  for (const path of paths) {
    const file = join(home.home, '.claude', path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, '---\ndescription: Goes\n---\nGo\n');
  }
  const ctx = await clientAt(home, 'http://127.0.0.1:1', 'none');
  const { moved, left, packed } = await planMigration(ctx, { name: 'mine' });
  const paths_ = packed?.record.files.map((f) => f.path) ?? [];
  return { moved: moved.map((m) => m.name), left: left.map((l) => [l.name, l.why]), paths: paths_ };
};

it('a name that Windows forbids', async () => {
  const { moved, left, paths } = await plan(
    ...['commands/deploy.md', 'commands/git:sync.md', 'commands/what?.md'],
    ...['skills/tidy/SKILL.md', 'skills/odd/SKILL.md', 'skills/odd/nul.txt'],
  );
  expect(moved).toEqual(['deploy', 'tidy']);
  expect(left).toEqual([
    ['git:sync', expect.stringContaining('Windows forbids')],
    ['what?', expect.stringContaining('Windows forbids')],
    ['odd', expect.stringContaining('Windows device')],
  ]);
  expect(paths).toEqual(['.claude-plugin/plugin.json', 'commands/deploy.md', 'skills/tidy/SKILL.md']);
});

it('names that are one on some systems', async () => {
  const { moved, left } = await plan(
    ...['commands/Deploy.md', 'commands/deploy.md', 'commands/caf\u00e9.md', 'commands/cafe\u0301.md'],
    ...['skills/Tidy/SKILL.md', 'skills/tidy/SKILL.md'],
  );
  // The second of two; both where nothing tells which is which.
  expect(moved).toEqual(['Deploy', 'Tidy']);
  expect(left).toHaveLength(4);
  for (const [, why] of left) expect(why).toContain('are one on some systems');
});

it('what holds a private file, which no plugin ships', async () => {
  const { moved, left } = await plan(
    ...['skills/tidy/SKILL.md', 'skills/tidy/.env.example', 'skills/odd/SKILL.md', 'skills/odd/.env'],
  );
  expect([moved, left]).toEqual([['tidy'], [['odd', expect.stringContaining('skills/odd/.env')]]]);
});
