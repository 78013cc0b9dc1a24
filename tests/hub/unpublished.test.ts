// Versions that are registered and not offered: whose machines get their bytes, and who sees them.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appendEvent } from '../../server/src/storage/queries/events.ts';
import { asking } from './asking.ts';
import { ask, ENGINES, publish, register, type TestHub, testHub } from './support.ts';

type Machine = Awaited<ReturnType<TestHub['machine']>>;

describe.each(ENGINES)('what is not published, on %s', (engine) => {
  let t: TestHub;
  let contributor: string;
  let web: Machine;
  beforeAll(async () => {
    t = await testHub(engine);
    contributor = await t.token(['contributor']);
    web = await t.machine('web1', { groups: ['web'] });
  });
  afterAll(() => t?.close());

  const { get, post, report, claim } = asking(() => t);
  const registered = async (name: string, version = '1.0.0'): Promise<string> =>
    (await register(t.url, contributor, { name, version })).expect(200).digest as string;
  const fetchBytes = (token: string, digest: string) => post('/api/transfer', token, { versions: [digest] });
  const planned = async (machine: Machine): Promise<string[]> => {
    const seen = (await get(`/api/machines/${machine.id}`, t.admin)).expect(200);
    return (seen.desired as { name: string; version: string }[]).map((p) => `${p.name}@${p.version}`);
  };

  describe('the bytes of what is only registered', () => {
    it('do not come to a machine that says it has them, however it goes on', async () => {
      const digest = await registered('unseen');
      await publish(t.url, t.admin, { name: 'needs-unseen', manifest: { dependencies: ['unseen'] } }, ['lured']);
      const liar = await t.machine('liar', { groups: ['lured'] });
      await claim(liar.token, 'unseen', `sha256:${'0'.repeat(64)}`);
      expect((await fetchBytes(liar.token, digest)).code).toBe('VERSION_NOT_FOUND');
      for (const kind of ['hold', 'pin'] as const) {
        const body = { kind, range: '1.0.0' };
        await ask(t.url, 'PUT', '/api/machines/me/overrides/unseen', { token: liar.token, body });
        expect(await planned(liar), kind).toEqual([]);
        expect((await fetchBytes(liar.token, digest)).code, kind).toBe('VERSION_NOT_FOUND');
      }
      const manifest = (await get('/api/plugins/unseen', t.admin)).expect(200).files as { sha256: string }[];
      const blob = await get(`/api/blobs/${manifest[0]?.sha256}`, liar.token);
      expect(blob.status).toBe(404);
    });

    it('do not come by a hold of the machine on a plugin that an operator installed in another version', async () => {
      await publish(t.url, t.admin, { name: 'twice' }, ['nobody']);
      (await post('/api/plugins/twice/install', t.admin, { target_machines: ['web1'] })).expect(200);
      const digest = await registered('twice', '2.0.0');
      const body = { kind: 'hold', range: '2.0.0' };
      (await ask(t.url, 'PUT', '/api/machines/me/overrides/twice', { token: web.token, body })).expect(200);
      expect(await planned(web)).not.toContain('twice@2.0.0');
      expect((await fetchBytes(web.token, digest)).code).toBe('VERSION_NOT_FOUND');
    });

    it('come to the machine that an operator ordered them for, and stay there for repairs', async () => {
      const digest = await registered('ordered');
      await publish(t.url, t.admin, { name: 'needs-ordered', manifest: { dependencies: ['ordered'] } }, ['trial']);
      const trial = await t.machine('trial', { groups: ['trial'] });
      const other = await t.machine('other');
      const body = { version: '1.0.0', target_machines: ['trial'] };
      (await post('/api/plugins/ordered/install', t.admin, body)).expect(200);
      expect((await fetchBytes(trial.token, digest)).status).toBe(200);
      await claim(trial.token, 'ordered', digest);
      await ask(t.url, 'DELETE', '/api/machines/trial/overrides/ordered', { token: t.admin });
      expect(await planned(trial)).toEqual(['ordered@1.0.0', 'needs-ordered@1.0.0']);
      expect((await fetchBytes(trial.token, digest)).status).toBe(200);
      await claim(other.token, 'ordered', digest);
      expect((await fetchBytes(other.token, digest)).code).toBe('VERSION_NOT_FOUND');
    });

    it('come to a machine that rolls back to what an operator ordered before', async () => {
      const back = await t.machine('back');
      const first = await registered('older', '1.0.0');
      const second = await registered('older', '1.1.0');
      for (const version of ['1.0.0', '1.1.0']) {
        const body = { version, target_machines: ['back'] };
        (await post('/api/plugins/older/install', t.admin, body)).expect(200);
      }
      await claim(back.token, 'older', second, '1.1.0');
      const plugins = [{ name: 'older', version: '1.0.0', digest: first, state: 'verified' }];
      (await report(back.token, { plugins, holds: [{ name: 'older', version: '1.0.0' }] })).expect(200);
      expect(await planned(back)).toEqual(['older@1.0.0']);
      expect((await fetchBytes(back.token, first)).status).toBe(200);
    });
  });

  it('no machine learns which version waits by asking to install it', async () => {
    await publish(t.url, t.admin, { name: 'half-known' }, ['web']);
    for (const [name, version] of [
      ['half-known', '7.6.5'],
      ['quite-unknown', '7.6.5'],
    ] as const) {
      await registered(name, version);
      const asked = async (token: string) => {
        const body = { version: name === 'half-known' ? '>=2.0.0' : 'latest' };
        return post(`/api/plugins/${name}/install`, token, body);
      };
      expect((await asked(t.admin)).text).toContain(`hv publish ${name}@${version}`);
      const refused = await asked(web.token);
      expect(refused.code).toBe('VERSION_NOT_FOUND');
      expect(refused.text).not.toContain(version);
    }
  });

  describe('what a token registered', () => {
    const paths = (name: string) => [
      `/api/plugins/${name}`,
      `/api/plugins/plugin_${name}_1.0.0/surface`,
      `/api/plugins/${name}@1.0.0`,
    ];
    const sees = async (token: string, name: string): Promise<boolean[]> => {
      const listed = (await get('/api/plugins?status=registered', token)).expect(200);
      const answers = await Promise.all(paths(name).map((path) => get(path, token)));
      return [JSON.stringify(listed).includes(`"${name}"`), ...answers.map((a) => a.status === 200)];
    };
    const all = [true, true, true, true];
    const none = [false, false, false, false];

    it('is seen by that token and by operators, not by a machine or another token of its name', async () => {
      const owner = await t.token(['contributor'], { name: 'ada' });
      const digest = (await register(t.url, owner, { name: 'adas' })).expect(200).digest as string;
      expect(await sees(owner, 'adas')).toEqual(all);
      expect((await fetchBytes(owner, digest)).status).toBe(200);
      expect(await sees(await t.token(['operator'], { name: 'op' }), 'adas')).toEqual(all);
      const namesakes = [
        (await t.machine('ada')).token,
        await t.token(['reader'], { name: 'ada' }),
        await t.token(['contributor'], { name: 'ada' }),
        await t.token(['publisher'], { name: 'ada' }),
      ];
      for (const token of namesakes) {
        expect(await sees(token, 'adas')).toEqual(none);
        expect((await fetchBytes(token, digest)).code).toBe('VERSION_NOT_FOUND');
      }
    });

    it('is seen by no others when it was sent back, revoked or deleted without ever being offered', async () => {
      const owner = await t.token(['publisher'], { name: 'eve' });
      const ended: Record<string, () => Promise<unknown>> = {
        'eves-sent': async () =>
          (await post('/api/plugins/eves-sent@1.0.0/reject', t.admin, { reason: 'no' })).expect(200),
        'eves-revoked': async () =>
          (await post('/api/plugins/eves-revoked@1.0.0/revoke', owner, { reason: 'bad' })).expect(200),
        'eves-deleted': async () =>
          (await ask(t.url, 'DELETE', '/api/plugins/eves-deleted', { token: owner })).expect(200),
      };
      const others = [
        (await t.machine('eve-box')).token,
        await t.token(['reader'], { name: 'eve' }),
        await t.token(['publisher'], { name: 'eve' }),
      ];
      for (const [name, end] of Object.entries(ended)) {
        (await register(t.url, owner, { name })).expect(200);
        await end();
        for (const token of [owner, t.admin]) expect((await get(`/api/plugins/${name}`, token)).status).toBe(200);
        for (const token of others) {
          for (const path of paths(name)) expect((await get(path, token)).code).toBe('PLUGIN_NOT_FOUND');
          for (const status of ['deleted', 'revoked'])
            expect(JSON.stringify(await get(`/api/plugins?status=${status}`, token))).not.toContain(name);
        }
      }
    });

    it('stays known to all when it was offered once and is gone', async () => {
      const owner = await t.token(['publisher'], { name: 'fay' });
      for (const version of ['1.0.0', '2.0.0']) (await register(t.url, owner, { name: 'fays', version })).expect(200);
      const body = { plugin_id: 'plugin_fays_1.0.0', all: true, accept_surface: true };
      (await post('/api/plugins/publish', owner, body)).expect(200);
      (await ask(t.url, 'DELETE', '/api/plugins/fays', { token: owner })).expect(200);
      const reader = await t.token(['reader'], { name: 'gus' });
      const page = (await get('/api/plugins/fays', reader)).expect(200);
      expect(page).toMatchObject({ version: '1.0.0', status: 'deleted', versions: [{ version: '1.0.0' }] });
      expect((await get('/api/plugins/fays', owner)).expect(200).versions).toHaveLength(2);
    });

    it('stays its own when it is rotated, however often, and may be published by it', async () => {
      const first = await t.token(['publisher'], { name: 'bob' });
      (await register(t.url, first, { name: 'bobs' })).expect(200);
      let token = first;
      for (let i = 0; i < 2; i++) {
        const rotated = await post('/api/whoami/rotate', token, { grace_minutes: 5 });
        token = rotated.expect(200).token as string;
        expect(await sees(token, 'bobs')).toEqual(all);
      }
      expect(await sees(first, 'bobs')).toEqual(all);
      const body = { plugin_id: 'plugin_bobs_1.0.0', all: true, accept_surface: true };
      expect((await post('/api/plugins/publish', await t.token(['publisher'], { name: 'bob' }), body)).status).toBe(
        404,
      );
      (await post('/api/plugins/publish', token, body)).expect(200);
    });

    it('is still that of whoever may register under its name, where a hub kept nothing but that', async () => {
      const owner = await t.token(['contributor'], { name: 'cy' });
      (await register(t.url, owner, { name: 'cys' })).expect(200);
      const { store } = t.hub.context;
      await store.transact(async (tx) => {
        const seq = await store.nextSeq(tx);
        await tx.updateTable('plugins').set({ publisher_token: null }).where('name', '=', 'cys').execute();
        await appendEvent(tx, seq, 'plugin.changed', new Date().toISOString(), { name: 'cys', machine_ids: [] });
      });
      expect(await sees(owner, 'cys')).toEqual(all);
      expect(await sees(await t.token(['publisher'], { name: 'cy' }), 'cys')).toEqual(all);
      expect(await sees((await t.machine('cy')).token, 'cys')).toEqual(none);
      expect(await sees(await t.token(['reader'], { name: 'cy' }), 'cys')).toEqual(none);
      expect(await sees(contributor, 'cys')).toEqual(none);
    });
  });
});
