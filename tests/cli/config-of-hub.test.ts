// `hv config set` of keys that the hub reads: what it takes, a hub starts with.
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { setConfig } from '../../server/src/client/configure.ts';
import { type ClientContext, openClient } from '../../server/src/client/context.ts';
import { FINDING_CODES } from '../../server/src/domain/findings/codes.ts';
import { readHubConfig } from '../../server/src/hub/config.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';

let home: TempHome;
let ctx: ClientContext;
const hubConfig = () => readHubConfig({}, { HAIVEMIND_HOME: join(home.home, '.haivemind') });

beforeEach(async () => {
  home = await tempHome('config');
  const none = { claudeConfigDir: undefined, haivemindHome: undefined, caFile: undefined };
  ctx = await openClient({ home: home.home, path: '', hubUrl: undefined, token: undefined, ...none });
});
afterEach(() => home.remove());

it.each([
  ['limits', '{"foo":1}', /plugins\.limits: .*foo/],
  ['limits', '{"token_per_second":-1}', /plugins\.limits\.token_per_second/],
  ['limits', '{"machine_burst":"9"}', /plugins\.limits\.machine_burst/],
  ['plugins.findings', '{"PATH_UNSAFE":"loud"}', /plugins\.findings\.PATH_UNSAFE/],
  ['findings', '{"NOPE":"error"}', /plugins\.findings: no finding is called NOPE/],
  ['allowed_sources', '["haivmind"]', /plugins\.allowed_sources: there is no source "haivmind"/],
  ['approval_groups', 'web,-x', /plugins\.approval_groups: "-x" is no group's name/],
  ['approval_groups', `["${'a'.repeat(65)}"]`, /plugins\.approval_groups: "aaa/],
  ['max_plugin_size_mb', '4096', /plugins\.max_plugin_size_mb/],
  ['registry_db', '/srv/other.sqlite', /plugins\.registry_db must name a file plugins\.db/],
])('refuses %s %s, and changes nothing', async (key, value, message) => {
  await expect(setConfig(ctx, key, value)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringMatching(message),
  });
  expect(hubConfig()).toMatchObject({ maxPluginSizeMb: 50 });
});

it('names the finding that was meant, and takes every code that a finding may have', async () => {
  await expect(setConfig(ctx, 'findings', '{"SECRET_FUND":"error"}')).rejects.toMatchObject({
    hint: expect.stringContaining('Did you mean SECRET_FOUND?'),
  });
  const all = Object.fromEntries(FINDING_CODES.map((code) => [code, 'note']));
  expect(await setConfig(ctx, 'findings', JSON.stringify(all))).toEqual({ 'plugins.findings': all });
  expect(FINDING_CODES).toEqual(expect.arrayContaining(['UNICODE_BIDI', 'PATH_UNSAFE', 'SCRIPT_MISSING']));
});

it('takes what fits, which the hub then reads, and takes it out again', async () => {
  await setConfig(ctx, 'limits', '{"token_per_second":7}');
  await setConfig(ctx, 'registry_db', '/srv/hub/plugins.db');
  await setConfig(ctx, 'approval_groups', 'web,prod-*,*');
  expect(hubConfig().approvalGroups).toEqual(['web', 'prod-*', '*']);
  expect(hubConfig()).toMatchObject({ dataDir: '/srv/hub', limits: { tokenRequests: { perSecond: 7 } } });
  await setConfig(ctx, 'limits', null);
  await setConfig(ctx, 'approval_groups', null);
  expect(hubConfig()).toMatchObject({ approvalGroups: [], limits: { tokenRequests: { perSecond: 1000 } } });
});
