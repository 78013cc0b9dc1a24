// Why a plugin is on a machine, overrides for one machine, and its exact set on another one.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { installPlugin, updatePlugins } from '../../server/src/client/install/index.ts';
import { rollbackPlugin } from '../../server/src/client/install/rollback.ts';
import { lockMachine, syncFrozen } from '../../server/src/client/sync/frozen.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { ask, publish, type TestHub, testHub } from '../hub/support.ts';
import { type RealClient, realClient } from './real-client.ts';

describe('one machine among many', () => {
  let t: TestHub;
  let machine: RealClient;
  const others: RealClient[] = [];
  beforeEach(async () => {
    t = await testHub('sqlite');
    await publish(t.url, t.admin, { name: 'base', version: '1.0.0' }, ['es']);
    await publish(t.url, t.admin, { name: 'base', version: '1.1.0' }, ['es']);
    await publish(t.url, t.admin, { name: 'top', manifest: { dependencies: ['base@^1.0.0'] } }, ['e*']);
    machine = await realClient(t.url, t.hub.joinToken, 'es-1', { groups: ['es'] });
  });
  afterEach(async () => {
    for (const other of others.splice(0)) await other.remove();
    await machine.remove();
    await t.close();
  });

  const why = async (name: string, token: string | undefined = t.admin) => {
    const path = `/api/machines/es-1/why/${name}`;
    const answer = (await ask(t.url, 'GET', path, { token })).expect(200);
    const reasons = (answer.reasons as { kind: string; text: string }[]).map((r) => `${r.kind}: ${r.text}`);
    return { ...answer, reasons } as { desired: { version: string } | null; installed: string; reasons: string[] };
  };
  const override = (name: string, body: unknown) =>
    ask(t.url, 'PUT', `/api/machines/es-1/overrides/${name}`, { token: t.admin, body });
  const set = async ({ ctx }: RealClient) =>
    Object.values((await readReceipts(ctx.machine)).plugins)
      .map((p) => `${p.name}@${p.version}`)
      .sort();

  it('says through which group and whom, and who requires it', async () => {
    expect((await why('base')).reasons).toEqual([
      'published: 1.1.0 is published to the group es by first admin',
      'dependent: top@1.0.0 requires base ^1.0.0',
    ]);
    expect((await why('top')).reasons).toEqual(['published: 1.0.0 is published to the group e* by first admin']);
  });

  it('says what pins, holds and excludes do, and why newer versions are not there', async () => {
    (await override('base', { kind: 'pin', range: '~1.0.0' })).expect(200);
    const pinned = await why('base');
    expect(pinned.desired?.version).toBe('1.0.0');
    expect(pinned.reasons).toContain('override: pinned to ~1.0.0 here by first admin');
    expect(pinned.reasons).toContain('version: not 1.1.0: ~1.0.0 is asked for here');
    (await override('base', { kind: 'install' })).expect(200);
    await ask(t.url, 'DELETE', '/api/machines/es-1/overrides/base?kind=install', { token: t.admin });
    expect((await why('base')).desired?.version).toBe('1.0.0');
    await ask(t.url, 'DELETE', '/api/machines/es-1/overrides/base', { token: t.admin });
    expect((await why('base')).desired?.version).toBe('1.1.0');
    (await override('base', { kind: 'exclude' })).expect(200);
    expect((await why('base')).desired).toBeNull();
    expect((await why('base')).reasons).toContain('override: excluded from this machine by first admin');
    expect((await why('top')).reasons.join()).toMatch(/problem: .*base/);
  });

  it('says why something is not there at all, and refuses what nobody knows', async () => {
    await publish(t.url, t.admin, { name: 'gpu', manifest: { haivemind: { required_capabilities: ['cuda'] } } }, [
      'es',
    ]);
    expect((await why('gpu')).reasons).toContain('version: not 1.0.0: it needs the capabilities cuda');
    await publish(t.url, t.admin, { name: 'elsewhere' }, ['web']);
    expect((await why('elsewhere')).reasons.join()).toMatch(/published to none of the groups/);
    const unknown = await ask(t.url, 'GET', '/api/machines/es-1/why/nothing', { token: t.admin });
    expect([unknown.status, unknown.code]).toEqual([404, 'PLUGIN_NOT_FOUND']);
    const stranger = await t.machine('es-2');
    const forbidden = await ask(t.url, 'GET', '/api/machines/es-1/why/base', { token: stranger.token });
    expect(forbidden.code).toBe('FORBIDDEN');
  });

  it('comes back from a rollback to what an operator pinned', async () => {
    const older = await realClient(t.url, t.hub.joinToken, 'es-2', { groups: ['es'] });
    others.push(older);
    await installPlugin(older.ctx, 'base', { version: '1.0.0' });
    const pin = { token: t.admin, body: { kind: 'pin', range: '1.1.0' } };
    (await ask(t.url, 'PUT', '/api/machines/es-2/overrides/base', pin)).expect(200);
    await syncMachine(older.ctx, { mode: 'explicit' });
    await publish(t.url, t.admin, { name: 'base', version: '1.2.0' }, ['es']);
    await rollbackPlugin(older.ctx, 'base');
    await syncMachine(older.ctx, { mode: 'explicit' });
    expect(await set(older)).toEqual(['base@1.0.0', 'top@1.0.0']);
    const { warnings } = await updatePlugins(older.ctx, ['base']);
    expect(await set(older)).toEqual(['base@1.1.0', 'top@1.0.0']);
    expect(warnings).toEqual(['base is pinned to 1.1.0: `hv install base` frees it']);
    const freed = await installPlugin(older.ctx, 'base');
    expect(freed.warnings).toEqual(['base was pinned to 1.1.0 here by first admin; that is lifted now']);
    expect(await set(older)).toEqual(['base@1.2.0', 'top@1.0.0']);
  });

  it('can be had exactly on another machine, older versions and all, and stays so', async () => {
    const { text } = await lockMachine(machine.ctx);
    const file = join(machine.home.project, 'haivemind.lock.json');
    await writeFile(file, text);
    await publish(t.url, t.admin, { name: 'base', version: '1.2.0' });
    await publish(t.url, t.admin, { name: 'more' });
    const other = await realClient(t.url, t.hub.joinToken, 'other');
    others.push(other);
    expect(await set(other)).toEqual(['base@1.2.0', 'more@1.0.0']);
    await syncFrozen(other.ctx, file);
    expect(await set(other)).toEqual(await set(machine));
    await syncMachine(other.ctx, { mode: 'explicit' });
    expect((await lockMachine(other.ctx)).text).toBe(await readFile(file, 'utf8'));
  });

  it('is refused, with nothing changed, when the hub has other bytes or no such version', async () => {
    const file = join(machine.home.project, 'lock.json');
    const { plugins } = await lockMachine(machine.ctx);
    const before = await set(machine);
    const changedLock = (change: Record<string, string>) =>
      writeFile(
        file,
        JSON.stringify({ format: 1, plugins: plugins.map((p) => (p.name === 'top' ? { ...p, ...change } : p)) }),
      );
    await changedLock({ digest: `sha256:${'0'.repeat(64)}` });
    await expect(syncFrozen(machine.ctx, file)).rejects.toMatchObject({ code: 'LOCK_MISMATCH' });
    await changedLock({ version: '9.0.0', digest: `sha256:${'0'.repeat(64)}` });
    await expect(syncFrozen(machine.ctx, file)).rejects.toMatchObject({ code: 'VERSION_NOT_FOUND' });
    // What is here already, under a version that it is not.
    await changedLock({ version: '7.0.0' });
    await expect(syncFrozen(machine.ctx, file)).rejects.toMatchObject({ code: 'VERSION_NOT_FOUND' });
    await changedLock({ version: '1.1.0' });
    await publish(t.url, t.admin, { name: 'top', version: '1.1.0' });
    await expect(syncFrozen(machine.ctx, file)).rejects.toMatchObject({ code: 'LOCK_MISMATCH' });
    for (const text of ['{', '{"format":2,"plugins":[]}', '{"format":1,"plugins":[{"name":"../x"}]}']) {
      await writeFile(file, text);
      await expect(syncFrozen(machine.ctx, file)).rejects.toMatchObject({ code: 'LOCK_INVALID' });
    }
    const gone = await syncFrozen(machine.ctx, `${file}.gone`).catch((thrown) => thrown);
    expect(gone).toMatchObject({ code: 'LOCK_INVALID', message: expect.stringContaining('no lockfile') });
    expect(gone.hint).toContain('`hv lock`');
    await expect(syncFrozen(machine.ctx, machine.home.project)).rejects.toMatchObject({ code: 'IO_ERROR' });
    expect(await set(machine)).toEqual(before);
  });

  describe('a lock that cannot be had', () => {
    const here = async ({ ctx }: RealClient) => {
      const of = (await ask(t.url, 'GET', '/api/machines/other', { token: t.admin })).expect(200);
      const events = (await ask(t.url, 'GET', '/api/events?after=0&limit=1000', { token: t.admin })).expect(200);
      return { set: await lockMachine(ctx), overrides: of.overrides, events: (events.events as unknown[]).length };
    };
    const refused = async (other: RealClient, plugins: unknown[], error: object) => {
      const file = join(other.home.project, 'lock.json');
      await writeFile(file, JSON.stringify({ format: 1, plugins }));
      const before = await here(other);
      await expect(syncFrozen(other.ctx, file)).rejects.toMatchObject(error);
      expect(await here(other)).toEqual(before);
      await syncMachine(other.ctx, { mode: 'explicit' });
      expect((await here(other)).set).toEqual(before.set);
    };
    const joined = async (groups: string[], capabilities: string[] = []) => {
      const client = await realClient(t.url, t.hub.joinToken, capabilities.length > 0 ? 'able' : 'other', {
        groups,
        capabilities,
      });
      others.push(client);
      return client;
    };

    it('is refused whole where one of it does not fit the machine, and had whole where it fits', async () => {
      const search = { required_capabilities: ['es_admin'] };
      await publish(t.url, t.admin, { name: 'needy', manifest: { dependencies: ['base'] } }, ['es']);
      await publish(t.url, t.admin, { name: 'search', manifest: { haivemind: search } }, ['es']);
      const able = await joined(['es'], ['es_admin']);
      const { plugins, text } = await lockMachine(able.ctx);
      expect(plugins.map((p) => p.name)).toEqual(['base', 'needy', 'search', 'top']);
      const other = await joined([]);
      await refused(other, plugins, { code: 'NOT_ELIGIBLE', message: expect.stringContaining('es_admin') });
      (
        await ask(t.url, 'PATCH', '/api/machines/other', { token: t.admin, body: { capabilities: ['es_admin'] } })
      ).expect(200);
      await syncFrozen(other.ctx, join(other.home.project, 'lock.json'));
      expect((await lockMachine(other.ctx)).text).toBe(text);
    });

    it('is refused whole where what one of it needs is not in it, or its status forbids it', async () => {
      for (const name of ['first', 'second']) await publish(t.url, t.admin, { name }, ['es']);
      const other = await joined(['es']);
      const { plugins } = await lockMachine(other.ctx);
      await publish(t.url, t.admin, { name: 'first', version: '1.1.0' }, ['es']);
      await syncMachine(other.ctx, { mode: 'explicit' });
      // `first` is another one now, `second` is not locked, and `top` needs `base`.
      const lacking = plugins.filter((p) => p.name === 'first' || p.name === 'top');
      await refused(other, lacking, { code: 'LOCK_MISMATCH', message: expect.stringMatching(/top@1.0.0 .*base/) });
      const status = { token: t.admin, body: { status: 'yanked' } };
      (await ask(t.url, 'POST', '/api/plugins/plugin_first_1.0.0/status', status)).expect(200);
      await refused(other, plugins, { code: 'STATUS_FORBIDS' });
    });

    it('lifts what operators said against it only where it is had, and says so', async () => {
      const other = await joined(['es']);
      const { plugins } = await lockMachine(other.ctx);
      const file = join(other.home.project, 'lock.json');
      const put = (name: string, body: object) =>
        ask(t.url, 'PUT', `/api/machines/other/overrides/${name}`, { token: t.admin, body });
      (await put('base', { kind: 'pin', range: '1.0.0' })).expect(200);
      (await put('top', { kind: 'exclude' })).expect(200);
      await syncMachine(other.ctx, { mode: 'explicit' });
      expect(await set(other)).toEqual(['base@1.0.0']);
      await refused(other, [{ ...plugins[0], version: '9.0.0' }, plugins[1]], { code: 'VERSION_NOT_FOUND' });
      await writeFile(file, JSON.stringify({ format: 1, plugins }));
      expect((await syncFrozen(other.ctx, file)).warnings).toEqual([
        'base was pinned to 1.0.0 here by first admin; that is lifted now',
        'top was excluded from this machine by first admin; that is lifted now',
      ]);
      expect(await set(other)).toEqual(['base@1.1.0', 'top@1.0.0']);
      expect((await syncFrozen(other.ctx, file)).warnings).toEqual([]);
      await rollbackPlugin(other.ctx, 'base');
      expect(await set(other)).toEqual(['base@1.0.0', 'top@1.0.0']);
      await syncFrozen(other.ctx, file);
      await syncMachine(other.ctx, { mode: 'explicit' });
      expect(await set(other)).toEqual(['base@1.1.0', 'top@1.0.0']);
    });

    it('is taken back whole where the machine itself refuses one of it', async () => {
      await publish(t.url, t.admin, { name: 'refused-here' }, ['nobody']);
      const other = await joined(['es']);
      await syncMachine(other.ctx, { mode: 'explicit' });
      const put = (name: string, body: object) =>
        ask(t.url, 'PUT', `/api/machines/other/overrides/${name}`, { token: t.admin, body });
      (await put('base', { kind: 'hold', range: '1.1.0' })).expect(200);
      await installPlugin(other.ctx, 'refused-here');
      const { plugins } = await lockMachine(other.ctx);
      (await ask(t.url, 'DELETE', '/api/machines/other/overrides/refused-here', { token: t.admin })).expect(200);
      (await put('base', { kind: 'hold', range: '1.0.0' })).expect(200);
      (await put('top', { kind: 'exclude' })).expect(200);
      await publish(t.url, t.admin, { name: 'more' }, ['es']);
      await syncMachine(other.ctx, { mode: 'explicit' });
      expect(await set(other)).toEqual(['base@1.0.0', 'more@1.0.0']);
      await writeFile(other.ctx.machine.paths.policy, JSON.stringify({ plugins: { deny: ['refused-*'] } }));
      const file = join(other.home.project, 'lock.json');
      await writeFile(file, JSON.stringify({ format: 1, plugins }));
      const before = await here(other);
      const refusal = { code: 'LOCK_MISMATCH', message: expect.stringContaining('refused-here@1.0.0') };
      await expect(syncFrozen(other.ctx, file)).rejects.toMatchObject(refusal);
      const after = await here(other);
      expect([after.set, after.overrides]).toEqual([before.set, before.overrides]);
      await syncMachine(other.ctx, { mode: 'explicit' });
      expect(await set(other)).toEqual(['base@1.0.0', 'more@1.0.0']);
    });
  });
});
