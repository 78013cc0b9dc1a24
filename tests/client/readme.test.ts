// What the README tells a new author to type, typed.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Collective } from '../support/collective.ts';
import { hv } from '../support/hv.ts';
import { REPOSITORY } from '../support/repository.ts';
import type { TempHome } from '../support/temp-home.ts';
import { scriptedSession } from './harness/with-model.ts';

let collective: Collective;
let machine: TempHome;
let transcript = '';

beforeAll(async () => {
  collective = await Collective.start();
  machine = await collective.machine('web-1');
  const readme = await readFile(join(REPOSITORY, 'README.md'), 'utf8');
  transcript = readme.split('## Your first plugin')[1]?.split('With a second version')[0] ?? '';
});
afterAll(() => collective.close());

it('takes four commands at most from nothing to a session elsewhere', async () => {
  const [author = '', elsewhere = ''] = transcript.split('On a machine that joined');
  const typed = (text: string) => [...text.matchAll(/^ {4}\$ (.+)$/gm)].map((m) => (m[1] ?? '').split(' '));
  const commands = [
    ...typed(author).map((words) => [collective.operator, words] as const),
    ...typed(elsewhere).map((words) => [machine, words] as const),
  ];
  expect(commands.length).toBeGreaterThan(2);
  expect(commands.length).toBeLessThanOrEqual(4);
  const started = performance.now();
  let session: Awaited<ReturnType<typeof scriptedSession>> | undefined;
  for (const [home, [program, ...args]] of commands) {
    if (program === 'claude') {
      session = await scriptedSession(home, [{ text: 'done' }], { prompt: '/log-helper:hello' });
      continue;
    }
    expect(program).toBe('hv');
    const run = await hv(home, args);
    expect([args.join(' '), run.code, run.stderr]).toEqual([args.join(' '), 0, '']);
  }
  console.log(
    `README: ${commands.length} commands, ${((performance.now() - started) / 1000).toFixed(1)} s from create to loaded`,
  );
  expect(session?.init.plugins.map((p) => p.name)).toContain('log-helper');
  expect(session?.init.slash_commands).toContain('log-helper:hello');
  expect(session?.result.is_error).toBe(false);
});
