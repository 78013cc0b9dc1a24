// A hub with a certificate of a private authority: who joins pins that authority by its fingerprint, and nobody else is believed.
import { X509Certificate } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hubFor, openClient } from '../../server/src/client/context.ts';
import { machineProof } from '../../server/src/client/hub/machine-key.ts';
import { openSocket } from '../../server/src/client/hub/socket.ts';
import { joinHub } from '../../server/src/client/join/index.ts';
import { fetchAuthority, parseFingerprint } from '../../server/src/client/trust/pinned-authority.ts';
import { authorityOf, joinLine } from '../../server/src/hub/bundle.ts';
import { askHub } from '../../server/src/interfaces/hook/ask-hub.ts';
import { certify } from '../support/certificates.ts';
import { type TestHub, testHub } from './support.ts';

const code = (expected: string) => expect.objectContaining({ code: expected });
let folder: string;
let hub: TestHub;
let fingerprint: string;
const file = (name: string) => join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hv pin ü '));
  await certify(folder, 'own');
  await certify(folder, 'other');
  hub = await testHub('sqlite', { config: { tls: { cert: file('own-chain.pem'), key: file('own.key') } } });
  fingerprint = authorityOf(await readFile(file('own-chain.pem'), 'utf8')) ?? '';
});
afterAll(async () => {
  await hub?.close();
  await rm(folder, { recursive: true, force: true });
});

async function machine(name: string) {
  const home = join(folder, name);
  await mkdir(home, { recursive: true });
  const none = {
    claudeConfigDir: undefined,
    haivemindHome: undefined,
    hubUrl: undefined,
    token: undefined,
    caFile: undefined,
  };
  return openClient({ home, path: '', ...none });
}

describe('a private authority', () => {
  it('is named by the join line, whatever form a person writes its fingerprint in', async () => {
    const pem = await readFile(file('own-ca.pem'), 'utf8');
    const colons = new X509Certificate(pem).fingerprint256;
    expect(parseFingerprint(colons)).toBe(fingerprint);
    expect(joinLine(hub.url, 'hvt_x', '0'.repeat(64), fingerprint)).toMatch(
      new RegExp(`--ca-fingerprint ${fingerprint}$`),
    );
    expect(joinLine(hub.url, 'hvt_x', '0'.repeat(64))).not.toContain('--ca-fingerprint');
    // A certificate alone, whose authority is not with it, cannot be pinned.
    expect(authorityOf(await readFile(file('own.pem'), 'utf8'))).toBeNull();
    expect(authorityOf('nothing')).toBeNull();
  });

  it('is pinned at join, kept, and used by calls, doorbell and hook', async () => {
    const ctx = await machine('good');
    const joined = await joinHub(ctx, {
      url: hub.url,
      token: hub.hub.joinToken,
      name: 'good',
      caFingerprint: fingerprint,
    });
    expect(joined.machine.name).toBe('good');
    const again = await machine('good');
    expect(again.config.hub_ca?.trim()).toBe((await readFile(file('own-ca.pem'), 'utf8')).trim());
    const client = await hubFor(again, 'machine');
    expect((await client.call('whoami')).machine?.name).toBe('good');
    client.close();
    const { token = '', hub_ca: ca } = again.config;
    const opening = { url: hub.url, token, ca, heartbeatMs: 60_000, onMessage: () => {} };
    const socket = await openSocket({ ...opening, prove: machineProof(again) });
    socket.close();
    const question = { url: hub.url, token, etag: undefined, timeoutMs: 10_000 };
    expect(await askHub({ ...question, ca })).toEqual({ kind: 'changed' });
    expect(await askHub(question)).toMatchObject({ kind: 'away' });
  });

  it('is not believed without its fingerprint, nor by that of another; nothing is sent and nothing kept', async () => {
    const other = authorityOf(await readFile(file('other-ca.pem'), 'utf8')) ?? '';
    const ctx = await machine('bad');
    const wish = { url: hub.url, token: hub.hub.joinToken, name: 'bad' };
    await expect(joinHub(ctx, wish)).rejects.toThrow(code('HUB_UNREACHABLE'));
    await expect(joinHub(ctx, { ...wish, caFingerprint: other })).rejects.toThrow(code('CERTIFICATE_MISMATCH'));
    await expect(joinHub(ctx, { ...wish, caFingerprint: 'sha256:12' })).rejects.toThrow(code('USAGE'));
    await expect(fetchAuthority('http://127.0.0.1:1', fingerprint)).rejects.toThrow(code('USAGE'));
    await expect(readFile(ctx.machine.paths.config)).rejects.toThrow();
  });

  it('is held to: a hub that shows up later with the certificate of another gets no token', async () => {
    const ctx = await machine('later');
    await joinHub(ctx, { url: hub.url, token: hub.hub.joinToken, name: 'later', caFingerprint: fingerprint });
    const thief = await testHub('sqlite', {
      config: { tls: { cert: file('other-chain.pem'), key: file('other.key') } },
    });
    try {
      const moved = { ...ctx, env: { ...ctx.env, hubUrl: thief.url } };
      const client = await hubFor(moved, 'machine');
      await expect(client.call('whoami')).rejects.toThrow(code('HUB_UNREACHABLE'));
      client.close();
    } finally {
      await thief.close();
    }
  });
});
