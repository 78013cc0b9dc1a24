// The plan that lies here is not always the one that was followed last: an old `~/.claude` was put back, or one HOME has two of them.
import { cp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openClient } from '../../server/src/client/context.ts';
import { runDoctor } from '../../server/src/client/doctor/doctor.ts';
import type { HubClient } from '../../server/src/client/hub/hub-client.ts';
import { machineStatus } from '../../server/src/client/status.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { updateConfig } from '../../server/src/machine/config-file.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { ask, publish, type TestHub, testHub } from '../hub/support.ts';
import { type RealClient, realClient } from './real-client.ts';

let t: TestHub;
let machine: RealClient;
beforeEach(async () => {
  t = await testHub('sqlite');
  await publish(t.url, t.admin, { name: 'aa' });
  await publish(t.url, t.admin, { name: 'bad' });
  machine = await realClient(t.url, t.hub.joinToken, 'm1');
});
afterEach(async () => {
  await machine.remove();
  await t.close();
});

const claudeDir = (): string => machine.ctx.machine.paths.claudeDir;

/** As another process would open it. @param folder CLAUDE_CONFIG_DIR */
const open = (folder?: string) => openClient({ ...machine.ctx.env, claudeConfigDir: folder });

const sync = async (folder?: string) => syncMachine(await open(folder), { mode: 'explicit' });

async function here(folder?: string) {
  const ctx = await open(folder);
  const { plugins } = await readReceipts(ctx.machine);
  const names = Object.values(plugins).map((p) => `${p.name} ${p.version}`);
  return names.filter((name) => !name.startsWith('haivemind-core')).sort();
}

const enabled = async (): Promise<string[]> =>
  Object.keys(JSON.parse(await readFile(join(claudeDir(), 'settings.json'), 'utf8')).enabledPlugins);

async function revoke(id: string): Promise<void> {
  (await ask(t.url, 'POST', `/api/plugins/${id}/revoke`, { token: t.admin, body: { reason: 'leak' } })).expect(200);
}

/** What happens while a backup of `~/.claude` lies aside, and then it is put back. */
async function putBackAfter(happens: () => Promise<void>): Promise<void> {
  const old = join(machine.home.home, 'claude-old');
  await cp(claudeDir(), old, { recursive: true, verbatimSymlinks: true });
  await happens();
  await rm(claudeDir(), { recursive: true });
  await rename(old, claudeDir());
}

const planLook = async () => (await runDoctor(await open())).checks.find((c) => c.check === 'plan');

describe('an old ~/.claude that was put back', () => {
  it('gives no revoked version back', async () => {
    await putBackAfter(async () => {
      await revoke('plugin_bad_1.0.0');
      await sync();
      expect(await here()).toEqual(['aa 1.0.0']);
    });
    expect(await enabled()).toContain('bad@collective');
    expect((await machineStatus(await open())).in_step).toBe(false);
    expect(await planLook()).toMatchObject({ result: 'warn', fix: expect.stringContaining('hv doctor --fix') });
    expect((await runDoctor(await open(), { fix: true })).fixed).toContain('removed bad');
    expect([await here(), await planLook()]).toEqual([['aa 1.0.0'], expect.objectContaining({ result: 'ok' })]);
    expect(await enabled()).not.toContain('bad@collective');
    const { json } = await ask(t.url, 'GET', '/api/machines/m1', { token: t.admin });
    expect((json.plugins as { name: string }[]).map((p) => p.name)).not.toContain('bad');
  });

  it('is brought to what the hub wants by any sync', async () => {
    await putBackAfter(async () => {
      await publish(t.url, t.admin, { name: 'aa', version: '1.1.0' });
      await sync();
    });
    expect(await here()).toEqual(['aa 1.0.0', 'bad 1.0.0']);
    expect((await machineStatus(await open())).in_step).toBe(false);
    expect((await sync()).changed.updated).toEqual([{ name: 'aa', from: '1.0.0', to: '1.1.0' }]);
    expect((await machineStatus(await open())).in_step).toBe(true);
  });

  it('is not said to be in step where the hub cannot be asked', async () => {
    await putBackAfter(async () => {
      await publish(t.url, t.admin, { name: 'aa', version: '1.1.0' });
      await sync();
    });
    const away = async () => {
      const ctx = await open();
      ctx.env.hubUrl = 'http://127.0.0.1:1';
      return machineStatus(ctx);
    };
    expect((await away()).in_step).toBe(false);
    await sync();
    expect((await away()).in_step).toBe(true);
  });

  it('is none where an earlier program kept the plan, which wrote no etag beside it', async () => {
    await sync();
    const { plan: file } = machine.ctx.machine.paths;
    const { etag: _, ...kept } = JSON.parse(await readFile(file, 'utf8'));
    await writeFile(file, JSON.stringify(kept));
    expect(await planLook()).toMatchObject({ result: 'ok' });
    const ctx = await open();
    ctx.env.hubUrl = 'http://127.0.0.1:1';
    expect((await machineStatus(ctx)).in_step).toBe(true);
    expect((await syncMachine(await open(), { mode: 'agent' })).notModified).toBe(true);
    await updateConfig(machine.ctx.machine, (raw) => ({ ...raw, plan: { ...Object(raw.plan), counter: 99 } }));
    expect(await planLook()).toMatchObject({ result: 'warn' });
  });

  it('is asked about whole: no word of "unchanged" is taken for what is old', async () => {
    await putBackAfter(async () => {
      await publish(t.url, t.admin, { name: 'aa', version: '1.1.0' });
      await sync();
    });
    const asked: unknown[] = [];
    const through = (hub: HubClient): HubClient => ({
      ...hub,
      callIfChanged: (name, etag, options) => {
        asked.push([etag, options?.headers]);
        return hub.callIfChanged(name, etag, options);
      },
    });
    await syncMachine(await open(), { mode: 'explicit', through });
    await syncMachine(await open(), { mode: 'explicit', through });
    expect(asked).toEqual([
      [undefined, {}],
      [expect.stringMatching(/./), { 'a-im': 'hv' }],
    ]);
  });

  it('is no reason to ask for more where it is as it was', async () => {
    await putBackAfter(async () => undefined);
    expect((await sync()).notModified).toBe(true);
    expect(await planLook()).toMatchObject({ result: 'ok' });
  });
});

describe('two CLAUDE_CONFIG_DIRs of one HOME', () => {
  const work = () => join(machine.home.home, 'work');

  it('follow one hub, whichever of them synced last', async () => {
    await sync(work());
    expect(await here(work())).toEqual(['aa 1.0.0', 'bad 1.0.0']);
    await revoke('plugin_bad_1.0.0');
    await publish(t.url, t.admin, { name: 'aa', version: '1.1.0' });
    await sync();
    expect((await machineStatus(await open(work()))).in_step).toBe(false);
    await sync(work());
    expect([await here(), await here(work())]).toEqual([['aa 1.1.0'], ['aa 1.1.0']]);
    await publish(t.url, t.admin, { name: 'aa', version: '1.2.0' });
    await sync(work());
    await sync();
    expect([await here(), await here(work())]).toEqual([['aa 1.2.0'], ['aa 1.2.0']]);
    expect([(await sync()).notModified, (await sync(work())).notModified]).toEqual([true, true]);
  });

  it('never let what was seen fall back behind what the other one has seen', async () => {
    const first = await open();
    const second = await open(work());
    await publish(t.url, t.admin, { name: 'aa', version: '1.1.0' });
    const through = (hub: HubClient): HubClient => ({
      ...hub,
      open: async (name, options) => {
        await publish(t.url, t.admin, { name: 'aa', version: '1.2.0' });
        await syncMachine(second, { mode: 'explicit' });
        return hub.open(name, options);
      },
    });
    await syncMachine(first, { mode: 'explicit', through });
    expect([await here(), await here(work())]).toEqual([
      ['aa 1.1.0', 'bad 1.0.0'],
      ['aa 1.2.0', 'bad 1.0.0'],
    ]);
    expect((await open()).config.plan).toEqual(second.config.plan);
    await sync();
    expect(await here()).toEqual(['aa 1.2.0', 'bad 1.0.0']);
  });
});
