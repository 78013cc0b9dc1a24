// Publishing an older version than the one that machines have, or what was revoked: the rehearsal and the publication say the same.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { publish } from '../../server/src/interfaces/cli/verbs/publishing.ts';
import { writeFiles } from '../client/harness/hand-made-plugin.ts';
import { ask, type TestHub, testHub } from '../hub/support.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { verbCall } from '../support/verb-call.ts';

let hub: TestHub;
let home: TempHome;
let token: string;
beforeAll(async () => {
  hub = await testHub('sqlite');
  home = await tempHome('author');
  token = await hub.token(['publisher']);
  for (const name of ['m1', 'm2']) await hub.machine(name);
});
afterAll(async () => {
  await hub?.close();
  await home?.remove();
});

async function run(version: string, options: Record<string, unknown> = {}, ref?: string) {
  await writeFiles(home.project, {
    'lh/.claude-plugin/plugin.json': { name: 'lh', version, description: 'D', author: { name: 'T' } },
    'lh/commands/go.md': '---\ndescription: Goes\n---\nGo\n',
  });
  return publish(verbCall(home, hub.url, token, { args: [ref ?? './lh'], options: { all: true, ...options } }));
}

it('names the machines that have a newer one', async () => {
  expect((await run('1.0.0', { dryRun: true })).text).toContain('to everybody: 2 machines (m1, m2)\n');
  expect((await run('1.0.0')).text).toContain('to everybody: 2 machines (m1, m2)');
  const why = 'to everybody: no machine gets it; 2 machines (m1, m2) should have 1.0.0, which is newer';
  const instead = [{ version: '1.0.0', machines: ['m1', 'm2'] }];
  for (const [options, ref] of [[{ dryRun: true }], [{}], [{ dryRun: true }, 'lh@0.9.0']] as const) {
    const { text, json } = await run('0.9.0', options, ref);
    expect(text).toContain(why);
    expect(json).toMatchObject({ machines: [], instead });
  }
  expect((await run('1.1.0', { dryRun: true })).text).toContain('to everybody: 2 machines (m1, m2)\n');
});

it('names the revoked version whose content it has', async () => {
  await run('2.0.0');
  const body = { reason: 'steals keys' };
  const { status } = await ask(hub.url, 'POST', '/api/plugins/lh@2.0.0/revoke', { token: hub.admin, body });
  expect(status).toBe(200);
  for (const [options, ref] of [[{ dryRun: true }], [{}], [{ dryRun: true }, 'lh@2.0.1']] as const) {
    const { text, json } = await run('2.0.1', options, ref);
    expect(text).toContain('it has the content of lh 2.0.0, which was revoked: steals keys');
    expect(json).toMatchObject({ revoked_content: { version: '2.0.0', reason: 'steals keys' } });
  }
});
