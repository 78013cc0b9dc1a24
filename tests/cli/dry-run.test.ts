// What a dry run of a publication says, by what the hub answers; an older one cannot answer at all.
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { publish } from '../../server/src/interfaces/cli/verbs/publishing.ts';
import { writeFiles } from '../client/harness/hand-made-plugin.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { verbCall } from '../support/verb-call.ts';
import { json, problem, type ScriptedHub, scriptedHub } from './scripted-hub.ts';

let hub: ScriptedHub;
let home: TempHome;
beforeEach(async () => {
  hub = await scriptedHub({
    'GET /api/whoami': (_, response) =>
      json(response, {
        token: { id: 't', name: 'op', roles: ['operator'] },
        machine: null,
        hub: { id: 'h', public_key: 'k', epoch: 1, version: '1.0.0' },
      }),
    '*': (_, response) => problem(response, 404, 'PLUGIN_NOT_FOUND', 'nothing of it'),
  });
  home = await tempHome('newer');
  const manifest = { name: 'early', version: '1.0.0', description: 'D', author: { name: 'T' } };
  await writeFiles(home.project, { 'early/.claude-plugin/plugin.json': manifest, 'early/commands/a.md': 'Say hello.' });
});
afterEach(async () => {
  await hub.close();
  await home.remove();
});

const dryRun = (target: object = { all: true }) =>
  publish(
    verbCall(home, hub.url, 'hvt_x', { args: [join(home.project, 'early')], options: { ...target, dryRun: true } }),
  );

it('shows a dry run of a publication, and that such a hub cannot tell which machines', async () => {
  hub.answers['POST /api/plugins/preview'] = (_, response) =>
    problem(response, 405, 'METHOD_NOT_ALLOWED', 'POST is not for /api/plugins/preview');
  const { json: told, text } = await dryRun();
  expect(told).toMatchObject({ dry_run: true, name: 'early', groups: ['*'], machines: null });
  expect(text).toContain('this hub is older than `hv` and cannot tell which machines');
});

it('tells any other refusal as it is', async () => {
  hub.answers['POST /api/plugins/preview'] = (_, response) => problem(response, 403, 'FORBIDDEN', 'not you');
  await expect(dryRun()).rejects.toMatchObject({ code: 'FORBIDDEN' });
});

it('says that an operator may have to look where that hangs on what the hub has yet to see', async () => {
  const answer = { groups: ['*'], machines: ['web1'] };
  const waits = 'it waits for an operator (`hv approve`)';
  for (const [more, said] of [
    [{ may_be_held: true }, true],
    [{}, false],
  ] as const) {
    hub.answers['POST /api/plugins/preview'] = (_, response) => json(response, { ...answer, ...more });
    const { text } = await dryRun();
    expect(text).toContain('1 machine (web1)');
    expect(text.includes(waits)).toBe(said);
  }
});

it('shows what would be sent where no target is named yet', async () => {
  hub.answers['POST /api/plugins/preview'] = (_, response) =>
    problem(response, 422, 'TARGET_REQUIRED', 'early@1.0.0 names no machine_groups, and no target group was given');
  const { json: told, text } = await dryRun({});
  expect(told).toMatchObject({ dry_run: true, name: 'early', groups: [], machines: [] });
  expect(text).toContain('early 1.0.0 names no target: publish it with --groups a,b or --all');
  expect(text).toContain('digest sha256:');
  // Where one was named, the hub's word on it is the answer.
  await expect(dryRun()).rejects.toMatchObject({ code: 'TARGET_REQUIRED' });
});
