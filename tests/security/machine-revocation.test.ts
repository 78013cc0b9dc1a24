// What a machine takes away because its hub revoked it.
import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { setConfig } from '../../server/src/client/configure.ts';
import { rollbackPlugin } from '../../server/src/client/install/rollback.ts';
import { localAudit } from '../../server/src/client/local-audit.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { describeSync } from '../../server/src/client/sync/notice.ts';
import { writeInbox } from '../../server/src/machine/inbox.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { serve } from '../cli/scripted-hub.ts';

import { a1, a2, b1, code, eachAtHub, hooked, hub, installed, m, policy, revokedOf, sync } from './machine-at-hub.ts';

eachAtHub();

describe('revocation', () => {
  it('unloads the version, moves it to quarantine with the kept one, ends what runs from it, and is not undone', async () => {
    serve(hub, [a1]);
    await sync();
    serve(hub, [a2], { counter: 2 });
    await sync();
    const { root, quarantine } = m.ctx.machine.paths;
    const { dir, previous } = (await readReceipts(m.ctx.machine)).plugins.alpha ?? { dir: '', previous: [] };
    const child = spawn('sleep', ['60'], { cwd: join(root, dir), stdio: 'ignore' });
    const kept = spawn('sh', ['-c', 'sleep 60', join(root, previous[0]?.dir ?? '', 'x.sh')], { stdio: 'ignore' });
    const other = spawn('sh', ['-c', 'sleep 61', `${join(root, dir)}-2/x.sh`], { stdio: 'ignore' });
    // As the client starts a server: nothing but a variable names the folder.
    const env = { ...process.env, CLAUDE_PLUGIN_ROOT: join(root, dir) };
    const server = spawn('sleep', ['60'], { stdio: 'ignore', env });
    const elsewhere = spawn('sleep', ['60'], {
      stdio: 'ignore',
      env: { ...env, CLAUDE_PLUGIN_ROOT: `${root}x/${dir}` },
    });
    // Only root can have another user here.
    const stranger = process.getuid?.() === 0 ? spawn('sleep', ['60'], { stdio: 'ignore', env, uid: 65_534 }) : other;
    const ended = [child, kept, server].map((p) => new Promise((resolve) => p.once('exit', resolve)));
    try {
      // A dependent and a hold would keep anything else.
      serve(hub, [b1], {
        counter: 3,
        revoked: [revokedOf(a2), revokedOf(a1)],
        problems: [{ name: 'alpha', code: 'DEPENDENCY_CONFLICT', message: 'm' }],
      });
      const result = await sync();
      expect(result.changed.removed).toEqual(['alpha']);
      expect(result.revoked.map((r) => [r.version, r.reason, r.ended]).sort()).toEqual([
        ['1.0.0', 'steals keys', 1],
        ['2.0.0', 'steals keys', 2],
      ]);
      expect(describeSync(result)).toContain('REVOKED and unloaded: alpha');
      await Promise.all(ended);
      for (const spared of [other, elsewhere, stranger])
        expect([spared.exitCode, spared.signalCode]).toEqual([null, null]);
      // Open sessions are told; what the hub says of its own inbox does not take that away, its end does.
      const { inbox } = m.ctx.machine.paths;
      await writeInbox(m.ctx.machine, [], 1);
      const said = await readdir(inbox);
      expect(said.map((name) => name.slice(0, 10))).toEqual(['0-revoked-', '0-revoked-']);
      expect(await readFile(join(inbox, said[0] ?? ''), 'utf8')).toContain('steals keys');
      const inAMonth = new Date(m.ctx.machine.clock().getTime() + 30 * 24 * 3600_000);
      await writeInbox({ ...m.ctx.machine, clock: () => inAMonth }, [], 2);
      expect(await readdir(inbox)).toEqual([]);
    } finally {
      for (const p of [child, kept, server, other, elsewhere, stranger]) p.kill('SIGKILL');
    }
    const names = await readdir(join(quarantine, 'alpha'));
    expect(names).toHaveLength(2);
    expect(await readFile(join(quarantine, 'alpha', names.find((n) => n.startsWith('2')) ?? '', 'x.txt'), 'utf8')).toBe(
      'two',
    );
    expect(await readdir(join(root, 'versions'))).not.toContain('alpha');
    expect(await readFile(m.ctx.machine.paths.settings, 'utf8').catch(() => '')).not.toContain('alpha@collective');
    await expect(rollbackPlugin(await m.reopen(), 'alpha')).rejects.toThrow(code('NOT_INSTALLED'));
    // A hub that forgets the revocation and offers it again is not believed, not even by force.
    serve(hub, [a2], { counter: 4 });
    await syncMachine(await m.reopen(), { mode: 'explicit', force: true });
    expect(await installed()).not.toContain('alpha@2.0.0');
  });

  it('writes down what came, what was refused and what was taken away, and nothing where nothing happened', async () => {
    const said = async () =>
      (await localAudit(m.ctx)).entries.map((e) => [e.what, e.target, e.result].join(' ')).slice(before);
    const before = (await localAudit(m.ctx)).entries.length;
    serve(hub, [a1]);
    await sync();
    await policy({ forbid: { hook_events: ['*'] } });
    serve(hub, [hooked], { counter: 2 });
    await sync();
    const refused = ['install alpha done', 'refuse alpha POLICY_REFUSED'];
    expect(await said()).toEqual(refused);
    const file = m.ctx.machine.paths.audit;
    const { mtimeMs } = await stat(file);
    await sync();
    await sync('explicit');
    expect([await said(), (await stat(file)).mtimeMs]).toEqual([refused, mtimeMs]);
    serve(hub, [], { counter: 3, revoked: [revokedOf(a1)] });
    await sync();
    await setConfig(await m.reopen(), 'plugins.usage', 'false');
    expect(await said()).toEqual([
      ...refused,
      'remove alpha done',
      'quarantine alpha done',
      'config plugins.usage done',
    ]);
    const { proof } = await localAudit(m.ctx);
    expect(proof.brokenAt).toBeNull();
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace('steals keys', 'was fine'));
    expect((await localAudit(m.ctx)).proof.brokenAt).not.toBeNull();
  });

  it('takes only the kept version out of reach of a rollback, while the live one stays', async () => {
    serve(hub, [a1]);
    await sync();
    serve(hub, [a2], { counter: 2 });
    await sync();
    serve(hub, [a2], { counter: 3, revoked: [revokedOf(a1)], etag: '"3"' });
    expect((await sync()).revoked).toMatchObject([{ version: '1.0.0', ended: 0 }]);
    expect(await installed()).toEqual(['alpha@2.0.0']);
    await expect(rollbackPlugin(await m.reopen(), 'alpha')).rejects.toThrow(code('ROLLBACK_UNAVAILABLE'));
  });

  it('holds under an expired plan too, and finishes what a crash left', async () => {
    serve(hub, [a1]);
    await sync();
    const { machine } = m.ctx;
    serve(hub, [a2], { counter: 2, revoked: [revokedOf(a1)], expiresAt: '2026-01-02T00:00:00.000Z' });
    await sync();
    expect(await installed()).toEqual([]);
    // As if the process had died between the move and the receipts.
    const dir = 'versions/alpha/1.0.0-gone';
    const receipts = await readReceipts(machine);
    const tree = {
      name: 'alpha',
      version: '1.0.0',
      digest: a1.entry.digest,
      dir,
      files: [],
      extras: [],
      conflicts: [],
      keyid: '',
      id: '',
      description: '',
      dependencies: [],
      at: '2026-01-01T00:00:00.000Z',
    };
    await writeFile(machine.paths.receipts, JSON.stringify({ ...receipts, retired: [tree] }));
    expect((await sync()).revoked).toMatchObject([{ version: '1.0.0', folder: '' }]);
    expect((await readReceipts(machine)).retired).toEqual([]);
  });

  it('is carried out by damaged lists as little as by none: it says so', async () => {
    serve(hub, [a1]);
    await mkdir(m.ctx.machine.paths.quarantine, { recursive: true });
    await writeFile(join(m.ctx.machine.paths.quarantine, 'revoked.json'), '{');
    await expect(sync()).rejects.toThrow(code('IO_ERROR'));
    expect(await installed()).toEqual([]);
  });
});
