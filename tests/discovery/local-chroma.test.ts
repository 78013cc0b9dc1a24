// A hub that keeps a Chroma server of its own: started, started again, ended; and left out where it cannot run.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { readHubConfig } from '../../server/src/hub/config.ts';
import { discoveryOf } from '../../server/src/hub/discovery/discovery-of.ts';
import { startLocalChroma } from '../../server/src/hub/discovery/local-chroma.ts';
import { startTimeOf } from '../../server/src/machine/processes/process-identity.ts';
import { ask, publish, type TestHub, testHub } from '../hub/support.ts';
import { chromaBinding } from './chroma-server.ts';

const binding = await chromaBinding();
if ('missing' in binding) console.warn(`A Chroma server of the hub's own left out: ${binding.missing}`);
const log = { info: () => undefined, warn: () => undefined, error: () => undefined };

describe.skipIf('missing' in binding)('hv hub --chroma local', () => {
  let t: TestHub | undefined;
  afterEach(async () => {
    await t?.close();
    t = undefined;
  });
  const pidOf = async (): Promise<number> =>
    JSON.parse(await readFile(join(t?.config.dataDir ?? '', 'chroma.pid'), 'utf8')).pid;
  const backend = async () => {
    const body = { search_query: 'kitten' };
    const found = (await ask(t?.url ?? '', 'POST', '/api/plugins/search', { token: t?.admin, body })).expect(200);
    if (t !== undefined) await discoveryOf(t.hub.context).settled();
    return found.backend;
  };

  it('answers from its own server, starts it again after kill -9, and ends it with the hub', async () => {
    const path = 'path' in binding ? binding.path : '';
    t = await testHub('sqlite', { config: { localChroma: true, chromaBinding: path } });
    for (let i = 0; i < 12; i++) await publish(t.url, t.admin, { name: `kitten-${i}` }, ['web']);
    await expect.poll(backend, { interval: 300 }).toBe('chroma');
    const first = await pidOf();
    process.kill(first, 'SIGKILL');
    await expect.poll(pidOf).not.toBe(first);
    await expect.poll(backend, { interval: 500 }).toBe('chroma');
    expect(t.config.chromaUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    // Its folder is taken away below it, and once more while it is dead.
    for (const kill of [false, true]) {
      const before = await pidOf();
      await rm(join(t.config.dataDir, 'chroma'), { recursive: true });
      if (kill) process.kill(before, 'SIGKILL');
      await publish(t.url, t.admin, { name: kill ? 'kitten-x' : 'kitten-y' }, ['web']);
      await expect.poll(pidOf).not.toBe(before);
      await expect.poll(backend, { interval: 500 }).toBe('chroma');
    }
    const second = await pidOf();
    expect(await startTimeOf(second)).not.toBeNull();
    await t.close();
    t = undefined;
    expect(await startTimeOf(second)).toBeNull();
  }, 300_000);
});

it('goes on without where the server cannot be loaded', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hv chroma ü '));
  try {
    const broken = join(folder, 'broken.cjs');
    await writeFile(broken, "throw new Error('GLIBC_2.99 not found');");
    const warned: unknown[] = [];
    const warn = (fields: unknown, message: string) => void warned.push([fields, message]);
    expect(await startLocalChroma({ dataDir: folder, binding: broken, log: { ...log, warn } })).toBeUndefined();
    expect(warned).toEqual([
      [expect.objectContaining({ err: expect.stringContaining('GLIBC') }), expect.stringContaining('cannot run')],
    ]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

it('is chosen by a flag or the environment', () => {
  const read = (flags: object, env: Record<string, string> = {}) => {
    const {
      localChroma,
      chromaUrl,
      chromaBinding: named,
    } = readHubConfig(flags, { HAIVEMIND_HOME: '/nonexistent', ...env });
    return [localChroma, chromaUrl, named];
  };
  expect(read({ chroma: 'local' })).toEqual([true, undefined, undefined]);
  expect(read({}, { HAIVEMIND_CHROMA_URL: 'local', HAIVEMIND_CHROMA_BINDING: '/b' })).toEqual([true, undefined, '/b']);
  expect(read({ chroma: 'http://c:8000' }, { HAIVEMIND_CHROMA_URL: 'local' })).toEqual([
    undefined,
    'http://c:8000',
    undefined,
  ]);
  expect(() => read({ chroma: 'here' })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
});
