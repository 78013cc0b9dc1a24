// What a machine's own policies, and its administrator's, let its hub bring.
import { chmod, chown, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { installPlugin } from '../../server/src/client/install/index.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { signApproval } from '../../server/src/domain/approval.ts';
import { createKeyPair } from '../../server/src/domain/signing/dsse.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { HUB_KEY, json, keyid, PUBLISHER, STRANGER, serve, version } from '../cli/scripted-hub.ts';

import {
  a1,
  a2,
  code,
  eachAtHub,
  hooked,
  hub,
  installed,
  knowOperator,
  m,
  OPERATOR,
  policy,
  revokedOf,
  sync,
} from './machine-at-hub.ts';

eachAtHub();

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
