// `hv recommend` against a real hub: what it asks, what it prints, and what it refuses before it asks.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openClient } from '../../server/src/client/context.ts';
import { publishFolder } from '../../server/src/client/publish/index.ts';
import { styleFor } from '../../server/src/interfaces/cli/output.ts';
import type { VerbCall } from '../../server/src/interfaces/cli/verb.ts';
import { recommend } from '../../server/src/interfaces/cli/verbs/recommend.ts';
import { recommended } from '../../server/src/interfaces/mcp/say.ts';
import { writeFiles } from '../client/harness/hand-made-plugin.ts';
import { type TestHub, testHub } from '../hub/support.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';

let hub: TestHub;
let home: TempHome;
let reader: string;
const open = (token: string) =>
  openClient({
    home: home.home,
    path: '',
    hubUrl: hub.url,
    token,
    claudeConfigDir: undefined,
    haivemindHome: undefined,
    caFile: undefined,
  });

beforeAll(async () => {
  hub = await testHub('sqlite');
  home = await tempHome('advice');
  reader = await hub.token(['reader']);
  const author = await open(hub.admin);
  for (const [name, description] of [
    ['shard-mender', 'Finds out why an Elasticsearch cluster is yellow\u001b[2J'],
    ['poet', 'Writes poems about the sea'],
  ] as const) {
    await writeFiles(home.project, {
      [`${name}/.claude-plugin/plugin.json`]: { name, version: '1.0.0', description, author: { name: 'T' } },
      [`${name}/commands/go.md`]: '---\ndescription: go\n---\nGo.',
    });
    await publishFolder(author, join(home.project, name), { all: true, accept: true });
  }
});
afterAll(async () => {
  await hub?.close();
  await home?.remove();
});

async function run(task: string[], options: Record<string, unknown> = {}) {
  const call = { rest: task, options, style: styleFor(false), open: () => open(reader) } as unknown as VerbCall;
  const { json, text } = await recommend(call);
  return { json: json as { recommendations: { name: string; reason: string }[]; weak: boolean }, text: text ?? '' };
}
const failure = (task: string[], options: Record<string, unknown>) => run(task, options).catch((thrown) => thrown);

it('names what fits a task in words, and why', async () => {
  const { json, text } = await run(['my', 'cluster', 'is', 'yellow']);
  expect(json.recommendations[0]).toMatchObject({ name: 'shard-mender' });
  expect(json.recommendations[0]?.reason).toContain('yellow');
  expect(text).toMatch(/^NAME +VERSION +DESCRIPTION +WHY\nshard-mender +1\.0\.0 /);
  expect(text).not.toContain('\u001b');
});

it('hands keywords and the limit on', async () => {
  expect((await run(['something for the evening'], { keywords: 'poems, sea' })).json.recommendations[0]?.name).toBe(
    'poet',
  );
  const both = await run(['cluster'], { keywords: 'poems' });
  expect(both.json.recommendations.map((r) => r.name).sort()).toEqual(['poet', 'shard-mender']);
  expect((await run(['cluster'], { keywords: 'poems', limit: '1' })).json.recommendations).toHaveLength(1);
});

it('says so when there is nothing', async () => {
  const { json, text } = await run(['xyzzyplugh']);
  expect(json.recommendations).toEqual([]);
  expect(text).toContain('Nothing to recommend.');
  expect(text).not.toContain('the nearest');
  const nothing = { machine: null, recommendations: [], weak: true, unused: [], popular: [] };
  expect(recommended(nothing)).toBe('Nothing to recommend.');
  const popular = [{ name: 'poet', version: '1.0.0', description: 'x', machines: 2, uses: 3 }];
  expect(recommended({ ...nothing, popular })).toBe('Nothing to recommend.\nmost used: poet on 2 machines');
});

it('refuses options that say nothing, and a machine that is not there', async () => {
  expect(await failure(['x'], { limit: 'many' })).toMatchObject({ code: 'USAGE' });
  expect(await failure(['x'], { keywords: ' , ' })).toMatchObject({ code: 'USAGE' });
  expect(await failure(['x'], { capabilities: '' })).toMatchObject({ code: 'USAGE' });
  expect(await failure([], { machine: 'nobody' })).toHaveProperty('code');
});
