// The line that a hub with a certificate of a private authority prints: it joins a fresh machine, and only by that authority.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { authorityOf } from '../../server/src/hub/bundle.ts';
import { certify } from '../support/certificates.ts';
import { Collective } from '../support/collective.ts';
import { runProcess } from '../support/run-process.ts';
import type { TempHome } from '../support/temp-home.ts';

let folder: string;
let collective: Collective;
let line: string;
const pem = (name: string) => readFile(join(folder, name), 'utf8');
const type = (home: TempHome, text: string) => runProcess('sh', ['-c', text], { cwd: home.project, env: home.env() });
const hv = (home: TempHome) => join(home.home, '.haivemind', 'bin', 'hv.mjs');
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hv line ü '));
  await certify(folder, 'own');
  await certify(folder, 'other');
  const files = ['--tls-cert', join(folder, 'own-chain.pem'), '--tls-key', join(folder, 'own.key')];
  collective = await Collective.start({ args: files });
  line = String(collective.hub.ready.join_line);
});
afterAll(async () => {
  await collective?.close();
  await rm(folder, { recursive: true, force: true });
});

it('joins over TLS, keeps the authority, and goes on by it alone', async () => {
  expect(collective.hub.url).toMatch(/^https:/);
  const home = await collective.home('fresh');
  const run = await type(home, line);
  expect({ code: run.code, stderr: run.stderr }).toEqual({ code: 0, stderr: '' });
  const config = JSON.parse(await readFile(join(home.home, '.haivemind', 'config.json'), 'utf8'));
  expect([config.hub_url, config.hub_ca.trim()]).toEqual([collective.hub.url, (await pem('own-ca.pem')).trim()]);
  const sync = await runProcess(process.execPath, [hv(home), 'sync', '--json'], { cwd: home.project, env: home.env() });
  expect([sync.code, JSON.parse(sync.stdout).problems]).toEqual([0, []]);
});

it('tells no token to a hub of another authority than the line names', async () => {
  const home = await collective.home('elsewhere');
  const other = authorityOf(await pem('other-ca.pem')) ?? '';
  const wrong = line.replace(/sha256:[0-9a-f]{64}/, other);
  expect(wrong).not.toBe(line);
  const run = await type(home, wrong);
  expect([run.code === 0, run.stderr]).toEqual([false, expect.stringContaining('CERTIFICATE_MISMATCH')]);
  await expect(readFile(join(home.home, '.haivemind', 'config.json'))).rejects.toThrow(/ENOENT/);
});

it('keeps nothing of a program whose bytes are not those that the line names', async () => {
  const home = await collective.home('tampered');
  const sha = / ([0-9a-f]{64}) /.exec(line)?.[1] ?? '';
  expect(sha).toHaveLength(64);
  const run = await type(home, line.replace(sha, `${sha[0] === '0' ? '1' : '0'}${sha.slice(1)}`));
  expect(run.code).not.toBe(0);
  await expect(readFile(hv(home))).rejects.toThrow(/ENOENT/);
});
