// Tokens that were rotated: whoever revokes one is told which of the same right still hold.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { token as tokenVerb } from '../../server/src/interfaces/cli/verbs/operator.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { verbCall } from '../support/verb-call.ts';
import { ask, ENGINES, type TestHub, testHub } from './support.ts';

describe.each(ENGINES)('a token that was rotated, on %s', (engine) => {
  let t: TestHub;
  let home: TempHome;
  beforeAll(async () => {
    t = await testHub(engine);
    home = await tempHome('admin');
  });
  afterAll(async () => {
    await t?.close();
    await home?.remove();
  });

  const rotate = async (token: string, grace_minutes: number) =>
    (await ask(t.url, 'POST', '/api/whoami/rotate', { token, body: { grace_minutes } })).expect(200) as {
      id: string;
      token: string;
    };
  const idOf = async (token: string) =>
    ((await ask(t.url, 'GET', '/api/whoami', { token })).expect(200).token as { id: string }).id;
  const revoke = async (id: string) =>
    (await ask(t.url, 'DELETE', `/api/tokens/${id}`, { token: t.admin })).expect(200);

  it('is named with those of its family that still hold, and with no other', async () => {
    const first = await t.token(['operator'], { name: 'olga' });
    await t.token(['operator'], { name: 'olga' });
    const id = await idOf(first);
    // A thief keeps it so; the owner's own has ended.
    const stolen = await rotate(first, 0);
    const again = await rotate(stolen.token, 10);
    expect(await revoke(id)).toMatchObject({ also: [stolen.id, again.id] });
    expect((await ask(t.url, 'GET', '/api/whoami', { token: again.token })).status).toBe(200);
    expect(await revoke(again.id)).toMatchObject({ also: [stolen.id] });
    expect(await revoke(stolen.id)).not.toHaveProperty('also');
  });

  it('is told so by hv, with what ends the others', async () => {
    const first = await t.token(['publisher'], { name: 'ci' });
    const id = await idOf(first);
    const next = await rotate(first, 10);
    const { json, text } = await tokenVerb(verbCall(home, t.url, t.admin, { args: ['revoke', id] }));
    expect(json).toMatchObject({ revoked: id, also: [next.id] });
    expect(text).toContain(`hv token revoke ${next.id}`);
    const last = await tokenVerb(verbCall(home, t.url, t.admin, { args: ['revoke', next.id] }));
    expect(last.text).not.toContain('hv token revoke');
  });
});
