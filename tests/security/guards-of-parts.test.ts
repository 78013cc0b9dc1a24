// Checks that stand behind others: each alone, where an attack would meet the one before it first.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { decodeFrames, encodeFrame, endFrame } from '../../server/src/contract/frames.ts';
import type { Role } from '../../server/src/contract/roles.ts';
import { signRotation } from '../../server/src/domain/approval.ts';
import { fromDelta } from '../../server/src/domain/plan/delta.ts';
import type { PlanEntry } from '../../server/src/domain/plan/index.ts';
import { checkPath } from '../../server/src/domain/safe-path.ts';
import { createKeyPair, keyIdOf, openJson, sealJson } from '../../server/src/domain/signing/dsse.ts';
import { readZip } from '../../server/src/domain/version/archive.ts';
import { parseFrontMatter } from '../../server/src/domain/version/front-matter.ts';
import {
  checkRecord,
  RECORD_PAYLOAD_TYPE,
  type VersionRecord,
  versionDigest,
} from '../../server/src/domain/version/record.ts';
import { fromRecordDelta } from '../../server/src/domain/version/record-delta.ts';
import { requirePublisher } from '../../server/src/hub/registry/access.ts';
import { receiveFrames } from '../../server/src/hub/registry/receive-frames.ts';
import { readArchiveRequest, readBytes } from '../../server/src/hub/registry/uploads.ts';
import { type Machine, openMachine } from '../../server/src/machine/machine.ts';
import { machinePaths } from '../../server/src/machine/paths.ts';
import {
  getRecord,
  hasBlob,
  putBlob,
  putRecord,
  readBlob,
  sha256Of,
} from '../../server/src/machine/store/blob-store.ts';
import {
  ask,
  PUBLISHER,
  publish,
  register,
  registerRequest,
  sourceFiles,
  type TestHub,
  type TestHubOptions,
  testHub,
} from '../hub/support.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { zip } from './attack-rows.ts';

const code = (expected: string) => expect.objectContaining({ code: expected });
const sha = 'a'.repeat(64);
const file = (path: string) => ({ path, sha256: sha, size: 1, executable: false });
function recordOf(files = [file('a'), file('b')], more: Partial<VersionRecord> = {}): VersionRecord {
  const digest = versionDigest('p', '1.0.0', files);
  const packedAt = '2026-01-01T00:00:00.000Z';
  return { format: 1, name: 'p', version: '1.0.0', digest, files, imported: false, packedAt, ...more };
}

describe('a path is refused for its own reason', () => {
  it.each([
    ['', 'is empty'],
    ['/etc/passwd', 'is absolute'],
    ['C:/x', 'names a drive'],
    ['a/../b', 'has the segment ..'],
    ['./a', 'has the segment .'],
    [
      `${'d'.repeat(200)}/${'e'.repeat(200)}/${'f'.repeat(200)}/${'g'.repeat(200)}/${'h'.repeat(230)}`,
      'is longer than',
    ],
  ])('%j %s', (path, why) => {
    expect(() => checkPath(path)).toThrow(why);
  });
});

describe('archives and front matter are refused for their own reason', () => {
  const entry = (name: string, bytes: string) => ({ name, bytes });
  it('many entries, and more bytes than may be, before one is inflated', async () => {
    const two = await zip([entry('a.txt', 'aaaa'), entry('b.txt', 'bbbb')]);
    await expect(readZip(two, { maxBytes: 100, maxFiles: 1 })).rejects.toThrow('2 entries or more');
    // Broken, so that inflating would be what fails.
    const broken = Buffer.from(two);
    broken.fill(0xff, 35, 37);
    await expect(readZip(broken, { maxBytes: 5, maxFiles: 9 })).rejects.toThrow(code('PLUGIN_TOO_LARGE'));
  });

  it('a directory that says it is long, before it is read', async () => {
    const long = await zip([entry('a.txt', 'aaaa')]);
    for (const at of [8, 10]) long.writeUInt16LE(500, long.length - 22 + at);
    await expect(readZip(long, { maxBytes: 100, maxFiles: 9 })).rejects.toThrow('500 entries or more');
  });

  it('an entry that is not where the directory says', async () => {
    const moved = await zip([entry('a.txt', 'aaaa')]);
    moved.write('XX', 0, 'latin1');
    await expect(readZip(moved, { maxBytes: 100, maxFiles: 9 })).rejects.toThrow(
      "not where the archive's directory says",
    );
  });

  it('merges without end, before they are followed', () => {
    const many = Array.from({ length: 40 }, (_, i) => `k${i}:\n  <<: *a`).join('\n');
    expect(() => parseFrontMatter(`---\na: &a {x: 1}\n${many}\n---\n`)).toThrow('merges too many');
    expect(() => parseFrontMatter(`---\na: &a {x: 1}\nb:\n  <<: *a\n---\n`)).not.toThrow();
  });

  it('nesting without end', () => {
    const deep = `${'['.repeat(40)}${']'.repeat(40)}`;
    expect(() => parseFrontMatter(`---\na: ${deep}\n---\n`)).toThrow('too large or too deep');
    const wide = Array.from({ length: 10_001 }, () => '1').join(',');
    expect(() => parseFrontMatter(`---\na: [${wide}]\n---\n`)).toThrow('too large or too deep');
  });
});

describe('envelopes and records', () => {
  it('takes no key of another length', () => {
    const short = Buffer.alloc(31, 1).toString('base64');
    const envelope = {
      ...sealJson('t', {}, createKeyPair().privatePem),
      signatures: [{ keyid: keyIdOf(short), sig: 'AA==' }],
    };
    expect(() => openJson(envelope, 't', [short])).toThrow(code('SIGNATURE_INVALID'));
  });

  it.each<[string, VersionRecord, string]>([
    ['a format to come', recordOf(undefined, { format: 2 }), 'FORMAT_UNSUPPORTED'],
    ['files out of order', recordOf([file('b'), file('a')]), 'DIGEST_MISMATCH'],
    ['a file twice', recordOf([file('a'), file('a')]), 'DIGEST_MISMATCH'],
    ['another digest', recordOf(undefined, { digest: `sha256:${sha}` }), 'DIGEST_MISMATCH'],
  ])('refuses a record with %s', (_what, record, expected) => {
    expect(() => checkRecord(recordOf())).not.toThrow();
    expect(() => checkRecord(record)).toThrow(code(expected));
  });

  it('unfolds no difference without end', () => {
    const base = { plugins: Array.from({ length: 1000 }, () => ({}) as PlanEntry) };
    const unfold = (runs: number) =>
      fromDelta(base, { plugins: Array.from({ length: runs }, () => [0, 1000]) } as never);
    expect(unfold(2)?.plugins).toHaveLength(2000);
    expect(unfold(200)).toBeNull();
    const record = { ...recordOf(), files: Array.from({ length: 200 }, () => [0, 1000]) } as never;
    expect(fromRecordDelta({ files: Array.from({ length: 1000 }, () => file('a')) }, record)).toBeNull();
  });
});

describe('frames', () => {
  const blob = (header: object) =>
    Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), Buffer.from('x'), endFrame()]);
  const read = async (bytes: Buffer, max = 10) => {
    const frames = [];
    for await (const frame of decodeFrames(Readable.from([bytes]), max)) frames.push(frame);
    return frames;
  };
  it.each<[string, Buffer, string]>([
    ['a header without end', Buffer.alloc(5000, 32), 'BODY_INVALID'],
    ['a kind that nobody knows', blob({ t: 'evil', n: 1 }), 'BODY_INVALID'],
    ['a negative length', blob({ t: 'record', n: -1 }), 'BODY_INVALID'],
    ['a length that is no number', blob({ t: 'record', n: '1' }), 'BODY_INVALID'],
    ['a hash that is a path', blob({ t: 'blob', sha256: '../x', enc: 'identity', n: 1 }), 'BODY_INVALID'],
    ['an encoding that nobody knows', blob({ t: 'blob', sha256: sha, enc: 'gzip', n: 1 }), 'BODY_INVALID'],
    ['a frame over the limit', blob({ t: 'record', n: 11 }), 'BODY_TOO_LARGE'],
    ['no end', encodeFrame({ t: 'record', n: 0 }, Buffer.from('x')), 'BODY_INVALID'],
  ])('with %s are refused', async (_what, bytes, expected) => {
    expect(await read(blob({ t: 'blob', sha256: sha, enc: 'identity', n: 1 }))).toHaveLength(1);
    await expect(read(bytes)).rejects.toThrow(code(expected));
  });

  it('with a header without end are refused before the end comes', async () => {
    const body = Buffer.concat([Buffer.alloc(5000, 32), blob({ t: 'record', n: 1 })]);
    const chunks = Readable.from([body.subarray(0, 4500), body.subarray(4500)]);
    const all = async () => {
      for await (const _ of decodeFrames(chunks, 10));
    };
    await expect(all()).rejects.toThrow('too long');
  });

  it.each<[string, (record: Buffer, frame: (sha256: string) => Buffer) => Buffer[], string, number?]>([
    ['two records', (record) => [record, record], 'BODY_INVALID'],
    ['a blob that no record names', (record, frame) => [record, frame('c'.repeat(64))], 'BODY_INVALID'],
    ['a blob before the record', (record, frame) => [frame(sha), record], 'BODY_INVALID'],
    ['more bytes than may be', (record) => [record], 'PLUGIN_TOO_LARGE', 1],
  ])('with %s are no registration', async (_what, order, expected, maxBytes = 100) => {
    const envelope = sealJson(RECORD_PAYLOAD_TYPE, recordOf(), PUBLISHER.privatePem);
    const record = encodeFrame({ t: 'record', n: 0 }, Buffer.from(JSON.stringify(envelope)));
    const frame = (sha256: string) => encodeFrame({ t: 'blob', sha256, enc: 'identity', n: 0 }, Buffer.from('x'));
    const body = Readable.from([...order(record, frame), endFrame()]);
    await expect(receiveFrames(body, PUBLISHER.publicKey, { maxBytes, maxFiles: 10 })).rejects.toThrow(code(expected));
  });

  it('and archives over the limit, or by a path on the hub, are refused', async () => {
    await expect(readBytes(Readable.from([Buffer.alloc(6), Buffer.alloc(6)]), 10)).rejects.toThrow(
      code('PLUGIN_TOO_LARGE'),
    );
    const body = Buffer.from(JSON.stringify({ plugin_path: '/etc', plugin_url: 'https://example.org/x.zip' }));
    await expect(readArchiveRequest(Readable.from([body]), 1000)).rejects.toThrow(code('BAD_REQUEST'));
  });
});

describe('a machine’s store', () => {
  let home: TempHome;
  let m: Machine;
  beforeAll(async () => {
    home = await tempHome('store');
    m = openMachine({ paths: machinePaths({ home: home.home }), clock: () => new Date() });
  });
  afterAll(() => home?.remove());

  it('keeps bytes by their own hash alone, and notices when they were swapped', async () => {
    const one = sha256Of('one');
    await expect(putBlob(m, one, Buffer.from('two'))).rejects.toThrow(code('HASH_MISMATCH'));
    expect(await hasBlob(m, one)).toBe(false);
    await putBlob(m, one, Buffer.from('one'));
    await writeFile(join(m.paths.blobs, one), 'two');
    await expect(readBlob(m, one)).rejects.toThrow(code('HASH_MISMATCH'));
    expect(await hasBlob(m, one)).toBe(false);
  });

  it('has no names that are paths', async () => {
    await expect(readBlob(m, '../../receipts.json')).rejects.toThrow(code('HASH_MISMATCH'));
    await expect(getRecord(m, 'sha256:../../receipts')).rejects.toThrow(code('DIGEST_MISMATCH'));
  });

  it('reads no record under another’s name', async () => {
    const [a, b] = [recordOf([file('a')]), recordOf([file('b')])];
    const envelope = sealJson(RECORD_PAYLOAD_TYPE, a, PUBLISHER.privatePem);
    await putRecord(m, envelope, a);
    const path = join(m.paths.records, `${b.digest.slice(7)}.json`);
    await writeFile(path, JSON.stringify({ format: 1, envelope, record: a }));
    expect((await getRecord(m, a.digest))?.record).toEqual(a);
    expect(await getRecord(m, b.digest)).toBeNull();
  });
});

describe('a hub', () => {
  const hubs: TestHub[] = [];
  afterAll(async () => {
    for (const t of hubs) await t.close();
  });
  async function hub(config: TestHubOptions['config'] = {}, limits: TestHubOptions['limits'] = {}) {
    const t = await testHub('sqlite', { config, limits });
    hubs.push(t);
    return { t, publisher: await t.token(['publisher']) };
  }
  const script = (text: string) => ({
    'hooks/hooks.json': JSON.stringify({ hooks: { Stop: [{ hooks: [{ type: 'command', command: 'node x.mjs' }] }] } }),
    'x.mjs': text,
  });

  it('holds everything where it offers only what was approved', async () => {
    const { t, publisher } = await hub({ approvals: 'always' });
    expect(await publish(t.url, publisher, { name: 'quiet' })).toMatchObject({ status: 'registered', held: {} });
  });

  it('holds what goes to groups that take only what was approved', async () => {
    const { t, publisher } = await hub({ approvals: 'never', approvalGroups: ['prod-*'] });
    expect(await publish(t.url, publisher, { name: 'quiet' }, ['prod-1'])).toHaveProperty('held');
    expect(await publish(t.url, publisher, { name: 'other' }, ['test-1'])).not.toHaveProperty('held');
    // A target may be a pattern as well: what reaches such a group by it waits, too.
    expect(await publish(t.url, publisher, { name: 'wide' }, ['p*'])).toHaveProperty('held');
    expect(await publish(t.url, publisher, { name: 'crossing' }, ['*-1'])).toHaveProperty('held');
    expect(await publish(t.url, publisher, { name: 'beside' }, ['test-*', 'pr-*'])).not.toHaveProperty('held');
  });

  it('holds changed programs behind an unchanged command line, where it is told so', async () => {
    const { t, publisher } = await hub({ approvals: 'code' });
    await publish(t.url, publisher, { name: 'runs', files: script('1') });
    const next = { name: 'runs', version: '1.1.0', files: script('2') };
    expect(await publish(t.url, publisher, next)).toMatchObject({ held: { code: ['x.mjs'] } });
  });

  it('gives bytes of a revoked version to nobody, also where they lie', async () => {
    const { t, publisher } = await hub();
    const m = await t.machine('m');
    const { digest } = await publish(t.url, publisher, { name: 'bad', files: { 'x.txt': 'bad bytes' } });
    const plugins = [{ name: 'bad', version: '1.0.0', digest, state: 'verified' }];
    const body = { counter: 1, haivemind_version: '1.0.0', plugins, holds: [] };
    (await ask(t.url, 'POST', '/api/machines/me/status', { token: m.token, body })).expect(200);
    const path = `/api/blobs/${createHash('sha256').update('bad bytes').digest('hex')}`;
    expect((await ask(t.url, 'GET', path, { token: m.token })).status).toBe(200);
    (await ask(t.url, 'POST', '/api/plugins/bad@1.0.0/revoke', { token: publisher, body: { reason: 'r' } })).expect(
      200,
    );
    for (const token of [m.token, publisher, t.admin])
      expect((await ask(t.url, 'GET', path, { token })).code).toBe('BLOB_NOT_FOUND');
  });

  it('takes a publisher’s key in one spelling alone', async () => {
    const { t, publisher } = await hub();
    const request = registerRequest(sourceFiles({ name: 'spelled' }), publisher);
    const spelled = (key: string) => ({ ...request, headers: { ...request.headers, 'haivemind-publisher-key': key } });
    const url = PUBLISHER.publicKey.replace('=', '').replaceAll('+', '-').replaceAll('/', '_');
    expect((await ask(t.url, 'POST', '/api/plugins/register', spelled(url))).code).toBe('SIGNATURE_INVALID');
    expect((await ask(t.url, 'POST', '/api/plugins/register', spelled(PUBLISHER.publicKey))).status).toBe(200);
  });

  it('hears no message over the limit, also one that it knows', async () => {
    const { t } = await hub({}, { socketPayloadBytes: 1000 });
    const socket = new WebSocket(`${t.url.replace('http', 'ws')}/ws/plugins`, {
      headers: { authorization: `Bearer ${t.admin}` },
    });
    await once(socket, 'open');
    socket.send(JSON.stringify({ type: 'resume', seq: 0, pad: 'x'.repeat(2000) }));
    const [closed] = await once(socket, 'close');
    expect([1009, 1006]).toContain(closed);
  });

  it('closes a socket when its token has ended', async () => {
    const { t } = await hub({}, { heartbeatMs: 1000 });
    const token = await t.token(['reader'], { expires_in_days: 1.2 / 86_400 });
    const socket = new WebSocket(`${t.url.replace('http', 'ws')}/ws/plugins`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const [closed] = await once(socket, 'close');
    expect(closed).toBe(4401);
  });

  it('closes a socket when the token that opened it was rotated away', async () => {
    const { t } = await hub({}, { heartbeatMs: 200 });
    const open = async (grace_minutes: number) => {
      const token = await t.token(['reader']);
      const socket = new WebSocket(`${t.url.replace('http', 'ws')}/ws/plugins`, {
        headers: { authorization: `Bearer ${token}` },
      });
      const closed = once(socket, 'close');
      await once(socket, 'message');
      const rotated = await ask(t.url, 'POST', '/api/whoami/rotate', { token, body: { grace_minutes } });
      rotated.expect(200);
      return { socket, closed };
    };
    const kept = await open(10);
    for (const grace of [0, 0.01]) expect((await (await open(grace)).closed)[0]).toBe(4401);
    expect(kept.socket.readyState).toBe(WebSocket.OPEN);
    kept.socket.terminate();
  });

  it('lets a contributor publish nothing, whatever address it finds', () => {
    const as = (roles: Role[]) => ({ tokenId: 't', name: 'n', roles, machineId: null, namePattern: null });
    expect(() => requirePublisher(as(['contributor', 'machine', 'reader']))).toThrow(code('FORBIDDEN'));
    expect(() => requirePublisher(as(['publisher']))).not.toThrow();
  });

  it('lets a revoked key name no other', async () => {
    const { t, publisher } = await hub();
    (await register(t.url, publisher, { name: 'signed' })).expect(200);
    (await ask(t.url, 'DELETE', `/api/keys/${keyIdOf(PUBLISHER.publicKey)}`, { token: t.admin })).expect(200);
    const rotation = {
      hub: t.hub.context.identity.id,
      from: PUBLISHER.publicKey,
      to: createKeyPair().publicKey,
      at: 'now',
    };
    const body = { public_key: PUBLISHER.publicKey, envelope: signRotation(rotation, PUBLISHER.privatePem) };
    expect((await ask(t.url, 'POST', '/api/keys/rotate', { token: publisher, body })).code).toBe('SIGNATURE_INVALID');
  });
});
