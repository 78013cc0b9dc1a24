import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { installPlugin } from '../../server/src/client/install/index.ts';
import { removePlugin } from '../../server/src/client/install/remove.ts';
import { machineStatus } from '../../server/src/client/status.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { describeSync, hookOutput } from '../../server/src/client/sync/notice.ts';
import { updateConfig } from '../../server/src/machine/config-file.ts';
import { inspect } from '../../server/src/machine/drift.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import {
  HUB_KEY,
  json,
  keyid,
  PUBLISHER,
  problem,
  reports,
  STRANGER,
  serve,
  transferAnswer,
  transfers,
  version,
} from './scripted-hub.ts';
import { hub, joinAnew, m, scriptedPair } from './scripted-pair.ts';

const code = (expected: string) => expect.objectContaining({ code: expected });

describe('syncMachine', () => {
  scriptedPair();

  const a1 = version('alpha', '1.0.0', { 'commands/a.md': '---\ndescription: a\n---\none', 'x.txt': 'same' });
  const a2 = version('alpha', '2.0.0', { 'commands/a.md': '---\ndescription: a\n---\ntwo', 'x.txt': 'same' });
  const b1 = version('beta', '1.0.0', { 'commands/b.md': '---\ndescription: b\n---\nb' });
  const installed = async () =>
    Object.values((await readReceipts(m.ctx.machine)).plugins).map((p) => `${p.name}@${p.version}`);

  it('installs, reports, and asks with the etag from then on', async () => {
    serve(hub, [a1, b1]);
    const first = await syncMachine(m.ctx, { mode: 'agent' });
    expect(first.changed.installed.map((p) => p.name)).toEqual(['alpha', 'beta']);
    expect(first).toMatchObject({ notModified: false, reloadNeeded: true, counter: 1, problems: [], warnings: [] });
    expect(reports(hub)[0].plugins.map((p: { name: string; state: string }) => [p.name, p.state])).toEqual([
      ['alpha', 'verified'],
      ['beta', 'verified'],
    ]);
    const second = await syncMachine(await m.reopen(), { mode: 'agent' });
    expect(second).toMatchObject({ notModified: true, reloadNeeded: false });
    expect(describeSync(second)).toBeNull();
    expect(hookOutput(null)).toBeUndefined();
    expect(transfers(hub)).toHaveLength(1);
    expect(reports(hub)).toHaveLength(1);
  });

  it('fetches only what it lacks for an update', async () => {
    serve(hub, [a1]);
    await syncMachine(m.ctx, { mode: 'agent' });
    serve(hub, [a2], { counter: 2 });
    await syncMachine(m.ctx, { mode: 'explicit' });
    expect(await installed()).toEqual(['alpha@2.0.0']);
    expect(transfers(hub)[1]).toMatchObject({ versions: [a2.entry.digest], have: [a1.entry.digest] });
  });

  it('lets an update wait, says so, also after a 304, and installs it when asked', async () => {
    serve(hub, [a1]);
    await syncMachine(m.ctx, { mode: 'session' });
    serve(hub, [a2], { counter: 2 });
    const told = await syncMachine(m.ctx, { mode: 'session' });
    expect(told.waiting).toMatchObject([{ name: 'alpha', from: '1.0.0', to: '2.0.0', why: 'policy' }]);
    expect(describeSync(told)).toContain('alpha 1.0.0 → 2.0.0');
    const again = await syncMachine(await m.reopen(), { mode: 'session' });
    expect(again).toMatchObject({ notModified: true, waiting: [{ name: 'alpha', why: 'policy' }] });
    const done = await syncMachine(await m.reopen(), { mode: 'explicit' });
    expect(done).toMatchObject({
      notModified: true,
      changed: { updated: [{ name: 'alpha', from: '1.0.0', to: '2.0.0' }] },
    });
  });

  it('follows auto_install_updates and machine_group_auto_install', async () => {
    await joinAnew({ auto_install_updates: true, machine_group_auto_install: false });
    serve(hub, [a1]);
    expect((await syncMachine(m.ctx, { mode: 'session' })).waiting).toMatchObject([{ name: 'alpha', from: null }]);
    await syncMachine(m.ctx, { mode: 'explicit' });
    serve(hub, [a2], { counter: 2 });
    expect((await syncMachine(m.ctx, { mode: 'session' })).changed.updated).toMatchObject([{ to: '2.0.0' }]);
  });

  it('takes nothing from the hub when allowed_sources leaves it out, and does nothing when disabled', async () => {
    serve(hub, [a1]);
    await joinAnew({ allowed_sources: ['local'] });
    expect((await syncMachine(m.ctx, { mode: 'explicit' })).waiting).toMatchObject([{ name: 'alpha' }]);
    // A source of another program's: this one knows none such, and goes by the rest.
    await joinAnew({ allowed_sources: ['local', 'github', 'haivemind'] });
    expect((await syncMachine(m.ctx, { mode: 'explicit' })).changed.installed).toMatchObject([{ name: 'alpha' }]);
    await joinAnew({ enabled: false });
    hub.seen.length = 0;
    expect((await syncMachine(m.ctx, { mode: 'explicit' })).warnings[0]).toContain('plugins.enabled');
    expect(hub.seen).toEqual([]);
  });

  it('says what it would do, and does not', async () => {
    serve(hub, [a1]);
    const result = await syncMachine(m.ctx, { mode: 'explicit', dryRun: true });
    expect(result).toMatchObject({ dryRun: true, changed: { installed: [{ name: 'alpha', version: '1.0.0' }] } });
    expect(transfers(hub)).toEqual([]);
    expect(await installed()).toEqual([]);
  });

  it('removes what the plan no longer holds', async () => {
    serve(hub, [a1, b1]);
    await syncMachine(m.ctx, { mode: 'agent' });
    serve(hub, [b1], { counter: 2 });
    expect((await syncMachine(m.ctx, { mode: 'session' })).changed.removed).toEqual(['alpha']);
    expect(await installed()).toEqual(['beta@1.0.0']);
  });

  describe('refuses a plan', () => {
    it.each([
      ['signed by another key', { signedBy: STRANGER }, 'SIGNATURE_INVALID'],
      ['for another machine', { machine: 'machine_other' }, 'SIGNATURE_INVALID'],
      ['of another hub', { hub: 'hub_other' }, 'SIGNATURE_INVALID'],
      ['of a newer format', { format: 2 }, 'FORMAT_UNSUPPORTED'],
    ])('%s', async (_, options, expected) => {
      serve(hub, [a1], options);
      await expect(syncMachine(m.ctx, { mode: 'explicit' })).rejects.toEqual(code(expected));
      expect(await installed()).toEqual([]);
    });

    it('older than one it has seen, by counter or epoch', async () => {
      serve(hub, [a1], { counter: 5, epoch: 2 });
      await syncMachine(m.ctx, { mode: 'explicit' });
      serve(hub, [], { counter: 4, epoch: 2, etag: '"x"' });
      await expect(syncMachine(m.ctx, { mode: 'explicit' })).rejects.toEqual(code('PLAN_REPLAYED'));
      serve(hub, [], { counter: 9, epoch: 1, etag: '"y"' });
      await expect(syncMachine(await m.reopen(), { mode: 'explicit' })).rejects.toEqual(code('PLAN_REPLAYED'));
      expect(await installed()).toEqual(['alpha@1.0.0']);
      serve(hub, [], { counter: 1, epoch: 3, etag: '"z"' });
      await syncMachine(await m.reopen(), { mode: 'explicit' });
      expect(await installed()).toEqual([]);
    });

    it('of a hub too old to refuse the order that comes to nothing: the error names what waits there', async () => {
      serve(hub, [a1], { counter: 5 });
      await syncMachine(m.ctx, { mode: 'explicit' });
      serve(hub, [], { counter: 4, etag: '"x"' });
      const [UNINSTALL, INSTALL] = ['POST /api/plugins/alpha/uninstall', 'POST /api/plugins/beta/install'];
      hub.answers[UNINSTALL] = (_, response) =>
        json(response, { name: 'alpha', machines: ['test'], along: [], seq: 4 });
      hub.answers[INSTALL] = (_, response) => {
        const told = { id: 'plugin_beta_1.0.0', name: 'beta', version: '1.0.0', pinned: false, warnings: [], seq: 4 };
        json(response, { ...told, machines: [{ machine: 'test', version: '1.0.0', problem: null }] });
      };
      const waits = (order: string) => ({
        code: 'PLAN_REPLAYED',
        message: expect.stringContaining(`the hub keeps the order (${order})`),
      });
      await expect(removePlugin(m.ctx, 'alpha')).rejects.toMatchObject(waits('remove alpha'));
      await expect(installPlugin(m.ctx, 'beta')).rejects.toMatchObject(waits('install beta 1.0.0'));
      const asked = hub.bodies.filter(({ path }) => [UNINSTALL, INSTALL].includes(path));
      for (const { body } of asked)
        expect(JSON.parse(body.toString())).toMatchObject({ followed: { epoch: 1, counter: 5, lineage: [] } });
      expect(asked).toHaveLength(2);
      expect(reports(hub).at(-1)).toMatchObject({ refused: { code: 'PLAN_REPLAYED' }, plugins: [{ name: 'alpha' }] });
    });
  });

  it('keeps what runs under an expired plan, warns, and takes nothing new', async () => {
    serve(hub, [a1]);
    await syncMachine(m.ctx, { mode: 'explicit' });
    serve(hub, [a2, b1], { counter: 2, expiresAt: '2026-01-02T00:00:00.000Z' });
    const result = await syncMachine(m.ctx, { mode: 'explicit' });
    expect(result.warnings[0]).toContain('expired');
    expect(await installed()).toEqual(['alpha@1.0.0']);
    // A session's start and the status say so too, also of a hub that says "nothing changed" for ever.
    expect(describeSync(result)).toMatch(/expired at 2026-01-02.*nothing new comes.*hv doctor/);
    for (let look = 0; look < 2; look++) {
      const status = await machineStatus(await m.reopen());
      expect(status).toMatchObject({
        in_step: false,
        hub: { reachable: true, error: expect.stringContaining('expired') },
      });
    }
    const dry = await syncMachine(await m.reopen(), { mode: 'explicit', dryRun: true });
    expect(dry.warnings.join()).toContain('expired');
    serve(hub, [a2, b1], { counter: 3 });
    expect(describeSync(await syncMachine(await m.reopen(), { mode: 'explicit' }))).not.toContain('expired');
    expect((await machineStatus(await m.reopen())).hub).toMatchObject({ error: null });
  });

  describe('what fails its checks', () => {
    it('waits alone, with its reason, and is not tried again by itself', async () => {
      const bad = version('alpha', '1.0.0', { 'x.txt': 'x' }, { by: STRANGER });
      bad.key = PUBLISHER.publicKey;
      serve(hub, [bad, b1]);
      const result = await syncMachine(m.ctx, { mode: 'agent' });
      expect(result.problems).toMatchObject([{ name: 'alpha', code: 'SIGNATURE_INVALID', where: 'machine' }]);
      expect(await installed()).toEqual(['beta@1.0.0']);
      const before = transfers(hub).length;
      const again = await syncMachine(await m.reopen(), { mode: 'agent' });
      expect(again.waiting).toMatchObject([{ name: 'alpha', why: 'refused' }]);
      expect(transfers(hub)).toHaveLength(before);
      bad.envelope = version('alpha', '1.0.0', { 'x.txt': 'x' }).envelope;
      serve(hub, [bad, b1]);
      await syncMachine(await m.reopen(), { mode: 'explicit' });
      expect(await installed()).toContain('alpha@1.0.0');
      expect((await readReceipts(m.ctx.machine)).refused).toEqual({});
    });

    it.each([
      [
        'a record that does not hash to its digest',
        (r: Record<string, unknown>) => {
          r.files = [];
        },
        'DIGEST_MISMATCH',
      ],
      [
        'a record of another plugin',
        (r: Record<string, unknown>) => {
          r.name = 'other';
        },
        'DIGEST_MISMATCH',
      ],
    ])('refuses %s', async (_, spoil, expected) => {
      serve(hub, [version('alpha', '1.0.0', { 'x.txt': 'x' }, { spoil })]);
      const result = await syncMachine(m.ctx, { mode: 'explicit' });
      expect(result.problems).toMatchObject([{ name: 'alpha', code: expected, where: 'machine' }]);
      expect(await installed()).toEqual([]);
    });

    it.each(['../up.md', '/etc/x', 'a/../../b', 'CON', 'a\\b'])('refuses the path %s', async (path) => {
      serve(hub, [version('alpha', '1.0.0', { [path]: 'x' })]);
      const result = await syncMachine(m.ctx, { mode: 'explicit' });
      expect(result.problems).toMatchObject([{ name: 'alpha', code: 'PATH_UNSAFE' }]);
    });

    it('refuses a plugin over max_plugin_size_mb', async () => {
      await joinAnew({ max_plugin_size_mb: 0.001 });
      serve(hub, [version('alpha', '1.0.0', { 'x.txt': 'x'.repeat(2000) })]);
      const result = await syncMachine(m.ctx, { mode: 'explicit' });
      expect(result.problems).toMatchObject([{ code: 'PLUGIN_TOO_LARGE' }]);
    });

    it.each([
      ['plain', false],
      ['compressed', true],
    ])('refuses %s bytes that are not what was announced', async (_, brotli) => {
      serve(hub, [a1]);
      hub.answers['POST /api/transfer'] = transferAnswer([a1], { brotli, spoil: (b) => Buffer.concat([b, b]) });
      await expect(syncMachine(m.ctx, { mode: 'explicit' })).rejects.toEqual(code('HASH_MISMATCH'));
      expect(await installed()).toEqual([]);
      hub.answers['POST /api/transfer'] = transferAnswer([a1], { brotli });
      await syncMachine(m.ctx, { mode: 'explicit' });
      expect(await installed()).toEqual(['alpha@1.0.0']);
    });

    it('refuses a version whose bytes never come', async () => {
      serve(hub, [a1]);
      const lacking = { ...a1, blobs: new Map([...a1.blobs].slice(1)) };
      hub.answers['POST /api/transfer'] = transferAnswer([lacking]);
      const result = await syncMachine(m.ctx, { mode: 'explicit' });
      expect(result.problems).toMatchObject([{ name: 'alpha', code: 'BLOB_NOT_FOUND', where: 'machine' }]);
    });
  });

  it('asks after a cut only for what did not arrive', async () => {
    const big = version('alpha', '1.0.0', { 'a.txt': 'a', 'b.txt': 'b', 'c.txt': 'c' });
    serve(hub, [big]);
    let calls = 0;
    hub.answers['POST /api/transfer'] = (request, response, body) => {
      calls++;
      return transferAnswer([big], calls === 1 ? { cutAfter: 2 } : {})(request, response, body);
    };
    await syncMachine(m.ctx, { mode: 'explicit' });
    expect(await installed()).toEqual(['alpha@1.0.0']);
    expect(transfers(hub)[0]?.have_blobs).toEqual([]);
    expect(transfers(hub)[1]?.have_blobs).toHaveLength(2);
  });

  it('pins the first key of a publisher, and refuses another for the same plugin', async () => {
    serve(hub, [a1]);
    await syncMachine(m.ctx, { mode: 'explicit' });
    const trust = JSON.parse(await readFile(m.ctx.machine.paths.trust, 'utf8'));
    expect(trust.hubs.hub_test.plugins.alpha).toEqual([keyid(PUBLISHER)]);
    serve(hub, [version('alpha', '2.0.0', { 'x.txt': '2' }, { by: STRANGER })], { counter: 2 });
    const result = await syncMachine(m.ctx, { mode: 'explicit' });
    expect(result.problems).toMatchObject([{ code: 'SIGNATURE_INVALID' }]);
    expect(await installed()).toEqual(['alpha@1.0.0']);
    // The hub's own key signs what it packed itself, but never speaks for a publisher.
    const packed = version('gamma', '2.0.1', { 'x.txt': '2' }, { by: HUB_KEY });
    serve(hub, [version('alpha', '2.0.1', { 'x.txt': '2' }, { by: HUB_KEY }), packed], { counter: 3 });
    const hubs = await syncMachine(m.ctx, { mode: 'explicit' });
    expect(hubs.problems).toMatchObject([{ name: 'alpha', code: 'SIGNATURE_INVALID' }]);
    expect(await installed()).toEqual(['alpha@1.0.0', 'gamma@2.0.1']);
  });

  it('mends what was deleted or damaged when a person asks', async () => {
    serve(hub, [a1]);
    await syncMachine(m.ctx, { mode: 'explicit' });
    const { dir } = (await readReceipts(m.ctx.machine)).plugins.alpha ?? { dir: '' };
    await rm(join(m.ctx.machine.paths.root, dir), { recursive: true });
    // A blob that was damaged on disk is fetched again.
    const sha = [...a1.blobs.keys()][0] ?? '';
    const size = a1.blobs.get(sha)?.length ?? 0;
    const { blobs } = m.ctx.machine.paths;
    await writeFile(join(blobs, sha), 'z'.repeat(size));
    const result = await syncMachine(await m.reopen(), { mode: 'explicit' });
    expect(result.changed.reinstalled).toMatchObject([{ name: 'alpha' }]);
    expect(transfers(hub)).toHaveLength(2);
    expect(await readFile(join(m.ctx.machine.paths.pluginsDir, 'alpha', 'x.txt'), 'utf8')).toBe('same');
  });

  it('says what it could not lay again, once, and leaves it as it is', async () => {
    const alpha = version('alpha', '1.0.0', { 'commands/a.md': '---\ndescription: a\n---\nx' });
    serve(hub, [alpha]);
    await syncMachine(m.ctx, { mode: 'explicit' });
    await rm(m.ctx.machine.paths.blobs, { recursive: true });
    hub.answers['POST /api/transfer'] = transferAnswer([{ ...alpha, blobs: new Map() }]);
    const before = transfers(hub).length;
    const signal = AbortSignal.timeout(20_000);
    const result = await syncMachine(await m.reopen(), { mode: 'explicit', force: true, signal });
    expect(result.problems).toEqual([expect.objectContaining({ name: 'alpha', code: 'BLOB_NOT_FOUND' })]);
    expect(result.changed.reinstalled).toEqual([]);
    expect(transfers(hub).length - before).toBe(1);
    expect(await inspect(m.ctx.machine)).toEqual([expect.objectContaining({ name: 'alpha', state: 'verified' })]);
  });

  it('follows verify_checksums and backup_before_update', async () => {
    serve(hub, [a1]);
    await syncMachine(m.ctx, { mode: 'explicit' });
    const file = join(m.ctx.machine.paths.pluginsDir, 'alpha', 'x.txt');
    await writeFile(file, 'changed');
    expect(await inspect(m.ctx.machine)).toMatchObject([{ state: 'edited', edited: ['x.txt'] }]);
    await updateConfig(m.ctx.machine, (raw) => ({
      ...raw,
      plugins: { verify_checksums: false, backup_before_update: false },
    }));
    const { machine } = await m.reopen();
    expect(await inspect(machine)).toMatchObject([{ state: 'verified', edited: [] }]);
    await rm(file);
    expect(await inspect(machine)).toMatchObject([{ missing: ['x.txt'] }]);
    await rm(machine.paths.backups, { recursive: true, force: true });
    serve(hub, [b1], { counter: 2 });
    await syncMachine(await m.reopen(), { mode: 'explicit' });
    await expect(readFile(join(machine.paths.backups, 'settings.json'))).rejects.toThrow('ENOENT');
  });

  it('reports later when the hub does not take the report now', async () => {
    serve(hub, [a1]);
    hub.answers['POST /api/machines/me/status'] = (_, response) => problem(response, 503, 'SHUTTING_DOWN', 'bye');
    const result = await syncMachine(m.ctx, { mode: 'agent' });
    expect(result.warnings[0]).toContain('SHUTTING_DOWN');
    hub.answers['POST /api/machines/me/status'] = (_, response) => json(response, { ok: true });
    const before = reports(hub).length;
    await syncMachine(await m.reopen(), { mode: 'agent' });
    expect(reports(hub).length).toBe(before + 1);
    await syncMachine(await m.reopen(), { mode: 'agent' });
    expect(reports(hub).length).toBe(before + 1);
  });

  it('leaves the machine as it was when the hub is away or is none', async () => {
    serve(hub, [a1]);
    await syncMachine(m.ctx, { mode: 'explicit' });
    hub.answers = { '*': (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>') };
    await expect(syncMachine(m.ctx, { mode: 'explicit' })).rejects.toEqual(code('HUB_ANSWER_INVALID'));
    await hub.close();
    await expect(syncMachine(m.ctx, { mode: 'session' })).rejects.toEqual(code('HUB_UNREACHABLE'));
    expect(await installed()).toEqual(['alpha@1.0.0']);
  });
});
