import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { signApproval } from '../../server/src/domain/approval.ts';
import { createKeyPair, sealJson } from '../../server/src/domain/signing/dsse.ts';
import { namedOverrides } from '../../server/src/storage/migrations/0140-named-overrides.ts';
import { appendEvent } from '../../server/src/storage/queries/events.ts';
import { setOverride } from '../../server/src/storage/queries/overrides.ts';
import { ask, ENGINES, publish, register, type TestHub, testHub } from './support.ts';

type Machine = Awaited<ReturnType<TestHub['machine']>>;

describe.each(ENGINES)('what only some may have, on %s', (engine) => {
  let t: TestHub;
  let contributor: string;
  let web: Machine;
  beforeAll(async () => {
    t = await testHub(engine);
    contributor = await t.token(['contributor']);
    web = await t.machine('web1', { groups: ['web'] });
  });
  afterAll(() => t?.close());

  const get = (path: string, token: string) => ask(t.url, 'GET', path, { token });
  const post = (path: string, token: string, body: unknown) => ask(t.url, 'POST', path, { token, body });
  const registered = async (name: string, version = '1.0.0'): Promise<string> =>
    (await register(t.url, contributor, { name, version })).expect(200).digest as string;
  const fetchBytes = (token: string, digest: string) => post('/api/transfer', token, { versions: [digest] });
  const report = async (token: string, said: object) => {
    const body = { counter: 1, haivemind_version: '1.0.0', partial: true, holds: [], plugins: [], ...said };
    return post('/api/machines/me/status', token, body);
  };
  const claim = async (token: string, name: string, digest: string, version = '1.0.0') =>
    (await report(token, { plugins: [{ name, version, digest, state: 'verified' }] })).expect(200);
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

  describe('what happens', () => {
    type Event = { seq: number; type: string; data: Record<string, unknown> };
    let from: number;
    let one: Machine;
    let two: Machine;
    let owner: string;
    const tokens = { reader: '', publisher: '' };
    beforeAll(async () => {
      for (const role of ['reader', 'publisher'] as const) tokens[role] = await t.token([role]);
      owner = await t.token(['publisher'], { name: 'owner' });
      from = await t.hub.context.store.currentSeq();
      [one, two] = [await t.machine('one', { groups: ['x'] }), await t.machine('two', { groups: ['y'] })];
      const digest = (await register(t.url, owner, { name: 'quiet' })).expect(200).digest;
      const body = { version: '1.0.0', target_machines: ['one'] };
      (await post('/api/plugins/quiet/install', t.admin, body)).expect(200);
      (await post('/api/plugins/quiet/approve', t.admin, { digest })).expect(200);
      (await register(t.url, owner, { name: 'sent-back' })).expect(200);
      (await post('/api/plugins/sent-back/reject', t.admin, { reason: 'no' })).expect(200);
      await publish(t.url, t.admin, { name: 'loud' }, ['x']);
      const both = { target_machines: ['one', 'two'] };
      (await post('/api/plugins/loud/install', t.admin, both)).expect(200);
    });

    const feed = async (token: string): Promise<Event[]> => {
      const answer = (await get(`/api/events?after=${from}&limit=1000`, token)).expect(200);
      expect(answer.seq).toBe(await t.hub.context.store.currentSeq());
      return answer.events as Event[];
    };
    const types = (events: Event[], name: string) =>
      events.filter((e) => e.data.name === name || e.data.plugin === name).map((e) => e.type);
    const QUIET = ['plugin.registered', 'install.requested', 'plugin.approved'];
    const LOUD = ['plugin.published', 'install.requested'];

    it('is all told to operators, and to others no more than lists show them', async () => {
      const told = await feed(t.admin);
      expect(types(told, 'quiet')).toEqual(QUIET);
      expect(told.map((e) => e.seq)).toEqual(Array.from({ length: told.length }, (_, i) => from + 1 + i));
      for (const token of [tokens.reader, tokens.publisher]) {
        const events = await feed(token);
        expect(JSON.stringify(events)).not.toMatch(/quiet|sent-back|token\./);
        expect(events.map((e) => e.type)).toEqual(['machine.joined', 'machine.joined', ...LOUD]);
      }
      expect(types(await feed(owner), 'quiet')).toEqual(QUIET);
      expect(types(await feed(owner), 'sent-back')).toEqual(['plugin.registered', 'plugin.rejected']);
    });

    it('is told to a machine where it is about itself or what it may see, and of no other machine', async () => {
      const events = await feed(two.token);
      expect(JSON.stringify(events)).not.toMatch(/quiet|sent-back|token\./);
      expect(JSON.stringify(events)).not.toContain(one.id);
      expect(events.filter((e) => e.type === 'machine.joined').map((e) => e.data.machine_id)).toEqual([two.id]);
      expect(types(events, 'loud')).toEqual(LOUD);
      expect(events.find((e) => e.type === 'install.requested')?.data.machine_ids).toEqual([two.id]);
    });

    it('tells the order of a set to its machine and to operators alone, and the machine nothing of what stood before', async () => {
      const since = await t.hub.context.store.currentSeq();
      const put = { token: one.token, body: { plugins: [] } };
      const { seq } = (await ask(t.url, 'PUT', '/api/machines/me/set', put)).expect(200);
      (await ask(t.url, 'DELETE', `/api/machines/me/set?seq=${seq}`, { token: one.token })).expect(200);
      const sets = async (token: string) =>
        ((await get(`/api/events?after=${since}`, token)).expect(200).events as Event[]).map((e) => [
          e.type,
          Object.keys(e.data).sort(),
        ]);
      const ordered = ['by_operator', 'exclude', 'install', 'machine_id', 'machine_ids', 'target'];
      const takenBack = ['set.taken-back', ['machine_id', 'machine_ids', 'order', 'plugins', 'target']];
      expect(await sets(one.token)).toEqual([['set.ordered', ordered], takenBack]);
      expect(await sets(t.admin)).toEqual([['set.ordered', ['before', ...ordered].sort()], takenBack]);
      for (const token of [two.token, tokens.reader, tokens.publisher, owner]) expect(await sets(token)).toEqual([]);
    });

    it('moves the cursor past what is not told', async () => {
      const answer = (await get(`/api/events?after=${from}&limit=1`, one.token)).expect(200);
      const next = (await get(`/api/events?after=${from + 1}&limit=1`, one.token)).expect(200);
      expect([answer.seq, next.seq, next.events]).toEqual([from + 1, from + 2, []]);
    });

    it('names no version that was never offered, also not when it is taken back or deleted', async () => {
      const since = await t.hub.context.store.currentSeq();
      for (const version of ['1.0.0', '2.0.0']) (await register(t.url, owner, { name: 'part', version })).expect(200);
      const body = { plugin_id: 'plugin_part_1.0.0', all: true, accept_surface: true };
      (await post('/api/plugins/publish', owner, body)).expect(200);
      (await register(t.url, owner, { name: 'dropped' })).expect(200);
      (await post('/api/plugins/dropped@1.0.0/revoke', t.admin, { reason: 'bad' })).expect(200);
      (await ask(t.url, 'DELETE', '/api/plugins/part', { token: t.admin })).expect(200);
      const told = async (token: string) =>
        ((await get(`/api/events?after=${since}&limit=1000`, token)).expect(200).events as Event[]).map((e) => [
          e.type,
          e.data.versions ?? e.data.version,
        ]);
      const public_ = [
        ['plugin.published', '1.0.0'],
        ['plugin.deleted', ['1.0.0']],
      ];
      for (const token of [tokens.reader, tokens.publisher, one.token]) expect(await told(token)).toEqual(public_);
      for (const token of [owner, t.admin]) {
        expect(await told(token)).toContainEqual(['plugin.revoked', '1.0.0']);
        expect(await told(token)).toContainEqual(['plugin.deleted', expect.arrayContaining(['1.0.0', '2.0.0'])]);
      }
    });

    const watch = async (token: string): Promise<{ heard: string[]; close: () => void }> => {
      const ws = new WebSocket(`${t.url.replace('http', 'ws')}/ws/plugins`, {
        headers: { authorization: `Bearer ${token}` },
      });
      const heard: string[] = [];
      ws.on('message', (data) => heard.push(String(data)));
      await once(ws, 'open');
      ws.send(JSON.stringify({ type: 'resume', seq: from, watch: true }));
      return { heard, close: () => ws.terminate() };
    };
    const has = (heard: string[], ...parts: string[]) =>
      expect.poll(() => heard.some((m) => parts.every((part) => m.includes(part)))).toBe(true);

    it('comes to watchers alike, missed or new, with the progress of what they may see', async () => {
      const [reader, mine, all] = [await watch(tokens.reader), await watch(owner), await watch(t.admin)];
      for (const { heard } of [reader, mine, all]) await has(heard, '"plugin.published"', '"loud"');
      (await register(t.url, owner, { name: 'quieter' })).expect(200);
      await t.token(['reader'], { name: 'quieter-token' });
      await claim(one.token, 'quieter', 'd');
      await claim(one.token, 'loud', 'd');
      await publish(t.url, t.admin, { name: 'louder' }, ['nowhere']);
      await claim(two.token, 'louder', 'd');
      for (const { heard } of [reader, mine, all]) {
        await has(heard, '"plugin.published"', '"louder"');
        await has(heard, '"progress"', '"loud"', '"one"');
        await has(heard, '"progress"', '"louder"', '"two"');
      }
      for (const { heard } of [mine, all]) {
        await has(heard, '"plugin.registered"', '"quieter"');
        await has(heard, '"progress"', '"quieter"');
      }
      await has(all.heard, '"quieter-token"');
      expect(reader.heard.filter((m) => /quiet|sent-back|token\./.test(m))).toEqual([]);
      expect(mine.heard.filter((m) => m.includes('quieter-token'))).toEqual([]);
      const seqs = all.heard.flatMap((m) => (JSON.parse(m) as { event?: Event }).event?.seq ?? []);
      expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
      for (const { close } of [reader, mine, all]) close();
    });

    it('comes to watchers without a gap however fast it happens', async () => {
      const [part, all] = [await watch(tokens.reader), await watch(t.admin)];
      for (const { heard } of [part, all]) await has(heard, '"plugin.published"', '"louder"');
      const names = Array.from({ length: 60 }, (_, i) => `fast-${i}`);
      await Promise.all(names.map((name) => t.token(['reader'], { name })));
      await publish(t.url, t.admin, { name: 'last' }, ['nowhere']);
      for (const { heard } of [part, all]) await has(heard, '"plugin.published"', '"last"');
      expect(names.filter((name) => !all.heard.some((m) => m.includes(`"${name}"`)))).toEqual([]);
      for (const { close } of [part, all]) close();
    });

    it('does not tell a machine, or who may list none, where else a plugin is', async () => {
      const on = async (token: string) =>
        ((await get('/api/plugins/loud', token)).expect(200).installed_on as { machine: string }[]).map(
          (m) => m.machine,
        );
      await claim(two.token, 'loud', 'd');
      await claim(one.token, 'loud', 'd');
      for (const token of [t.admin, tokens.reader, tokens.publisher]) expect(await on(token)).toEqual(['one', 'two']);
      expect([await on(one.token), await on(two.token)]).toEqual([['one'], ['two']]);
      expect([await on(web.token), await on(contributor)]).toEqual([[], []]);
    });
  });

  describe('a signed approval', () => {
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

  describe('a hold that a machine reports', () => {
    const overrides = async (machine: Machine) =>
      (await get(`/api/machines/${machine.id}`, t.admin)).expect(200).overrides as { name: string; range: string }[];
    const good = { name: 'held-here', version: '1.0.0' };

    it('is of a plugin and one exact version, or the report is refused whole', async () => {
      const holder = await t.machine('holder');
      const plugins = [{ name: 'along', version: '1.0.0', digest: 'd', state: 'verified' }];
      const wrong: [{ name: string; version: string }, string][] = [
        [{ ...good, name: '__proto__' }, 'NAME_INVALID'],
        [{ ...good, name: 'constructor' }, 'NAME_RESERVED'],
        [{ ...good, name: 'a'.repeat(5000) }, 'NAME_INVALID'],
        [{ ...good, name: 'x/y' }, 'NAME_INVALID'],
        [{ ...good, version: '<script>' }, 'VERSION_INVALID'],
        [{ ...good, version: '^1.0.0' }, 'VERSION_INVALID'],
      ];
      for (const [hold, code] of wrong) {
        expect((await report(holder.token, { plugins, holds: [good, hold] })).code, hold.name).toBe(code);
      }
      const seen = (await get(`/api/machines/${holder.id}`, t.admin)).expect(200);
      expect([seen.overrides, seen.plugins]).toEqual([[], []]);
      (await report(holder.token, { plugins, holds: [good] })).expect(200);
      expect(await overrides(holder)).toMatchObject([{ name: 'held-here', kind: 'hold', range: '1.0.0' }]);
      (await ask(t.url, 'DELETE', '/api/machines/me/overrides/held-here', { token: holder.token })).expect(200);
      expect(await overrides(holder)).toEqual([]);
    });

    it('goes where an older hub took it down under a name that no plugin can have', async () => {
      const holder = await t.machine('held-long-ago');
      const { store } = t.hub.context;
      for (const name of ['__proto__', 'x/y <b>', 'a'.repeat(5000), 'held-here']) {
        const hold = { machineId: holder.id, name, kind: 'hold' as const, range: '1.0.0', forceNonce: null };
        const by = { byOperator: false, by: 'held-long-ago', at: new Date().toISOString() };
        await store.transact((tx) => setOverride(tx, { ...hold, ...by }));
      }
      await store.transact((tx) => namedOverrides.up(tx));
      expect(await overrides(holder)).toMatchObject([{ name: 'held-here' }]);
    });
  });
});
