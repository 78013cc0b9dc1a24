// A job of a CI has a new HOME each time: what docs/configuration.md tells it to bring, and what it hears without.
import { cp, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeFiles } from '../client/harness/hand-made-plugin.ts';
import { Collective } from '../support/collective.ts';
import { hv, hvOk } from '../support/hv.ts';
import type { TempHome } from '../support/temp-home.ts';

let collective: Collective;
let author: TempHome;
const keyFile = (home: TempHome) => join(home.home, '.haivemind', 'keys', 'publisher.pem');

beforeAll(async () => {
  collective = await Collective.start();
  author = await collective.home('author');
});
afterAll(() => collective.close());

/** What a job is given: the plugin in this version, the hub and a token. */
async function job(home: TempHome, version: string) {
  const manifest = { name: 'from-ci', version, description: 'D', author: { name: 'T' } };
  await writeFiles(home.project, {
    'from-ci/.claude-plugin/plugin.json': manifest,
    'from-ci/commands/a.md': `---\ndescription: D\n---\nSay ${version}.`,
  });
  const env = { HAIVEMIND_HUB_URL: collective.hub.url, HAIVEMIND_TOKEN: collective.hub.joinToken };
  return [['publish', './from-ci', '--all'], { env }] as const;
}

it('says that a key was made, once, and that it is to be kept', async () => {
  const [args, options] = await job(author, '1.0.0');
  const first = await hv(author, [...args], options);
  expect(first.code).toBe(0);
  expect(first.stdout).toContain(`a key was made to sign it: ${keyFile(author)}`);
  expect(first.stdout).toContain('Back it up');
  expect(await readFile(keyFile(author), 'utf8')).toContain('PRIVATE KEY');
  expect(await hvOk(author, [...args], options)).not.toHaveProperty('new_key');
});

it('publishes as the same publisher from a HOME that the key was brought to', async () => {
  const home = await collective.home('job 1');
  await mkdir(join(home.home, '.haivemind', 'keys'), { recursive: true });
  await cp(keyFile(author), keyFile(home));
  const [args, options] = await job(home, '1.1.0');
  const told = await hvOk(home, [...args], options);
  expect(told).toMatchObject({ version: '1.1.0', created: true });
  expect(told).not.toHaveProperty('new_key');
  expect(told).not.toHaveProperty('changed_key');
});

it('says in its answer where the key is missing', async () => {
  const home = await collective.home('job 2');
  const [args, options] = await job(home, '1.2.0');
  const told = await hvOk(home, [...args], options);
  expect(told).toMatchObject({ new_key: { keyid: told.changed_key.keyid, file: keyFile(home) } });
});
