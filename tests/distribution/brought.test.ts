// One answer brings all that an installation needs; what does not do is asked for as ever.

import * as channel from 'node:diagnostics_channel';
import type { ClientRequest } from 'node:http';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hubFor } from '../../server/src/client/context.ts';
import type { HubClient } from '../../server/src/client/hub/hub-client.ts';
import { installBringing } from '../../server/src/client/install/bring.ts';
import { installPlugin } from '../../server/src/client/install/index.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { decodeFrames, encodeFrame, endFrame, FRAMES_TYPE, type Frame } from '../../server/src/contract/frames.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { ENGINES, publish, type TestHub, testHub } from '../hub/support.ts';
import { type RealClient, realClient } from './real-client.ts';

const long = (word: string): string => Array.from({ length: 300 }, (_, i) => `${word} line ${i * 7919}`).join('\n');

describe.each(ENGINES)('an installation on %s', (engine) => {
  let t: TestHub;
  let machine: RealClient;
  const asked: string[] = [];
  const note = (message: unknown): void => {
    const { method, path } = (message as { request: ClientRequest }).request;
    asked.push(`${method} ${path}`);
  };
  beforeEach(async () => {
    t = await testHub(engine);
    await publish(t.url, t.admin, { name: 'base', files: { 'docs/b.md': long('b') } }, ['nobody']);
    const needs = { dependencies: [{ name: 'base', version: '^1.0.0' }] };
    await publish(t.url, t.admin, { name: 'aa', files: { 'docs/a.md': long('a') }, manifest: needs }, ['nobody']);
    machine = await realClient(t.url, t.hub.joinToken, 'm1');
    channel.subscribe('http.client.request.start', note);
    asked.length = 0;
  });
  afterEach(async () => {
    channel.unsubscribe('http.client.request.start', note);
    await machine.remove();
    await t.close();
  });

  const here = async () =>
    Object.fromEntries(
      Object.values((await readReceipts(machine.ctx.machine)).plugins).map((p) => [p.name, p.version]),
    );
  const INSTALL = 'POST /api/plugins/aa/install';
  const REPORT = 'POST /api/machines/me/status';
  /** A sync through what the hub brought, as `installPlugin` makes it. */
  const syncThrough = (through: HubClient) =>
    syncMachine(machine.ctx, { mode: 'explicit', only: ['aa'], reason: 'install', through: () => through });

  it('asks once and reports once: a plugin with what it needs, an update, and a version that is here', async () => {
    await installPlugin(machine.ctx, 'aa');
    expect(await here()).toMatchObject({ aa: '1.0.0', base: '1.0.0' });
    await publish(t.url, t.admin, { name: 'aa', version: '2.0.0', files: { 'docs/a.md': `${long('a')}\nmore` } }, [
      'x',
    ]);
    await installPlugin(machine.ctx, 'aa@2.0.0');
    await installPlugin(machine.ctx, 'aa@1.0.0');
    expect(await here()).toMatchObject({ aa: '1.0.0' });
    expect(asked).toEqual([INSTALL, REPORT, INSTALL, REPORT, INSTALL, REPORT]);
  });

  it('sends an update as differences from what the machine has, and nothing that it has whole', async () => {
    await installPlugin(machine.ctx, 'aa');
    await publish(t.url, t.admin, { name: 'aa', version: '2.0.0', files: { 'docs/a.md': `${long('a')}\nmore` } }, [
      'x',
    ]);
    const update = await kindsOf('2.0.0', [await digestOf('aa')]);
    expect([...new Set(update)]).toEqual(['installed', 'plan', 'record', 'delta']);
    expect(await kindsOf('1.0.0', [await digestOf('aa')])).toEqual(['installed', 'plan']);
    // A version that this machine does not have is no base, whatever it says.
    expect(await kindsOf('2.0.0', [await digestOf('haivemind-core')])).not.toContain('delta');
  });

  const digestOf = async (name: string): Promise<string> =>
    (await readReceipts(machine.ctx.machine)).plugins[name]?.digest ?? '';
  async function kindsOf(version: string, have: string[]): Promise<string[]> {
    const hub = await hubFor(machine.ctx, 'machine');
    const answer = await hub.open('install', { params: { id: 'aa' }, body: { version, bring: { have } } });
    const kinds: string[] = [];
    for await (const { header } of decodeFrames(answer.body, 1e7)) kinds.push(header.t);
    hub.close();
    return kinds;
  }

  it('leaves what is large to a transfer', async () => {
    const large = Array.from({ length: 60_000 }, (_, i) => `${i * 7919} ${Math.sin(i)}`).join('\n');
    await publish(t.url, t.admin, { name: 'aa', version: '3.0.0', files: { 'a.txt': large, 'b.txt': `b${large}` } }, [
      'x',
    ]);
    await installPlugin(machine.ctx, 'aa');
    expect(await here()).toMatchObject({ aa: '3.0.0' });
    expect(asked).toEqual([INSTALL, 'POST /api/transfer', REPORT]);
  });

  it('a plan that came with the answer is not used once a newer one is here', async () => {
    const hub = await hubFor(machine.ctx, 'machine');
    const { through } = await installBringing(machine.ctx, hub, { id: 'aa', name: 'aa', version: 'latest' });
    await publish(t.url, t.admin, { name: 'cc' });
    await syncMachine(machine.ctx, { mode: 'explicit' });
    await syncThrough(through);
    expect(await here()).toMatchObject({ aa: '1.0.0', cc: '1.0.0' });
    expect(asked.filter((line) => line.endsWith('/plan')).length).toBeGreaterThan(1);
    hub.close();
  });

  /** The hub, whose word on installations is changed on its way. */
  async function changed(change: (frames: Frame[]) => Buffer): Promise<{ through: HubClient; close(): void }> {
    const hub = await hubFor(machine.ctx, 'machine');
    const open: HubClient['open'] = async (name, options) => {
      const answer = await hub.open(name, options);
      if (name !== 'install') return answer;
      const frames: Frame[] = [];
      for await (const frame of decodeFrames(answer.body, 1e7)) frames.push(frame);
      return { ...answer, body: Readable.from([change(frames)]) };
    };
    const wish = { id: 'aa', name: 'aa', version: 'latest' };
    const { through } = await installBringing(machine.ctx, { ...hub, open }, wish);
    return { through, close: () => hub.close() };
  }
  const whole = (frames: Frame[]): Buffer[] =>
    frames.map(({ header, bytes }) => (header.t === 'end' ? endFrame() : encodeFrame(header, bytes)));

  it('an answer that is cut off behind its first word is asked for again by the sync', async () => {
    const { through, close } = await changed((frames) => Buffer.concat(whole(frames)).subarray(0, -400));
    await syncThrough(through);
    expect(await here()).toMatchObject({ aa: '1.0.0', base: '1.0.0' });
    expect(asked.filter((line) => line === 'POST /api/transfer')).toHaveLength(1);
    close();
  });

  it('a hub that sends no word of what was done, or none that is one, is not believed', async () => {
    const without = changed((frames) => Buffer.concat([...whole(frames).slice(1), endFrame()]));
    await expect(without).rejects.toMatchObject({ code: 'HUB_ANSWER_INVALID' });
    const nothing = changed(() => Buffer.alloc(0));
    await expect(nothing).rejects.toMatchObject({ code: 'HUB_ANSWER_INVALID' });
  });

  it('bytes that were changed on the way are refused', async () => {
    const { through, close } = await changed((frames) => {
      const blob = frames.find(({ header }) => header.t === 'blob');
      blob?.bytes.fill(1);
      return Buffer.concat([...whole(frames), endFrame()]);
    });
    await expect(syncThrough(through)).rejects.toMatchObject({ code: 'HASH_MISMATCH' });
    expect(await here()).not.toHaveProperty('aa');
    close();
  });

  it('a plan that the hub did not sign is refused', async () => {
    const { through, close } = await changed((frames) => {
      const plan = frames.find(({ header }) => header.t === 'plan');
      const said = JSON.parse(plan?.bytes.toString() ?? '{}');
      said.signatures[0].sig = Buffer.alloc(64).toString('base64');
      if (said.delta !== undefined) delete said.delta;
      if (plan !== undefined) plan.bytes = Buffer.from(JSON.stringify(said));
      return Buffer.concat([...whole(frames), endFrame()]);
    });
    await expect(syncThrough(through)).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
    expect(await here()).not.toHaveProperty('aa');
    close();
  });

  it('a hub that does not know the question answers it as ever', async () => {
    const hub = await hubFor(machine.ctx, 'machine');
    const older: HubClient = {
      ...hub,
      open: (name, options) =>
        hub.open(name, { ...options, ...(name === 'install' ? { body: { version: 'latest' } as never } : {}) }),
    };
    const wish = { id: 'aa', name: 'aa', version: 'latest' };
    const { answer, through } = await installBringing(machine.ctx, older, wish);
    expect(answer).toMatchObject({ name: 'aa', version: '1.0.0' });
    expect(through).toBe(older);
    hub.close();
  });

  it('who is none of the machines gets the plain answer', async () => {
    const body = JSON.stringify({ bring: {}, target_machines: ['m1'] });
    const answer = await fetch(`${t.url}/api/plugins/aa/install`, {
      method: 'POST',
      headers: { authorization: `Bearer ${t.admin}`, 'content-type': 'application/json', accept: FRAMES_TYPE },
      body,
    });
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
  });
});
