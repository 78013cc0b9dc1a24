// Whose signatures a machine takes from its hub: keys that follow one another, keys that were revoked, epochs.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openClient } from '../../server/src/client/context.ts';
import { readTrust } from '../../server/src/client/trust/publisher-keys.ts';
import { forgetRevokedKey, trustOperator } from '../../server/src/client/trust/verbs.ts';
import { signEpoch, signRotation } from '../../server/src/domain/approval.ts';
import { createKeyPair } from '../../server/src/domain/signing/dsse.ts';
import { HUB_KEY, json, keyid, PUBLISHER, STRANGER, serve, version } from '../cli/scripted-hub.ts';

import {
  a1,
  a2,
  code,
  eachAtHub,
  hub,
  installed,
  knowOperator,
  m,
  OPERATOR,
  revokedOf,
  sync,
} from './machine-at-hub.ts';

eachAtHub();

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

  it('are all kept where processes with other CLAUDE_CONFIG_DIRs learn them at once', async () => {
    serve(hub, [a1]);
    const elsewhere = (n: number) => openClient({ ...m.ctx.env, claudeConfigDir: join(m.home, `claude-${n % 3}`) });
    const pairs = Array.from({ length: 12 }, () => createKeyPair());
    await Promise.all([...pairs.map(async ({ publicKey }, n) => trustOperator(await elsewhere(n), publicKey)), sync()]);
    const { hub_test: here } = (await readTrust(m.ctx.machine)).hubs;
    expect([...(here?.operators ?? [])].sort()).toEqual(pairs.map((pair) => pair.publicKey).sort());
    expect(here?.plugins.alpha).toEqual([keyid(PUBLISHER)]);
  });

  it('may sign again once the revocation is forgotten that the hub does not say any more', async () => {
    serve(hub, [a1]);
    await sync();
    serve(hub, [a1], { counter: 2, etag: '"2"', revokedKeys: [keyid(PUBLISHER)] });
    await sync();
    serve(hub, [a2], { counter: 3, etag: '"3"' });
    expect((await sync('explicit')).problems).toMatchObject([{ code: 'SIGNATURE_INVALID' }]);
    const revoked = (revoked_at: string | null) => {
      const key = { keyid: keyid(PUBLISHER), public_key: PUBLISHER.publicKey, publishers: [], first_seen: '' };
      hub.answers['GET /api/keys'] = (_, response) => json(response, { keys: [{ ...key, revoked_at }], rotations: [] });
    };
    const forget = async (yes: boolean) => forgetRevokedKey(await m.reopen(), keyid(PUBLISHER), async () => yes);
    revoked('now');
    await expect(forget(true)).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
    revoked(null);
    await expect(forget(false)).rejects.toMatchObject({ code: 'CONFIRMATION_REQUIRED' });
    expect((await sync('explicit')).problems).toMatchObject([{ code: 'SIGNATURE_INVALID' }]);
    await forget(true);
    await expect(forget(true)).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
    expect((await sync('explicit')).problems).toEqual([]);
    expect(await installed()).toEqual(['alpha@2.0.0']);
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
    await expect(sync('explicit')).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    expect(await installed()).toEqual([]);
  });

  it('count one to a record', async () => {
    const two = {
      ...a1,
      envelope: {
        ...(a1.envelope as object),
        signatures: [{ keyid: keyid(STRANGER), sig: 'AA==' }, ...(a1.envelope as { signatures: object[] }).signatures],
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
