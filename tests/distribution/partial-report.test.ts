// A machine tells the hub what changed; what it does not speak of stays as it was reported.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ask, ENGINES, type TestHub, testHub } from '../hub/support.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const row = (name: string, version: string, state = 'verified') => ({ name, version, digest: DIGEST, state });

describe.each(ENGINES)('a partial report on %s', (engine) => {
  let t: TestHub;
  let token: string;
  beforeEach(async () => {
    t = await testHub(engine);
    ({ token } = await t.machine('m1'));
    await send({ plugins: [row('aa', '1.0.0'), row('bb', '1.0.0'), row('cc', '1.0.0')] });
  });
  afterEach(() => t.close());

  const send = async (more: Record<string, unknown>) => {
    const body = { counter: 1, haivemind_version: '1.0.0', holds: [], ...more };
    return ask(t.url, 'POST', '/api/machines/me/status', { token, body });
  };
  const installed = async (): Promise<string[]> => {
    const answer = (await ask(t.url, 'GET', '/api/machines/me', { token })).expect(200);
    return (answer.plugins as { name: string; version: string; state: string }[])
      .map((p) => `${p.name} ${p.version} ${p.state}`)
      .sort();
  };

  it('changes, adds and removes only what it names', async () => {
    const plugins = [row('bb', '2.0.0'), row('dd', '1.0.0', 'failed')];
    (await send({ partial: true, plugins, removed: ['cc'] })).expect(200);
    expect(await installed()).toEqual(['aa 1.0.0 verified', 'bb 2.0.0 verified', 'dd 1.0.0 failed']);
  });

  it('that names nothing changes nothing', async () => {
    (await send({ partial: true, plugins: [] })).expect(200);
    expect(await installed()).toHaveLength(3);
  });

  it('that was read before the last one is refused, and says of when that is', async () => {
    (await send({ plugins: [row('aa', '2.0.0')], as_of: 1000 })).expect(200);
    const holds = [{ name: 'aa', version: '1.0.0' }];
    for (const old of [{ plugins: [row('aa', '1.0.0')] }, { plugins: [row('bb', '1.0.0')], partial: true, holds }]) {
      const refused = await send({ ...old, as_of: 999 });
      expect(refused.code).toBe('REPORT_OUTDATED');
      expect(refused.json.details).toMatchObject({ as_of: 1000 });
    }
    expect(await installed()).toEqual(['aa 2.0.0 verified']);
    const { json } = await ask(t.url, 'GET', '/api/machines/m1', { token: t.admin });
    expect(json.overrides).toEqual([]);
    // The same once more, a later one, and one of a program that does not say when.
    for (const as_of of [1000, 2000, undefined]) (await send({ plugins: [row('aa', '3.0.0')], as_of })).expect(200);
    expect((await send({ plugins: [], as_of: 1999 })).code).toBe('REPORT_OUTDATED');
  });

  it('of a clock that ran far ahead is ordered among its like, and none of the right time is late for it', async () => {
    const ahead = Date.parse('2099-01-01');
    for (const as_of of [ahead, ahead + 1]) (await send({ plugins: [row('aa', '2.0.0')], as_of })).expect(200);
    expect((await send({ plugins: [row('aa', '1.0.0')], as_of: ahead })).code).toBe('REPORT_OUTDATED');
    const now = Date.now();
    (await send({ plugins: [row('aa', '3.0.0')], as_of: now })).expect(200);
    expect((await send({ plugins: [row('aa', '1.0.0')], as_of: now - 1 })).code).toBe('REPORT_OUTDATED');
    expect(await installed()).toEqual(['aa 3.0.0 verified']);
  });

  it('is cut where an error is longer than anybody reads', async () => {
    const error = { code: 'C'.repeat(500), message: 'm'.repeat(100_000) };
    (await send({ plugins: [{ ...row('aa', '1.0.0', 'failed'), error }] })).expect(200);
    const { plugins } = (await ask(t.url, 'GET', '/api/machines/me', { token })).expect(200);
    expect(plugins).toMatchObject([{ error: { code: 'C'.repeat(64), message: 'm'.repeat(2000) } }]);
  });

  it('makes a full report after it the truth again', async () => {
    (await send({ partial: true, plugins: [row('bb', '2.0.0')] })).expect(200);
    (await send({ plugins: [row('aa', '3.0.0')] })).expect(200);
    expect(await installed()).toEqual(['aa 3.0.0 verified']);
  });

  it('moves remembered plans when a version changed, and not when none did', async () => {
    const before = await t.hub.context.store.stamp();
    await send({ partial: true, plugins: [row('bb', '1.0.0')] });
    expect(await t.hub.context.store.stamp()).toEqual(before);
    await send({ partial: true, plugins: [row('bb', '2.0.0')] });
    expect((await t.hub.context.store.stamp()).facts).toBeGreaterThan(before.facts);
  });
});
