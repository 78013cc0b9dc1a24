// A program that is newer than its hub still says what it can without it.
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

const dryRun = () =>
  publish(
    verbCall(home, hub.url, 'hvt_x', { args: [join(home.project, 'early')], options: { all: true, dryRun: true } }),
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
