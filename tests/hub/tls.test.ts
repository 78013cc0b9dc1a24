import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createSecureServer, followCertificate } from '../../server/src/hub/http/certificate.ts';
import { ask, testHub } from './support.ts';

describe('a hub with a certificate', () => {
  let folder: string;
  const file = (name: string) => join(folder, name);
  const makeCertificate = (key: string, cert: string) => {
    const options = [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=127.0.0.1',
    ];
    const names = ['-addext', 'subjectAltName=IP:127.0.0.1'];
    execFileSync('openssl', ['req', '-x509', ...options, ...names, '-keyout', file(key), '-out', file(cert)], {
      stdio: 'ignore',
    });
  };
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hv tls '));
    makeCertificate('key', 'cert');
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('speaks https to who trusts it', async () => {
    const t = await testHub('sqlite', { config: { tls: { cert: file('cert'), key: file('key') } } });
    expect(t.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    const ca = await readFile(file('cert'));
    const status = await new Promise((resolve, reject) => {
      request(`${t.url}/readyz`, { ca, agent: false }, (response) => resolve(response.resume().statusCode))
        .on('error', reject)
        .end();
    });
    expect(status).toBe(200);
    await expect(ask(t.url, 'GET', '/readyz')).rejects.toThrow();
    await t.close();
  });

  it('takes up a certificate that was renewed, and keeps the one before while that cannot be used', async () => {
    const tls = { cert: file('renewed cert'), key: file('renewed key') };
    await copyFile(file('cert'), tls.cert);
    await copyFile(file('key'), tls.key);
    const t = await testHub('sqlite', { config: { tls }, limits: { certificateMs: 20 } });
    const shown = () =>
      new Promise<string>((resolve, reject) => {
        const socket = connect({ port: t.hub.port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
          resolve(socket.getPeerCertificate().fingerprint256);
          socket.destroy();
        }).on('error', reject);
      });
    const before = await shown();
    makeCertificate('next key', 'next cert');
    await copyFile(file('next cert'), tls.cert);
    const warned = () => t.logged.some((l) => l.level === 'warn' && /cannot be used/.test(l.message));
    await vi.waitFor(() => expect(warned()).toBe(true), { timeout: 10_000 });
    expect(await shown()).toBe(before);
    await copyFile(file('next key'), tls.key);
    await vi.waitFor(async () => expect(await shown()).not.toBe(before), { timeout: 10_000 });
    await t.close();
  });

  it('takes up one that was renewed while the hub was starting', async () => {
    const tls = { cert: file('starting cert'), key: file('starting key') };
    await copyFile(file('cert'), tls.cert);
    await copyFile(file('key'), tls.key);
    const server = createSecureServer({}, tls, () => {});
    makeCertificate('later key', 'later cert');
    await copyFile(file('later cert'), tls.cert);
    await copyFile(file('later key'), tls.key);
    const told: string[] = [];
    const log = { info: (_: object, message: string) => void told.push(message), warn: () => {}, error: () => {} };
    const stop = followCertificate(server, tls, 5, log);
    await vi.waitFor(() => expect(told).not.toEqual([]), { timeout: 60_000 });
    await stop();
    // Once, and not what stays the same.
    expect(told).toEqual(['took up the renewed certificate']);
  });

  it('does not start with a certificate that is none', async () => {
    await writeFile(file('bad'), 'nonsense');
    const starts = testHub('sqlite', { config: { tls: { cert: file('bad'), key: file('key') } } });
    await expect(starts).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(file('bad')),
    });
    const missing = testHub('sqlite', { config: { tls: { cert: file('none'), key: file('key') } } });
    await expect(missing).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: /none.* does not exist/ });
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    await writeFile(file('other'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const other = testHub('sqlite', { config: { tls: { cert: file('cert'), key: file('other') } } });
    await expect(other).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: /not the one of the certificate/ });
  });

  it.each(['pkcs8', 'pkcs1'] as const)('says of a key that is encrypted (%s) what it is', async (type) => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const secret = { format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' } as const;
    await writeFile(file('locked'), privateKey.export({ type, ...secret }));
    const locked = testHub('sqlite', { config: { tls: { cert: file('cert'), key: file('locked') } } });
    await expect(locked).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: /locked is encrypted/,
      hint: expect.stringContaining('openssl pkey'),
    });
  });
});

describe('a hub behind a proxy', () => {
  it('limits by the address that the proxy wrote, not by what the client claims', async () => {
    const t = await testHub('sqlite', { config: { behindProxy: true }, limits: { failedAuthPerMinute: 2 } });
    const from = (address: string) =>
      ask(t.url, 'GET', '/api/whoami', { token: 'hvt_x', headers: { 'x-forwarded-for': address } });
    const codes: string[] = [];
    for (const address of ['9.9.9.9, 1.1.1.1', '8.8.8.8, 1.1.1.1', '7.7.7.7, 1.1.1.1', '2.2.2.2'])
      codes.push((await from(address)).code);
    expect(codes).toEqual(['TOKEN_INVALID', 'TOKEN_INVALID', 'RATE_LIMITED', 'TOKEN_INVALID']);
    await t.close();
  });
});
