// What packing makes of a plugin in the seed's form is what the real client accepts and loads; as written it is not.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { packPlugin, type SourceFile } from '../../server/src/domain/version/package.ts';
import { readPlugin } from '../../server/src/machine/read-plugin.ts';
import { scaffold } from '../../server/src/machine/scaffold/index.ts';
import { REPOSITORY } from '../support/repository.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { listPlugins } from './harness/claude-plugin.ts';
import { writeFiles } from './harness/hand-made-plugin.ts';
import { validateByClient } from './harness/validate.ts';
import { scriptedSession } from './harness/with-model.ts';

const MAX = { maxBytes: 50 * 1024 * 1024 };
const fixture = (name: string) => join(REPOSITORY, 'tests', 'fixtures', name);

let home: TempHome;
beforeEach(async () => {
  home = await tempHome('packed');
});
afterEach(() => home.remove());

async function writePacked(files: SourceFile[], to: string): Promise<void> {
  const packed = packPlugin(files, { ...MAX, now: new Date('2026-01-01T00:00:00Z') });
  for (const file of packed.record.files) {
    await mkdir(dirname(join(to, file.path)), { recursive: true });
    await writeFile(join(to, file.path), packed.blobs.get(file.sha256) ?? '', {
      mode: file.executable ? 0o755 : 0o644,
    });
  }
}

it('the client refuses the seed manifest as written and accepts it packed', async () => {
  const asWritten = await validateByClient(home, fixture('devops-essentials'));
  expect(asWritten.success).toBe(false);
  const to = join(home.project, 'devops-essentials');
  await writePacked(await readPlugin(fixture('devops-essentials'), MAX), to);
  expect(await validateByClient(home, to)).toMatchObject({ success: true, errors: [] });
});

it('packed, it loads with its dependency and all its parts', async () => {
  const market = join(home.project, 'market');
  for (const name of ['devops-essentials', 'base-memory-tools']) {
    await writePacked(await readPlugin(fixture(name), MAX), join(market, name));
  }
  const plugins = ['devops-essentials', 'base-memory-tools'];
  await writeFiles(market, {
    '.claude-plugin/marketplace.json': {
      name: 'm',
      owner: { name: 'T' },
      plugins: plugins.map((name) => ({ name, source: `./${name}` })),
    },
  });
  await writeFiles(join(home.home, '.claude'), {
    'settings.json': {
      extraKnownMarketplaces: { m: { source: { source: 'directory', path: market } } },
      enabledPlugins: Object.fromEntries(plugins.map((name) => [`${name}@m`, true])),
    },
  });
  const { init } = await scriptedSession(home);
  expect(init.plugins.map((plugin) => plugin.name).sort()).toEqual(['base-memory-tools', 'devops-essentials']);
  expect(init.slash_commands).toContain('devops-essentials:deploy');
  expect(init.agents).toContain('devops-essentials:security-auditor');
  expect(init.skills).toContain('devops-essentials:incident-response');
  expect(init.mcp_servers).toContainEqual(
    expect.objectContaining({ name: 'plugin:devops-essentials:devops', status: 'connected' }),
  );
  expect((await listPlugins(home)).flatMap((plugin) => plugin.errors ?? [])).toEqual([]);
});

it('a scaffold with every component is clean as written', async () => {
  const files = scaffold('my-plugin', { components: ['commands', 'agents', 'skills', 'hooks', 'mcp'] });
  const to = join(home.project, 'my-plugin');
  for (const file of files) {
    await mkdir(dirname(join(to, file.path)), { recursive: true });
    await writeFile(join(to, file.path), file.bytes, { mode: file.executable ? 0o755 : 0o644 });
  }
  // What it declares the client does not know.
  const own = expect.stringContaining("Unknown field 'haivemind'");
  expect(await validateByClient(home, to)).toMatchObject({ success: true, errors: [], warnings: [own] });
});
