// An approval that says it is signed is taken only for what its key signed.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signApproval } from '../../server/src/domain/approval.ts';
import { createKeyPair, sealJson } from '../../server/src/domain/signing/dsse.ts';
import { asking } from './asking.ts';
import { ENGINES, publish, type TestHub, testHub } from './support.ts';

describe.each(ENGINES)('a signed approval, on %s', (engine) => {
  let t: TestHub;
  beforeAll(async () => {
    t = await testHub(engine);
  });
  afterAll(() => t?.close());

  const { get, post } = asking(() => t);

  const key = createKeyPair();
  const other = createKeyPair();
  const APPROVAL = 'application/vnd.haivemind.approval+json';
  const offered = async (name: string) => {
    const digest = (await publish(t.url, t.admin, { name }, ['signed'])).digest as string;
    const hub = t.hub.context.identity.id;
    return { hub, name, version: '1.0.0', digest, urgent: false, at: new Date().toISOString() };
  };
  const approve = (name: string, body: object) => post(`/api/plugins/${name}@1.0.0/approve`, t.admin, body);
  const shown = async (name: string) => (await get(`/api/plugins/${name}/surface`, t.admin)).expect(200).approved;

  it('is taken for what a key signed about these very bytes at this hub alone', async () => {
    const said = await offered('vouched');
    const good = signApproval(said, key.privatePem);
    const about = (change: object) => signApproval({ ...said, ...change }, key.privatePem);
    const wrong: Record<string, unknown> = {
      nothing: { payloadType: APPROVAL, payload: 'bnVsbA==', signatures: [] },
      'a signed null': sealJson(APPROVAL, null, key.privatePem),
      'no JSON': { ...good, payload: 'e30' },
      'another kind': sealJson('x', said, key.privatePem),
      'another kind by its name': { ...good, payloadType: 'x' },
      'another key': signApproval(said, other.privatePem),
      'no signature': { ...good, signatures: [] },
      'other bytes': about({ digest: `sha256:${'0'.repeat(64)}` }),
      'another version': about({ version: '1.0.1' }),
      'another plugin': about({ name: 'rung' }),
      'another hub': about({ hub: 'elsewhere' }),
    };
    for (const [what, envelope] of Object.entries(wrong)) {
      const refused = await approve('vouched', { envelope, public_key: key.publicKey });
      expect([refused.status, refused.code], what).toEqual([422, 'SIGNATURE_INVALID']);
    }
    expect((await approve('vouched', { envelope: good })).code).toBe('SIGNATURE_INVALID');
    expect(await shown('vouched')).toBeNull();
    (await approve('vouched', { digest: said.digest, envelope: good, public_key: key.publicKey })).expect(200);
    expect(await shown('vouched')).toMatchObject({ signed: true });
  });

  it('is not needed by an operator who only says so', async () => {
    await offered('said');
    (await approve('said', {})).expect(200);
    expect(await shown('said')).toMatchObject({ signed: false });
  });
});
