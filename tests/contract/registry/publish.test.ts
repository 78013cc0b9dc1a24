import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventsAfter } from '../../../server/src/storage/queries/events.ts';
import { ENGINES } from '../engines.ts';
import {
  contributor,
  operator,
  type PluginOptions,
  pack,
  principal,
  publisher,
  reader,
  startTestHub,
  type TestHub,
} from './test-hub.ts';

describe.each(ENGINES)('publish, status and removal on %s', (engine) => {
  let t: TestHub;
  beforeEach(async () => {
    t = await startTestHub(engine);
  });
  afterEach(() => t.drop());

  const grouped: PluginOptions = { manifest: { haivemind: { machine_groups: ['web', 'db-main'] } } };
  const publish = (plugin_id: string, more: object = {}, as = publisher) =>
    t.call('publish', { as, body: { plugin_id, ...more } });

  it("offers to the manifest's groups when none is given, and names the machines that get it", async () => {
    await t.addMachine('w1', ['web']);
    await t.addMachine('d1', ['db-main']);
    await t.addMachine('other', ['mail']);
    await t.register(pack('alpha', '1.0.0', grouped));
    const reply = await publish('alpha');
    expect(reply).toMatchObject({
      id: 'plugin_alpha_1.0.0',
      status: 'published',
      groups: ['db-main', 'web'],
      machines: ['d1', 'w1'],
    });
    expect(t.rung.at(-1)).toBe(reply.seq);
    expect((await eventsAfter(t.store.read, reply.seq - 1, 1))[0]).toMatchObject({
      type: 'plugin.published',
      data: { name: 'alpha' },
    });
    const seq = await t.store.currentSeq();
    expect(await publish('alpha')).toMatchObject({ seq, machines: ['d1', 'w1'] });
    expect(await t.store.currentSeq()).toBe(seq);
  });

  it('narrows to target groups within those of the manifest, and adds to what was offered before', async () => {
    await t.addMachine('w1', ['web']);
    await t.addMachine('d1', ['db-main']);
    await t.register(pack('alpha', '1.0.0', grouped));
    expect(await publish('alpha', { target_groups: ['web'] })).toMatchObject({ groups: ['web'], machines: ['w1'] });
    await expect(publish('alpha', { target_groups: ['mail'] })).rejects.toMatchObject({ code: 'GROUP_NOT_ALLOWED' });
    expect(await publish('alpha', { target_groups: ['db-main'] })).toMatchObject({
      groups: ['db-main', 'web'],
      machines: ['d1', 'w1'],
    });
    expect(await publish('alpha', { all: true })).toMatchObject({
      groups: ['*', 'db-main', 'web'],
      machines: ['d1', 'w1'],
    });
  });

  it('wants a target when the manifest names none', async () => {
    await t.addMachine('w1', ['web']);
    await t.register(pack('alpha', '1.0.0'));
    await expect(publish('alpha')).rejects.toMatchObject({ code: 'TARGET_REQUIRED' });
    for (const everybody of ['*', 'all'])
      await expect(publish('alpha', { target_groups: [everybody] })).rejects.toMatchObject({ code: 'TARGET_REQUIRED' });
    expect(await publish('alpha', { all: true })).toMatchObject({ groups: ['*'], machines: ['w1'] });
  });

  it('says in a dry run what would happen, and changes nothing', async () => {
    await t.addMachine('w1', ['web']);
    await t.register(pack('alpha', '1.0.0'));
    const seq = await t.store.currentSeq();
    expect(await publish('alpha', { target_groups: ['web'], dry_run: true })).toMatchObject({
      status: 'registered',
      groups: ['web'],
      machines: ['w1'],
      seq,
    });
    expect(await t.call('list', { as: reader })).toMatchObject({ plugins: [] });
    expect(await t.store.currentSeq()).toBe(seq);
  });

  it('passes over machines that lack a capability, and the version that a newer one outranks', async () => {
    await t.addMachine('able', ['web'], ['gpu']);
    await t.addMachine('unable', ['web']);
    const needs = { manifest: { haivemind: { required_capabilities: ['gpu'] } } };
    await t.register(pack('alpha', '1.0.0', needs));
    await t.register(pack('alpha', '2.0.0', needs));
    expect(await publish('alpha@2.0.0', { target_groups: ['web'] })).toMatchObject({ machines: ['able'] });
    expect(await publish('plugin_alpha_1.0.0', { target_groups: ['web'] })).toMatchObject({ machines: [] });
  });

  it('refuses a required plugin that the registry has nothing of, and says who wants it', async () => {
    const needy = pack('alpha', '1.0.0', {
      manifest: { dependencies: ['beta', { name: 'gamma', version: '^1.0.0' }] },
    });
    await t.register(needy);
    await t.register(pack('beta', '1.0.0'));
    const refusal = await publish('alpha', { all: true }).catch((e: unknown) => e);
    expect(refusal).toMatchObject({ code: 'DEPENDENCY_MISSING' });
    expect((refusal as Error).message).toContain('alpha@1.0.0 needs gamma@^1.0.0');
  });

  it('lets only publishers within their pattern and operators publish', async () => {
    await t.register(pack('alpha', '1.0.0'), { as: contributor });
    await expect(publish('alpha', { all: true }, contributor)).rejects.toMatchObject({ code: 'FORBIDDEN' });
    const limited = principal('contrib', ['publisher'], { namePattern: 'team-*' });
    await expect(publish('alpha', { all: true }, limited)).rejects.toMatchObject({ code: 'FORBIDDEN' });
    const several = principal('contrib', ['publisher'], { namePattern: 'es-*,log-*' });
    await t.register(pack('log-tail', '1.0.0'), { as: contributor });
    expect(await publish('log-tail', { all: true }, several)).toMatchObject({ status: 'published' });
    // What another has registered does not exist for a publisher that did not register it.
    await expect(publish('alpha', { all: true }, publisher)).rejects.toMatchObject({ code: 'PLUGIN_NOT_FOUND' });
    expect(await publish('alpha', { all: true }, operator)).toMatchObject({ status: 'published' });
    await expect(t.call('remove', { as: limited, params: { id: 'alpha' } })).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
    await expect(
      t.call('setStatus', { as: contributor, params: { id: 'alpha' }, body: { status: 'yanked' } }),
    ).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });

  it('refuses references that name nothing', async () => {
    await t.register(pack('alpha', '1.0.0'));
    await expect(publish('beta')).rejects.toMatchObject({ code: 'PLUGIN_NOT_FOUND' });
    await expect(publish('alpha@^2.0.0')).rejects.toMatchObject({ code: 'VERSION_NOT_FOUND' });
    await expect(publish('plugin_alpha_9.9.9')).rejects.toMatchObject({ code: 'VERSION_NOT_FOUND' });
    await expect(publish('Not A Name')).rejects.toMatchObject({ code: 'NAME_INVALID' });
    await expect(publish('alpha@not a range')).rejects.toMatchObject({ code: 'VERSION_INVALID' });
  });

  describe('by a name alone, or with a range', () => {
    const all = { all: true };
    const registered = async (...versions: string[]) => {
      for (const version of versions) await t.register(pack('alpha', version));
    };
    const refused = (...named: string[]) => ({
      code: 'BAD_REQUEST',
      details: { versions: named },
      hint: expect.stringContaining(named.map((version) => `alpha@${version}`).join(' or ')),
    });

    it('offers what was registered last, not what is offered already', async () => {
      await registered('2.3.0');
      await publish('alpha', all);
      await registered('3.0.0');
      expect(await publish('alpha', { ...all, dry_run: true })).toMatchObject({ id: 'plugin_alpha_3.0.0' });
      expect(await publish('alpha', all)).toMatchObject({ id: 'plugin_alpha_3.0.0', status: 'published' });
      // Said again, as when an answer was lost, or for one more group.
      expect(await publish('alpha', { target_groups: ['web'] })).toMatchObject({ id: 'plugin_alpha_3.0.0' });
      await registered('3.1.0');
      expect(await publish('alpha@latest', all)).toMatchObject({ id: 'plugin_alpha_3.1.0' });
      await registered('3.2.0');
      expect(await publish('alpha@^3.0.0', all)).toMatchObject({ id: 'plugin_alpha_3.2.0' });
      expect(await publish('alpha@^2.0.0', all)).toMatchObject({ id: 'plugin_alpha_2.3.0' });
      expect(await publish('alpha@3.1.0', all)).toMatchObject({ id: 'plugin_alpha_3.1.0' });
    });

    it('offers a prerelease that was registered last, and a release behind it', async () => {
      await registered('1.0.0');
      await publish('alpha', all);
      await registered('2.0.0-beta.1');
      expect(await publish('alpha', all)).toMatchObject({ id: 'plugin_alpha_2.0.0-beta.1' });
      await registered('1.0.1');
      expect(await publish('alpha', all)).toMatchObject({ id: 'plugin_alpha_1.0.1' });
    });

    it('forgets no release that waits because of a prerelease that was offered since', async () => {
      await registered('1.0.0');
      await publish('alpha', { target_groups: ['web'] });
      await registered('1.1.0', '1.2.0-rc.1');
      await publish('alpha@1.2.0-rc.1', { target_groups: ['beta'] });
      await expect(publish('alpha', all)).rejects.toMatchObject(refused('1.2.0-rc.1', '1.1.0'));
      await publish('alpha@1.1.0', all);
      expect(await publish('alpha', all)).toMatchObject({ id: 'plugin_alpha_1.1.0' });
    });

    it('offers no prerelease where a higher one waits', async () => {
      await registered('1.0.0');
      await publish('alpha', all);
      await registered('2.0.0-rc.2', '2.0.0-rc.1');
      await expect(publish('alpha', all)).rejects.toMatchObject(refused('2.0.0-rc.1', '2.0.0-rc.2'));
    });

    it('passes over a prerelease that waits beside releases', async () => {
      await registered('2.0.0-rc.1', '1.0.0');
      await publish('alpha@1.0.0', all);
      expect(await publish('alpha', { target_groups: ['web'] })).toMatchObject({ id: 'plugin_alpha_1.0.0' });
    });

    it('passes over what stayed behind', async () => {
      await registered('1.0.0', '1.1.0');
      expect(await publish('alpha', all)).toMatchObject({ id: 'plugin_alpha_1.1.0' });
      expect(await publish('alpha', { target_groups: ['web'] })).toMatchObject({ id: 'plugin_alpha_1.1.0' });
    });

    it('refuses where the newest is not the one that was registered last, and names both', async () => {
      await registered('3.0.0');
      await publish('alpha', all);
      await registered('2.9.1');
      await expect(publish('alpha', all)).rejects.toMatchObject(refused('2.9.1', '3.0.0'));
      expect(await publish('alpha@2.9.1', all)).toMatchObject({ id: 'plugin_alpha_2.9.1' });
      expect(await publish('alpha', all)).toMatchObject({ id: 'plugin_alpha_3.0.0' });
      await registered('5.0.0', '4.0.0');
      await expect(publish('alpha', all)).rejects.toMatchObject(refused('4.0.0', '5.0.0'));
      await publish('plugin_alpha_4.0.0', all);
      await expect(publish('alpha', all)).rejects.toMatchObject(refused('4.0.0', '5.0.0'));
    });

    it('does not let an operator offer unseen what another has registered', async () => {
      await t.register(pack('alpha', '1.0.0'), { as: contributor });
      expect(await publish('alpha', all, operator)).toMatchObject({ id: 'plugin_alpha_1.0.0' });
      await t.register(pack('alpha', '1.1.0'), { as: contributor });
      await expect(publish('alpha', all, operator)).rejects.toMatchObject(refused('1.1.0', '1.0.0'));
      expect(await publish('alpha', all)).toMatchObject({ id: 'plugin_alpha_1.0.0' });
    });
  });

  it('deprecates, yanks and offers again, each with its event; refuses what was never published', async () => {
    await t.register(pack('alpha', '1.0.0'));
    const set = (status: 'published' | 'deprecated' | 'yanked', reason = '') =>
      t.call('setStatus', { as: publisher, params: { id: 'plugin_alpha_1.0.0' }, body: { status, reason } });
    await expect(set('yanked')).rejects.toMatchObject({ code: 'STATUS_FORBIDS' });
    await publish('alpha', { all: true });
    expect(await set('deprecated', 'old')).toMatchObject({ status: 'deprecated' });
    const { seq } = await set('yanked', 'broken');
    expect((await eventsAfter(t.store.read, seq - 1, 1))[0]?.data).toMatchObject({
      from: 'deprecated',
      to: 'yanked',
      reason: 'broken',
    });
    expect(await set('yanked', 'broken')).toMatchObject({ seq });
    await expect(publish('alpha', { all: true })).rejects.toMatchObject({ code: 'STATUS_FORBIDS' });
    expect(await t.call('list', { as: reader })).toMatchObject({ plugins: [] });
    expect(await set('published')).toMatchObject({ status: 'published' });
    expect((await t.call('list', { as: reader })).plugins).toHaveLength(1);
  });

  it('keeps a yank until it is lifted, and lifts one status at a time', async () => {
    await t.register(pack('alpha', '1.0.0'));
    await publish('alpha', { all: true });
    const id = 'plugin_alpha_1.0.0';
    const set = (body: {
      status: 'published' | 'deprecated' | 'yanked';
      reason?: string;
      lifts?: 'deprecated' | 'yanked';
    }) => t.call('setStatus', { as: publisher, params: { id }, body });
    const stands = async () => {
      const { status, status_reason } = await t.call('info', { as: publisher, params: { id } });
      return `${status}: ${status_reason}`;
    };
    await set({ status: 'deprecated', reason: 'old' });
    await set({ status: 'yanked', reason: 'broken' });
    await set({ status: 'yanked', reason: 'very broken' });
    await expect(set({ status: 'deprecated', reason: 'older' })).rejects.toMatchObject({
      code: 'STATUS_FORBIDS',
      hint: expect.stringContaining('hv yank alpha@1.0.0 --undo'),
    });
    await expect(set({ status: 'published', lifts: 'deprecated' })).rejects.toMatchObject({ code: 'STATUS_FORBIDS' });
    expect(await stands()).toBe('yanked: very broken');
    expect(await set({ status: 'published', lifts: 'yanked' })).toMatchObject({ status: 'deprecated' });
    expect(await stands()).toBe('deprecated: old');
    await expect(set({ status: 'published', lifts: 'yanked' })).rejects.toMatchObject({
      code: 'STATUS_FORBIDS',
      hint: expect.stringContaining('hv deprecate alpha@1.0.0 --undo'),
    });
    expect(await set({ status: 'published', lifts: 'deprecated' })).toMatchObject({ status: 'published' });
    expect(await stands()).toBe('published: ');
    // Said twice, as when an answer was lost.
    expect(await set({ status: 'published', lifts: 'deprecated' })).toMatchObject({ status: 'published' });
    await set({ status: 'yanked', reason: 'again' });
    expect(await set({ status: 'published', lifts: 'yanked' })).toMatchObject({ status: 'published' });
  });

  it('does not undo a deprecation by publishing again where it is offered already; elsewhere it does', async () => {
    const alpha = pack('alpha', '1.0.0');
    await t.register(alpha);
    await publish('alpha', { all: true });
    const params = { id: 'plugin_alpha_1.0.0' };
    await t.call('setStatus', { as: publisher, params, body: { status: 'deprecated', reason: 'old' } });
    // As a job that publishes what is there, again and again.
    const refused = { code: 'STATUS_FORBIDS', hint: expect.stringContaining('hv deprecate alpha@1.0.0 --undo') };
    for (const dry_run of [true, false])
      await expect(publish('alpha', { all: true, dry_run, notify_agents: false })).rejects.toMatchObject(refused);
    const { name, version, digest } = alpha.record;
    const fields = { machine_groups: [], required_capabilities: [], min_haivemind_version: null, dependencies: [] };
    const body = { name, version, digest, ...fields, all: true };
    await expect(t.call('preview', { as: publisher, body })).rejects.toMatchObject(refused);
    expect(await t.call('info', { params })).toMatchObject({ status: 'deprecated', status_reason: 'old' });
    await expect(publish('alpha', { target_groups: ['web'] })).rejects.toMatchObject(refused);
    await t.register(pack('beta', '1.0.0'));
    await publish('beta', { target_groups: ['db'] });
    const beta = { id: 'plugin_beta_1.0.0' };
    await t.call('setStatus', { as: publisher, params: beta, body: { status: 'deprecated', reason: 'old' } });
    expect(await publish('beta', { target_groups: ['web'] })).toMatchObject({ status: 'published' });
  });

  it('deletes one version or all, for good, and frees the bytes', async () => {
    for (const v of ['1.0.0', '1.1.0', '2.0.0']) await t.register(pack('alpha', v));
    expect(await t.call('remove', { as: publisher, params: { id: 'plugin_alpha_1.0.0' } })).toMatchObject({
      deleted: ['plugin_alpha_1.0.0'],
    });
    await expect(t.register(pack('alpha', '1.0.0'))).rejects.toMatchObject({ code: 'VERSION_DELETED', http: 409 });
    await expect(t.call('remove', { as: publisher, params: { id: 'plugin_alpha_1.0.0' } })).rejects.toMatchObject({
      code: 'VERSION_NOT_FOUND',
    });
    expect((await t.call('remove', { params: { id: 'alpha' } })).deleted).toEqual([
      'plugin_alpha_2.0.0',
      'plugin_alpha_1.1.0',
    ]);
    await expect(t.call('remove', { params: { id: 'beta' } })).rejects.toMatchObject({ code: 'PLUGIN_NOT_FOUND' });
    const files = await t.store.read.selectFrom('plugin_files').selectAll().execute();
    expect(files).toEqual([]);
    expect(await t.call('info', { params: { id: 'alpha' } })).toMatchObject({ status: 'deleted', files: [] });
  });
});
