// What a machine takes from its hub, and what it does not: revocation, policies, keys that follow one another, epochs.
import { spawn } from 'node:child_process';
import { chmod, chown, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { setConfig } from '../../server/src/client/configure.ts';
import { installPlugin } from '../../server/src/client/install/index.ts';
import { rollbackPlugin } from '../../server/src/client/install/rollback.ts';
import { localAudit } from '../../server/src/client/local-audit.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { describeSync } from '../../server/src/client/sync/notice.ts';
import { readTrust, withHub, writeTrust } from '../../server/src/client/trust/publisher-keys.ts';
import { signApproval, signEpoch, signRotation } from '../../server/src/domain/approval.ts';
import { createKeyPair } from '../../server/src/domain/signing/dsse.ts';
import { writeInbox } from '../../server/src/machine/inbox.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import {
  HUB_KEY,
  joinedMachine,
  json,
  keyid,
  PUBLISHER,
  type ScriptedHub,
  STRANGER,
  scriptedHub,
  serve,
  version,
} from '../cli/scripted-hub.ts';

const code = (expected: string) => expect.objectContaining({ code: expected });
const OPERATOR = createKeyPair();
const hooks = JSON.stringify({ hooks: { Stop: [{ hooks: [{ type: 'command', command: 'sh x.sh' }] }] } });

describe('a machine and its hub', () => {
  let hub: ScriptedHub;
  let m: Awaited<ReturnType<typeof joinedMachine>>;
  beforeEach(async () => {
    hub = await scriptedHub();
    m = await joinedMachine(hub, { auto_install_updates: true });
  });
  afterEach(async () => {
    await hub.close();
    await m.remove();
  });

  const a1 = version('alpha', '1.0.0', { 'x.txt': 'one' });
  const a2 = version('alpha', '2.0.0', { 'x.txt': 'two' });
  const b1 = version(
    'beta',
    '1.0.0',
    { 'x.txt': 'b' },
    { entry: { dependencies: [{ name: 'alpha', range: '*', kind: 'required' }] } },
  );
  const hooked = version('alpha', '2.0.0', { 'hooks/hooks.json': hooks });
  const revokedOf = (v: typeof a1, reason = 'steals keys') => ({
    name: v.entry.name,
    version: v.entry.version,
    digest: v.entry.digest,
    reason,
  });
  const installed = async () =>
    Object.values((await readReceipts(m.ctx.machine)).plugins).map((p) => `${p.name}@${p.version}`);
  const sync = async (mode: 'agent' | 'explicit' = 'agent') => syncMachine(await m.reopen(), { mode });
  const policy = (value: unknown) => writeFile(m.ctx.machine.paths.policy, JSON.stringify(value));
  const knowOperator = async (...more: string[]) => {
    const { machine } = m.ctx;
    const trust = withHub(await readTrust(machine), 'hub_test', {
      publishers: {},
      plugins: {},
      operators: [OPERATOR.publicKey, ...more],
    });
    await writeTrust(machine, trust);
  };

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
      expect(
        await readFile(join(quarantine, 'alpha', names.find((n) => n.startsWith('2')) ?? '', 'x.txt'), 'utf8'),
      ).toBe('two');
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

  describe('a policy', () => {
    let served = 0;
    const refuses = async (value: unknown, v: typeof a1, expected: string, mode: 'agent' | 'explicit' = 'explicit') => {
      await policy(value);
      serve(hub, [v], { etag: `"${++served}"` });
      const result = await sync(mode);
      expect(result.problems.map((p) => p.code)).toEqual([expected]);
      expect(await installed()).toEqual([]);
    };
    const young = version('alpha', '1.0.0', { 'x.txt': 'one' }, { entry: { publishedAt: new Date().toISOString() } });

    const watching = version('alpha', '1.0.0', {
      'monitors/monitors.json': JSON.stringify([{ name: 'm', command: 'sh x.sh', description: 'd' }]),
    });
    const loading = version('alpha', '1.0.0', { 'hooks/hooks.json': '{"modules":["./m.js"]}', 'hooks/m.js': '' });

    it.each([
      ['a denied name', { plugins: { deny: ['al*'] } }, a1],
      ['a name that is not allowed', { plugins: { allow: ['es-*'] } }, a1],
      ['a publisher that is not listed', { publishers: [keyid(STRANGER)] }, a1],
      ['what the hub packed itself', { sources: ['published'] }, version('alpha', '1.0.0', {}, { by: HUB_KEY })],
      ['a hook', { forbid: { hook_events: ['*'] } }, hooked],
      ['a command', { forbid: { commands: ['sh *'] } }, hooked],
      ['more than the largest surface', { max_surface: { hook_events: ['SessionStart'] } }, hooked],
      ['a version that is too young', { min_age_hours: 24 }, young],
      ['a version whose age nobody tells', { min_age_hours: 24 }, a1],
      ['programs that cannot be confined', { sandbox: 'refuse' }, hooked],
      ['a command of a monitor', { forbid: { commands: ['*'] } }, watching],
      ['a monitor above the largest surface', { max_surface: { tools: [] } }, watching],
      ['monitors as programs', { sandbox: 'refuse' }, watching],
      ['monitors that no launcher reaches', { sandbox: 'confine' }, watching],
      ['a module of hooks as a hook', { forbid: { hook_events: ['*'] } }, loading],
      ['a module of hooks as a program', { sandbox: 'refuse' }, loading],
    ])('refuses %s', async (_, value, v) => {
      await refuses(value, v, 'POLICY_REFUSED');
    });

    it('lets pass what it does not forbid', async () => {
      await policy({
        plugins: { allow: ['alpha'] },
        publishers: [keyid(PUBLISHER)],
        forbid: { hook_events: ['*'] },
        max_surface: {},
        sandbox: 'refuse',
      });
      serve(hub, [version('alpha', '1.0.0', { 'themes/x.json': '{"base":"dark"}', 'data/monitors.json': '[]' })]);
      await sync();
      expect(await installed()).toEqual(['alpha@1.0.0']);
    });

    it('unloads what it forbids since it was changed', async () => {
      serve(hub, [hooked]);
      await sync();
      expect(await installed()).toEqual(['alpha@2.0.0']);
      await policy({ forbid: { hook_events: ['Stop'] } });
      expect((await sync()).changed.removed).toEqual(['alpha']);
      expect((await sync()).changed.removed).toEqual([]);
    });

    it('unloads programs once it refuses those, and leaves text', async () => {
      serve(hub, [watching, version('text', '1.0.0', { 'x.txt': 'one' })]);
      await sync();
      await policy({ sandbox: 'refuse' });
      expect((await sync()).changed.removed).toEqual(['alpha']);
      expect(await installed()).toEqual(['text@1.0.0']);
    });

    it('judges anew what was laid out confined by an older program, and nothing that this one laid out', async () => {
      serve(hub, [watching]);
      await sync();
      await policy({ sandbox: 'confine' });
      const { machine } = m.ctx;
      const removedWith = async (confined: string) => {
        const receipts = structuredClone(await readReceipts(machine));
        for (const receipt of Object.values(receipts.plugins)) receipt.confined = confined;
        await writeFile(machine.paths.receipts, JSON.stringify(receipts));
        return (await sync()).changed.removed;
      };
      expect(await removedWith('3 refuse /launcher')).toEqual([]);
      expect(await removedWith('2 refuse /launcher')).toEqual(['alpha']);
    });

    it('asks a person where it says so, and takes their yes for that plugin', async () => {
      await refuses({ confirm: 'wider' }, hooked, 'CONFIRMATION_REQUIRED');
      hub.answers['POST /api/plugins/alpha/install'] = (_, response) =>
        json(response, {
          id: 'plugin_alpha_2.0.0',
          name: 'alpha',
          version: '2.0.0',
          pinned: false,
          machines: [{ machine: 'test', version: '2.0.0', problem: null }],
          warnings: [],
          seq: 1,
        });
      await expect(installPlugin(await m.reopen(), 'alpha')).rejects.toThrow(code('CONFIRMATION_REQUIRED'));
      await installPlugin(await m.reopen(), 'alpha', { confirmed: true });
      expect(await installed()).toEqual(['alpha@2.0.0']);
    });

    it('takes an approval only from an operator it knows, for these bytes; an urgent one passes the age', async () => {
      const { name, digest } = hooked.entry;
      const said = { hub: 'hub_test', name, version: '2.0.0', digest, urgent: true, at: 'now' };
      const approved = (pem: string, more = {}) => ({
        ...hooked,
        entry: { ...hooked.entry, approval: signApproval({ ...said, ...more }, pem) },
      });
      const demands = { signed_approval: 'wider', min_age_hours: 24 };
      await refuses(demands, approved(OPERATOR.privatePem), 'POLICY_REFUSED');
      await knowOperator();
      await refuses(demands, approved(HUB_KEY.privatePem), 'POLICY_REFUSED');
      await refuses({ signed_approval: 'wider' }, approved(STRANGER.privatePem), 'APPROVAL_REQUIRED');
      await refuses(
        { signed_approval: 'wider' },
        approved(OPERATOR.privatePem, { digest: `sha256:${'0'.repeat(64)}` }),
        'APPROVAL_REQUIRED',
      );
      await refuses(demands, approved(OPERATOR.privatePem, { urgent: false }), 'POLICY_REFUSED');
      await policy(demands);
      serve(hub, [approved(OPERATOR.privatePem)]);
      await sync();
      expect(await installed()).toEqual(['alpha@2.0.0']);
    });

    it('counts the operators that it knows, each once', async () => {
      const { name, digest } = hooked.entry;
      const said = { hub: 'hub_test', name, version: '2.0.0', digest, urgent: false, at: 'now' };
      const second = createKeyPair();
      const words = (...keys: { privatePem: string }[]) => {
        const [approval, ...approvals] = keys.map((key, i) => signApproval({ ...said, at: String(i) }, key.privatePem));
        return { ...hooked, entry: { ...hooked.entry, approval, approvals } };
      };
      const demands = { signed_approval: 'wider', signed_approvals: 2 };
      await knowOperator();
      await refuses(demands, words(OPERATOR, OPERATOR), 'APPROVAL_REQUIRED');
      await refuses(demands, words(OPERATOR, second), 'APPROVAL_REQUIRED');
      await knowOperator(second.publicKey);
      await refuses(demands, words(OPERATOR), 'APPROVAL_REQUIRED');
      await policy(demands);
      serve(hub, [words(second, OPERATOR)]);
      await sync();
      expect(await installed()).toEqual(['alpha@2.0.0']);
    });

    it('keeps an older version out, also after a removal or a revocation, unless an operator that it knows signed it', async () => {
      serve(hub, [a2]);
      await sync();
      await knowOperator();
      await policy({ downgrade: 'signed' });
      let counter = 1;
      const ordered = { ...a1, entry: { ...a1.entry, origin: 'explicit' as const, pinned: true } };
      const older = async (v: typeof a1 = ordered) => {
        serve(hub, [v], { counter: ++counter, etag: `"${counter}"` });
        const { problems } = await sync('explicit');
        return [problems.map((p) => `${p.code}: ${p.message}`).join(), await installed()];
      };
      const refused = expect.stringContaining('POLICY_REFUSED: alpha@1.0.0: it is older than 2.0.0');
      expect(await older()).toEqual([refused, ['alpha@2.0.0']]);
      serve(hub, [], { counter: ++counter, etag: '"none"' });
      await sync('explicit');
      expect(await older()).toEqual([refused, []]);
      serve(hub, [a2], { counter: ++counter, etag: '"back"' });
      await sync('explicit');
      serve(hub, [ordered], { counter: ++counter, etag: '"revoked"', revoked: [revokedOf(a2)] });
      await sync('explicit');
      expect(await installed()).toEqual([]);
      expect(await older()).toEqual([refused, []]);
      const { name, version: is, digest } = a1.entry;
      const said = { hub: 'hub_test', name, version: is, digest, urgent: false, at: 'now' };
      const signedBy = (pem: string) => ({
        ...ordered,
        entry: { ...ordered.entry, approval: signApproval(said, pem) },
      });
      expect(await older(signedBy(STRANGER.privatePem))).toEqual([expect.stringContaining('POLICY_REFUSED'), []]);
      expect(await older(signedBy(OPERATOR.privatePem))).toEqual(['', ['alpha@1.0.0']]);
    });

    it.each([['{'], ['{"forbit":{}}'], ['{"forbid":{"hooks":["*"]}}'], ['{"min_age_hours":-1}'], ['{"format":2}']])(
      'that is not understood stops everything: %s',
      async (text) => {
        await writeFile(m.ctx.machine.paths.policy, text);
        serve(hub, [a1]);
        await expect(sync('explicit')).rejects.toThrow(code('CONFIG_INVALID'));
        expect(await installed()).toEqual([]);
      },
    );

    describe('of the administrator', () => {
      let etc: string;
      let system: string;
      beforeEach(async () => {
        etc = join(m.home, 'etc');
        system = join(etc, 'policy.json');
        await mkdir(etc, { mode: 0o755 });
        await writeFile(system, JSON.stringify({ plugins: { deny: ['alpha'] } }), { mode: 0o644 });
        await policy({ plugins: { allow: ['alpha'] } });
        serve(hub, [a1]);
      });
      const administered = async () => {
        const ctx = await m.reopen();
        return { ...ctx, machine: { ...ctx.machine, paths: { ...ctx.machine.paths, systemPolicy: system } } };
      };
      const syncThere = async () => syncMachine(await administered(), { mode: 'explicit' });
      const linkTo = async (target: string) => {
        await rm(system);
        await symlink(target, system);
      };
      /** Whoever is not root here cannot make what is root's. */
      const asRoot = it.skipIf(process.getuid?.() !== 0);

      asRoot("stands above the user's", async () => {
        expect((await syncThere()).problems).toMatchObject([{ code: 'POLICY_REFUSED' }]);
        expect(await installed()).toEqual([]);
      });

      asRoot("is followed where root's link leads, as long as that is root's too", async () => {
        const real = join(etc, 'real.json');
        await writeFile(real, JSON.stringify({ plugins: { deny: ['alpha'] } }));
        await linkTo(real);
        expect((await syncThere()).problems).toMatchObject([{ code: 'POLICY_REFUSED' }]);
      });

      const OTHERS = 65_534;
      it.each<[string, () => Promise<unknown>, boolean]>([
        ['anybody may write', () => chmod(system, 0o666), false],
        ['a group may write', () => chmod(system, 0o664), false],
        ['a user owns', () => chown(system, OTHERS, 0), true],
        ['lies in a folder of a user', () => chown(etc, OTHERS, 0), true],
        ['lies in a folder that a group may write', () => chmod(etc, 0o775), false],
        [
          "is a link to a user's file",
          async () => {
            await linkTo(m.ctx.machine.paths.policy);
            await chown(m.ctx.machine.paths.policy, OTHERS, 0);
          },
          true,
        ],
        [
          'is a link into a folder that anybody may write',
          async () => {
            await mkdir(join(m.home, 'open'));
            await chmod(join(m.home, 'open'), 0o777);
            await writeFile(join(m.home, 'open/p.json'), '{}');
            await linkTo(join(m.home, 'open/p.json'));
          },
          false,
        ],
        ['is no policy', () => writeFile(system, '{"plugins":'), false],
      ])('stops everything where it %s', async (_what, spoil, needsRoot) => {
        if (needsRoot && process.getuid?.() !== 0) return;
        await spoil();
        await expect(syncThere()).rejects.toThrow(code('CONFIG_INVALID'));
        expect(await installed()).toEqual([]);
      });

      it('that is not there leaves the word to the user', async () => {
        await rm(system);
        expect((await syncThere()).problems).toEqual([]);
        expect(await installed()).toEqual(['alpha@1.0.0']);
      });
    });
  });

  describe('keys', () => {
    const third = createKeyPair();
    const rotation = (from: typeof PUBLISHER, to: typeof PUBLISHER, by = from, hubId = 'hub_test') =>
      signRotation({ hub: hubId, from: from.publicKey, to: to.publicKey, at: 'now' }, by.privatePem);
    const keysAre = (rotations: unknown[]) => {
      hub.answers['GET /api/keys'] = (_, response) => json(response, { keys: [], rotations });
    };
    const next = version('alpha', '2.0.0', { 'x.txt': 'two' }, { by: third });

    it('are followed where the pinned key names the next, also over two steps', async () => {
      serve(hub, [a1]);
      await sync();
      keysAre([rotation(STRANGER, third), rotation(PUBLISHER, STRANGER)]);
      serve(hub, [next], { counter: 2 });
      await sync();
      expect(await installed()).toEqual(['alpha@2.0.0']);
    });

    it.each([
      ['nobody named', () => [], {}],
      ['only a stranger named', () => [rotation(PUBLISHER, third, STRANGER)], {}],
      ['was named for another hub', () => [rotation(PUBLISHER, third, PUBLISHER, 'hub_other')], {}],
      ['a revoked key named', () => [rotation(PUBLISHER, third)], { revokedKeys: [keyid(PUBLISHER)] }],
      ['is revoked itself', () => [rotation(PUBLISHER, third)], { revokedKeys: [keyid(third)] }],
    ])('are refused when %s', async (_, rotations, plan) => {
      serve(hub, [a1]);
      await sync();
      keysAre(rotations());
      serve(hub, [next], { counter: 2, ...plan });
      expect((await sync('explicit')).problems).toMatchObject([{ code: 'SIGNATURE_INVALID' }]);
      expect(await installed()).toEqual(['alpha@1.0.0']);
    });

    it('are refused once they were revoked, also by a hub that forgot it', async () => {
      serve(hub, [a1]);
      await sync();
      serve(hub, [a1], { counter: 2, etag: '"2"', revokedKeys: [keyid(PUBLISHER)] });
      await sync();
      // As after a restore from an older backup, in the epoch that follows it.
      serve(hub, [a2], { counter: 1, epoch: 2 });
      expect((await sync('explicit')).problems).toMatchObject([{ code: 'SIGNATURE_INVALID' }]);
      keysAre([rotation(PUBLISHER, third)]);
      serve(hub, [version('alpha', '3.0.0', { 'x.txt': 'three' }, { by: third })], { counter: 2, epoch: 2 });
      expect((await sync('explicit')).problems).toMatchObject([{ code: 'SIGNATURE_INVALID' }]);
      expect(await installed()).toEqual(['alpha@1.0.0']);
    });

    it('of a trust.json that cannot be read keep nothing here that was revoked', async () => {
      serve(hub, [a1]);
      await sync();
      await writeFile(m.ctx.machine.paths.trust, 'torn');
      serve(hub, [a2], { counter: 2, revoked: [revokedOf(a1)], revokedKeys: [keyid(STRANGER)] });
      await expect(sync('explicit')).rejects.toMatchObject(code('CONFIG_INVALID'));
      expect(await installed()).toEqual([]);
    });

    it('count one to a record', async () => {
      const two = {
        ...a1,
        envelope: {
          ...(a1.envelope as object),
          signatures: [
            { keyid: keyid(STRANGER), sig: 'AA==' },
            ...(a1.envelope as { signatures: object[] }).signatures,
          ],
        },
      };
      serve(hub, [two]);
      expect((await sync('explicit')).problems).toMatchObject([{ code: 'SIGNATURE_INVALID' }]);
      expect(await installed()).toEqual([]);
    });
  });

  describe('an epoch', () => {
    it('needs the signature of an operator where the machine knows one', async () => {
      await knowOperator();
      serve(hub, [a1], { counter: 9 });
      await sync();
      const proofs = [
        undefined,
        signEpoch('hub_test', 2, HUB_KEY.privatePem),
        signEpoch('hub_test', 3, OPERATOR.privatePem),
        signEpoch('hub_other', 2, OPERATOR.privatePem),
      ];
      for (const [i, epochProof] of proofs.entries()) {
        serve(hub, [a2], { epoch: 2, counter: 1, etag: `"${i}"`, epochProof });
        await expect(sync()).rejects.toThrow(code('SIGNATURE_INVALID'));
        expect(await installed()).toEqual(['alpha@1.0.0']);
      }
      serve(hub, [a2], { epoch: 2, counter: 1, epochProof: signEpoch('hub_test', 2, OPERATOR.privatePem) });
      await sync();
      expect(await installed()).toEqual(['alpha@2.0.0']);
    });
  });
});
