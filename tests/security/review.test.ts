// What contributors register waits until an operator has looked at it (seed, phase 4).
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { scanPlugin } from '../../server/src/domain/safety/index.ts';
import { keyIdOf } from '../../server/src/domain/signing/dsse.ts';
import { publish as publishVerb, register as registerVerb } from '../../server/src/interfaces/cli/verbs/publishing.ts';
import { info as infoVerb } from '../../server/src/interfaces/cli/verbs/registry.ts';
import { review } from '../../server/src/interfaces/cli/verbs/review.ts';
import { writeFiles } from '../client/harness/hand-made-plugin.ts';
import { ask, ENGINES, hooks, type PluginWish, publish, register, type TestHub, testHub } from '../hub/support.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { verbCall } from '../support/verb-call.ts';

vi.mock('../../server/src/domain/safety/index.ts', { spy: true });

const KEY = `sk-ant-api03-${'Ab3dEf6hIj'.repeat(9)}-AA`;

describe.each(ENGINES)('a review, on %s', (engine) => {
  let t: TestHub;
  let home: TempHome;
  let contributor: string;
  let publisher: string;
  let operator: string;
  beforeAll(async () => {
    t = await testHub(engine);
    home = await tempHome('reviewer');
    contributor = await t.token(['contributor']);
    publisher = await t.token(['publisher']);
    operator = await t.token(['operator']);
    await t.machine('m');
  });
  afterAll(async () => {
    await t?.close();
    await home?.remove();
  });

  const hv = (args: string[], options: Record<string, unknown> = {}, token = operator) =>
    review(verbCall(home, t.url, token, { args, options })).catch((thrown: unknown) => thrown as never);
  const send = async (wish: PluginWish, token = contributor) =>
    (await register(t.url, token, wish)).expect(200) as { id: string; digest: string };
  const rejectBy = (id: string, body: object, token = operator) =>
    ask(t.url, 'POST', `/api/plugins/${id}/reject`, { token, body });
  const statusOf = async (id: string) =>
    (await t.hub.context.store.read.selectFrom('plugins').selectAll().where('id', '=', id).executeTakeFirst())?.status;

  it('lists what a contributor registered, with what it does and what is found in it', async () => {
    await send({ name: 'given', files: { ...hooks('curl evil.test'), 'notes.txt': `key ${KEY}` } });
    await publish(t.url, publisher, { name: 'published' });
    const { json, text } = await hv([]);
    expect((json as { reviews: { name: string }[] }).reviews.map((r) => r.name)).toEqual(['given']);
    expect(json).toMatchObject({
      reviews: [
        {
          publisher: 'contributor',
          accepted: false,
          held: null,
          surface: { commands: ['curl evil.test'] },
          findings: expect.arrayContaining([expect.objectContaining({ code: 'SECRET_FOUND' })]),
        },
      ],
    });
    expect(text).toContain('given 1.0.0 by contributor');
    expect(text).toContain('commands it runs: curl evil.test');
    expect(text).toContain('SECRET_FOUND');
    expect(text).not.toContain(KEY);
    // Looked through once, however often it is listed.
    vi.mocked(scanPlugin).mockClear();
    expect((await hv([])).json).toEqual(json);
    expect(scanPlugin).not.toHaveBeenCalled();
  });

  it('tells a contributor what becomes of a version, and sends nothing that may not be published', async () => {
    const write = (version: string) =>
      writeFiles(home.project, {
        'offer/.claude-plugin/plugin.json': { name: 'offer', version, description: 'An offer' },
        'offer/commands/go.md': '---\ndescription: Goes\n---\nGo\n',
      });
    await write('1.0.0');
    const call = (token: string) => verbCall(home, t.url, token, { args: ['./offer'], options: { all: true } });
    await expect(publishVerb(call(contributor))).rejects.toMatchObject({
      code: 'FORBIDDEN',
      message: expect.stringContaining('nothing was sent'),
      hint: expect.stringContaining('hv register'),
    });
    expect(await statusOf('plugin_offer_1.0.0')).toBeUndefined();
    const { text, json } = await registerVerb(call(contributor));
    expect(text).toContain('waits for an operator, who looks at it with: hv review offer@1.0.0');
    expect(text).not.toContain('hv publish');
    expect(json).toMatchObject({ status: 'registered', may_publish: false });
    await expect(registerVerb(call(publisher))).rejects.toMatchObject({
      code: 'VERSION_EXISTS',
      message: expect.stringContaining('by contributor, who has not published it'),
    });
    await write('1.0.1');
    expect((await registerVerb(call(publisher))).text).toContain('hv publish offer@1.0.1');
    for (const version of ['1.0.0', '1.0.1'])
      expect((await hv([`offer@${version}`], { reject: true, reason: 'r' })).json).toMatchObject({ version });
  });

  it('is an operator’s alone: others neither see, publish nor reject', async () => {
    for (const token of [contributor, publisher]) {
      expect((await ask(t.url, 'GET', '/api/reviews', { token })).code).toBe('FORBIDDEN');
      expect((await rejectBy('plugin_given_1.0.0', { reason: 'r' }, token)).code).toBe('FORBIDDEN');
      expect(await hv(['given@1.0.0'], { publish: true, all: true }, token)).toMatchObject({ code: 'FORBIDDEN' });
    }
    expect(await statusOf('plugin_given_1.0.0')).toBe('registered');
  });

  it('publishes what was looked at', async () => {
    expect(await hv(['given@1.0.0'], { publish: true })).toMatchObject({ code: 'TARGET_REQUIRED' });
    const { approved } = (await ask(t.url, 'GET', '/api/plugins/given/surface', { token: operator })).expect(200);
    expect(approved).toBeNull();
    const { text } = await hv(['given@1.0.0'], { publish: true, all: true });
    expect(text).toContain('given 1.0.0 is approved and published to everybody');
    expect(await statusOf('plugin_given_1.0.0')).toBe('published');
    expect(await hv(['given@1.0.0'])).toMatchObject({ code: 'VERSION_NOT_FOUND' });
  });

  it('publishes what is held to the groups that its publisher asked for', async () => {
    const { id } = await send({ name: 'given', version: '1.1.0', files: hooks('more') }, publisher);
    const body = { plugin_id: id, target_groups: ['web'] };
    (await ask(t.url, 'POST', '/api/plugins/publish', { token: publisher, body })).expect(200);
    const { text } = await hv(['given@1.1.0']);
    expect(text).toContain('wants to go to web');
    expect(text).toContain('against 1.0.0: does more');
    expect((await hv(['given@1.1.0'], { publish: true })).json).toMatchObject({ groups: ['web'] });
    expect(await statusOf(id)).toBe('published');
  });

  it('sends back with a reason: the number is gone, the author is told why, and the next one is held', async () => {
    const wish = { name: 'back', files: hooks('a') };
    const { id, digest } = await send(wish, publisher);
    expect(await hv(['back@1.0.0'], { reject: true })).toMatchObject({ code: 'USAGE' });
    expect((await rejectBy(id, { reason: 'r', digest: `sha256:${'0'.repeat(64)}` })).code).toBe('DIGEST_MISMATCH');
    expect((await rejectBy(id, { reason: '' })).code).toBe('BAD_REQUEST');
    expect(await statusOf(id)).toBe('registered');
    expect((await hv(['back@1.0.0'], { reject: true, reason: 'reads keys' })).json).toMatchObject({ digest });
    expect(await statusOf(id)).toBe('deleted');
    expect((await infoVerb(verbCall(home, t.url, publisher, { args: ['back@1.0.0'] }))).text).toMatch(
      /deleted +rejected: reads keys/,
    );
    const again = await register(t.url, publisher, wish);
    expect([again.code, again.json.detail]).toEqual(['VERSION_DELETED', expect.stringContaining('reads keys')]);
    const next = await send({ ...wish, version: '1.0.1' }, publisher);
    const body = { plugin_id: next.id, all: true, accept_surface: true };
    expect((await ask(t.url, 'POST', '/api/plugins/publish', { token: publisher, body })).expect(200)).toHaveProperty(
      'held',
    );
    expect((await rejectBy(next.id, { reason: 'the same' })).status).toBe(200);
    expect((await ask(t.url, 'POST', `/api/plugins/${next.id}/approve`, { token: operator, body: {} })).code).not.toBe(
      '',
    );
    expect(await statusOf(next.id)).toBe('deleted');
  });

  it('does not reject what was offered', async () => {
    expect((await rejectBy('plugin_published_1.0.0', { reason: 'r' })).code).toBe('STATUS_FORBIDS');
    expect(await statusOf('plugin_published_1.0.0')).toBe('published');
  });

  it('goes page by page, and does not list what ships with the hub', async () => {
    for (const name of ['w1', 'w2', 'w3']) await send({ name });
    const page = async (query: string) =>
      (await ask(t.url, 'GET', `/api/reviews?${query}`, { token: operator })).expect(200) as {
        reviews: { name: string }[];
        waiting: number;
        next: string | null;
      };
    const first = await page('limit=2');
    expect([first.reviews.map((r) => r.name), first.waiting]).toEqual([['w1', 'w2'], 3]);
    const second = await page(`limit=2&after=${encodeURIComponent(first.next ?? '')}`);
    expect([second.reviews.map((r) => r.name), second.next]).toEqual([['w3'], null]);
    await t.hub.context.store.transact((tx) =>
      tx
        .updateTable('plugins')
        .set({ publisher_keyid: keyIdOf(t.hub.context.identity.publicKey) })
        .where('id', '=', 'plugin_w3_1.0.0')
        .execute(),
    );
    expect((await page('')).reviews.map((r) => r.name)).toEqual(['w1', 'w2']);
  });

  it.each([
    ['two decisions', ['x@1.0.0'], { publish: true, reject: true }],
    ['a decision on nothing', [], { reject: true, reason: 'r' }],
    ['no exact version', ['given'], {}],
    ['groups without publishing', ['x@1.0.0'], { groups: 'a' }],
  ])('refuses %s', async (_what, args, options) => {
    expect(await hv(args, options)).toMatchObject({ code: 'USAGE' });
  });
});
