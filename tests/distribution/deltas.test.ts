// An update over a real hub: differences where the machine has a base, and never more than it lacks.
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { brotliDecompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hubFor } from '../../server/src/client/context.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import type { BodyIn } from '../../server/src/contract/endpoints.ts';
import { decodeFrames, endFrame, type Frame } from '../../server/src/contract/frames.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { getRecord } from '../../server/src/machine/store/blob-store.ts';
import { ask, publish, type TestHub, testHub } from '../hub/support.ts';
import { type RealClient, realClient } from './real-client.ts';

const long = (word: string): string => Array.from({ length: 400 }, (_, i) => `${word} line ${i * 7919}`).join('\n');

describe('an update', () => {
  let t: TestHub;
  let machine: RealClient;
  beforeEach(async () => {
    t = await testHub('sqlite');
    await publish(t.url, t.admin, { name: 'aa', files: { 'docs/a.md': long('a'), 'docs/b.md': long('b') } });
    machine = await realClient(t.url, t.hub.joinToken, 'm1');
  });
  afterEach(async () => {
    await machine.remove();
    await t.close();
  });

  const next = { name: 'aa', version: '1.1.0', files: { 'docs/a.md': `${long('a')}\nmore`, 'docs/b.md': long('b') } };
  const receipt = async () => (await readReceipts(machine.ctx.machine)).plugins.aa;
  const digestOf = async (version: string): Promise<string> =>
    String((await ask(t.url, 'GET', `/api/plugins/plugin_aa_${version}`, { token: t.admin })).json.digest);

  async function transfer(body: BodyIn<'transfer'>): Promise<Frame[]> {
    const hub = await hubFor(machine.ctx, 'machine');
    try {
      const frames: Frame[] = [];
      const { body: answer } = await hub.open('transfer', { body });
      for await (const frame of decodeFrames(answer, 1e8)) frames.push(frame);
      return frames;
    } finally {
      hub.close();
    }
  }
  const kinds = (frames: Frame[]): string[] => frames.map((f) => f.header.t);

  it('travels as the differences of its record and of the files that changed', async () => {
    await publish(t.url, t.admin, next);
    const [base, digest] = [await digestOf('1.0.0'), await digestOf('1.1.0')];
    const frames = await transfer({ versions: [digest], have: [base], forms: ['delta', 'batch', 'none-such'] });
    expect(kinds(frames)).toEqual(['record', 'delta', 'delta', 'delta']);
    expect(frames.reduce((sum, f) => sum + f.bytes.length, 0)).toBeLessThan(1200);
    expect(kinds(await transfer({ versions: [digest], have: [base] }))).toEqual(['record', 'blob', 'blob', 'blob']);
    await syncMachine(machine.ctx, { mode: 'agent' });
    expect([(await receipt())?.version, (await getRecord(machine.ctx.machine, digest))?.record.digest]).toEqual([
      '1.1.0',
      digest,
    ]);
  });

  it('is not fetched where there is no room for it, and comes once there is', async () => {
    await publish(t.url, t.admin, next);
    const { ctx } = machine;
    const before = (await readdir(ctx.machine.paths.blobs)).sort();
    const full = { ...ctx, machine: { ...ctx.machine, room: () => 1000 } };
    await expect(syncMachine(full, { mode: 'agent' })).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect((await readdir(ctx.machine.paths.blobs)).sort()).toEqual(before);
    expect((await receipt())?.version).toBe('1.0.0');
    await syncMachine({ ...ctx, machine: { ...ctx.machine, room: () => 1_000_000 } }, { mode: 'agent' });
    expect((await receipt())?.version).toBe('1.1.0');
  });

  it('is whole where the base on this disk is not what it was', async () => {
    await publish(t.url, t.admin, next);
    const { blobs } = machine.ctx.machine.paths;
    const digest = (await receipt())?.digest ?? '';
    for (const { sha256, size } of (await getRecord(machine.ctx.machine, digest))?.record.files ?? []) {
      await writeFile(join(blobs, sha256), 'x'.repeat(size));
    }
    await syncMachine(machine.ctx, { mode: 'agent' });
    expect((await receipt())?.version).toBe('1.1.0');
    const files = (await readdir(join(machine.ctx.machine.paths.root, (await receipt())?.dir ?? '', 'docs'))).sort();
    expect(files).toEqual(['a.md', 'b.md']);
  });

  it('takes no base that the caller may not read', async () => {
    await publish(t.url, t.admin, { name: 'secret', files: { 'docs/a.md': long('a') } }, ['others']);
    await publish(t.url, t.admin, next);
    const secret = String(
      (await ask(t.url, 'GET', '/api/plugins/plugin_secret_1.0.0', { token: t.admin })).json.digest,
    );
    const digest = await digestOf('1.1.0');
    const frames = await transfer({ versions: [digest], have: [secret], forms: ['delta'] });
    expect(kinds(frames)).not.toContain('delta');
    expect(frames.every((f) => f.header.t !== 'record' || f.header.base === undefined)).toBe(true);
  });

  it('brings versions of which nothing is here as one batch, and one of which something is file by file', async () => {
    await publish(t.url, t.admin, { name: 'bb', files: { 'docs/b.md': `${long('b')}\nand more` } });
    const bb = String((await ask(t.url, 'GET', '/api/plugins/plugin_bb_1.0.0', { token: t.admin })).json.digest);
    const digest = await digestOf('1.0.0');
    const frames = await transfer({ versions: [digest, bb], forms: ['batch'] });
    expect(kinds(frames)).toEqual(['batch']);
    const inner: Frame[] = [];
    const unpacked = brotliDecompressSync(frames[0]?.bytes ?? Buffer.alloc(0));
    for await (const frame of decodeFrames(Readable.from([unpacked, endFrame()]), 1e8)) inner.push(frame);
    expect(kinds(inner)).toEqual(['record', 'pack', 'record', 'pack']);
    const kept = await getRecord(machine.ctx.machine, digest);
    const sizes = kept?.record.files.reduce((sum, f) => sum + f.size, 0);
    const pack = inner[inner.findIndex((f) => f.header.t === 'record' && f.header.digest === digest) + 1];
    expect(pack?.bytes.length).toBe(sizes);
    const have = [kept?.record.files[0]?.sha256 ?? ''];
    expect(kinds(await transfer({ versions: [digest], have_blobs: have, forms: ['batch'] }))).not.toContain('batch');
  });
});
