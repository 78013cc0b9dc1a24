// A dry run of a folder asks where it would go; what it is told must be what happens.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { appendEvent } from '../../../server/src/storage/queries/events.ts';
import { setPluginStatus } from '../../../server/src/storage/queries/plugins.ts';
import { putQuorum } from '../../../server/src/storage/queries/trust.ts';
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

const AT = '2026-01-01T00:00:00.000Z';

describe.each(ENGINES)('where a version would go, on %s', (engine) => {
  let t: TestHub;
  beforeEach(async () => {
    t = await startTestHub(engine);
    await t.addMachine('w1', ['web'], ['gpu']);
    await t.addMachine('w2', ['web']);
    await t.addMachine('d1', ['db']);
  });
  afterEach(() => t.drop());

  const needs = (...dependencies: unknown[]): PluginOptions => ({ manifest: { dependencies } });
  const ask = (
    version: string,
    options: PluginOptions = {},
    target: object = { target_groups: ['web'] },
    as = operator,
  ) => {
    const { record, manifest } = pack('lib', version, options);
    const body = {
      name: record.name,
      version,
      digest: record.digest,
      machine_groups: manifest.machineGroups,
      required_capabilities: manifest.requiredCapabilities,
      min_haivemind_version: manifest.minHaivemindVersion ?? null,
      dependencies: manifest.dependencies,
      ...target,
    };
    return t.call('preview', { as, body });
  };
  const offer = async (name: string, version: string, options: PluginOptions = {}) => {
    await t.register(pack(name, version, options), { as: operator });
    const { groups, machines, instead } = await t.call('publish', {
      as: operator,
      body: { plugin_id: `${name}@${version}`, target_groups: ['web'] },
    });
    return { groups, machines, ...(instead === undefined ? {} : { instead }) };
  };
  const override = (machine: string, name: string, kind: 'pin' | 'exclude', range = '*') =>
    t.call('setOverride', { as: operator, params: { machine, name }, body: { kind, range } });

  it.each<[what: string, version: string, options: PluginOptions, prepare: () => Promise<unknown>, machines: string[]]>(
    [
      ['to all that it reaches', '1.0.0', {}, async () => {}, ['w1', 'w2']],
      [
        'to those with its capabilities',
        '1.0.0',
        { manifest: { haivemind: { required_capabilities: ['gpu'] } } },
        async () => {},
        ['w1'],
      ],
      ['to nobody where a dependency cannot be had', '1.0.0', needs('base@^9.0.0'), () => offer('base', '1.0.0'), []],
      [
        'to those that may have its dependency',
        '1.0.0',
        needs('base'),
        () => offer('base', '1.0.0').then(() => override('w2', 'base', 'exclude')),
        ['w1'],
      ],
      [
        'past a pin',
        '2.0.0',
        {},
        () => offer('lib', '1.0.0').then(() => override('w1', 'lib', 'pin', '1.0.0')),
        ['w2'],
      ],
      ['past a newer one', '1.0.0', {}, () => offer('lib', '2.0.0'), []],
      [
        'past what another plugin wants',
        '2.0.0',
        {},
        () => offer('lib', '1.0.0').then(() => offer('app', '1.0.0', needs('lib@^1.0.0'))),
        [],
      ],
    ],
  )('%s', async (_what, version, options, prepare, machines) => {
    await prepare();
    const seq = await t.store.currentSeq();
    const told = await ask(version, options);
    expect(await t.store.currentSeq()).toBe(seq);
    expect(told.machines).toEqual(machines);
    expect(await offer('lib', version, options)).toEqual(told);
  });

  it('is refused as the publication would be', async () => {
    await expect(ask('1.0.0', needs('no-such'))).rejects.toMatchObject({ code: 'DEPENDENCY_MISSING' });
    await expect(ask('1.0.0', {}, {})).rejects.toMatchObject({ code: 'TARGET_REQUIRED' });
    const narrow = { manifest: { haivemind: { machine_groups: ['db'] } } };
    await expect(ask('1.0.0', narrow)).rejects.toMatchObject({ code: 'GROUP_NOT_ALLOWED' });
    expect(await ask('1.0.0', narrow, {})).toEqual({ groups: ['db'], machines: ['d1'] });
    for (const as of [reader, contributor])
      await expect(ask('1.0.0', {}, { all: true }, as)).rejects.toMatchObject({ code: 'FORBIDDEN' });
    const limited = principal('ci', ['publisher'], { namePattern: 'es-*' });
    await expect(ask('1.0.0', {}, { all: true }, limited)).rejects.toMatchObject({ code: 'FORBIDDEN' });
    expect((await ask('1.0.0', {}, { all: true }, publisher)).machines).toEqual(['d1', 'w1', 'w2']);
  });

  it('is refused as its registration would be, and what can no longer be offered as that would be', async () => {
    const bare = { manifest: { haivemind: { min_haivemind_version: '1.0.0' } } };
    expect((await ask('1.0.0', bare)).groups).toEqual(['web']);
    await expect(ask('1.0.0', {}, { min_haivemind_version: 'x' })).rejects.toMatchObject({ code: 'VERSION_INVALID' });
    await offer('lib', '1.0.0');
    expect((await ask('1.0.0')).machines).toEqual(['w1', 'w2']);
    await expect(ask('1.0.0', { files: { 'more.txt': 'x' } })).rejects.toMatchObject({ code: 'VERSION_EXISTS' });
    await expect(ask('2.0.0', {}, { name: 'l-ib', all: true }, publisher)).rejects.toMatchObject({
      code: 'NAME_CONFUSING',
    });
    expect((await ask('2.0.0', {}, { name: 'l-ib', all: true })).groups).toEqual(['*']);
    for (const [version, end] of [
      ['1.0.0', 'yanked'],
      ['1.1.0', 'revoked'],
      ['1.2.0', 'deleted'],
    ] as const) {
      if (version !== '1.0.0') await offer('lib', version);
      const id = `plugin_lib_${version}`;
      if (end === 'deleted') await t.call('remove', { as: operator, params: { id } });
      else {
        await t.store.transact(async (tx) => {
          const seq = await t.store.nextSeq(tx);
          await setPluginStatus(tx, id, end, 'bad', AT);
          await appendEvent(tx, seq, `plugin.${end}`, AT, { id, name: 'lib' });
        });
      }
      const code = end === 'deleted' ? 'VERSION_DELETED' : 'STATUS_FORBIDS';
      await expect(ask(version), end).rejects.toMatchObject({ code });
      await expect(offer('lib', version), end).rejects.toMatchObject({ code });
    }
  });

  it('names no machines where it waits for an operator whatever it does, and says where that hangs on what it does', async () => {
    const { config } = t.hub;
    const as = publisher;
    expect(await ask('1.0.0', {}, undefined, as)).toEqual({ groups: ['web'], machines: ['w1', 'w2'] });
    config.approvalGroups = ['web'];
    const told = await ask('1.0.0', {}, undefined, as);
    await t.register(pack('lib', '1.0.0'), { as });
    const body = { plugin_id: 'lib@1.0.0', target_groups: ['web'], dry_run: true };
    const { groups, machines, held } = await t.call('publish', { as, body });
    expect(told).toEqual({ groups, machines, held: { reason: held?.reason, added: {}, code: [] } });
    expect([told.machines, held?.reason]).toEqual([[], expect.stringContaining('web')]);
    expect((await ask('1.0.0', {}, { target_groups: ['db'] }, as)).machines).toEqual(['d1']);
    expect((await ask('1.0.0')).machines).toEqual(['w1', 'w2']);
    config.approvalGroups = [];
    config.approvals = 'always';
    expect((await ask('1.0.0', {}, undefined, as)).held?.reason).toContain('only what an operator approved');
    await t.call('publish', { as: operator, body: { ...body, dry_run: false } });
    config.approvals = 'widening';
    expect(await ask('1.1.0', {}, undefined, as)).toMatchObject({ machines: ['w1', 'w2'], may_be_held: true });
    for (const other of [await ask('1.1.0'), await ask('1.0.0', {}, undefined, as)])
      expect(other.may_be_held).toBeUndefined();
    config.approvals = 'never';
    expect((await ask('1.1.0', {}, undefined, as)).may_be_held).toBeUndefined();
  });

  it("counts an operator's publication among the approvals that a group wants", async () => {
    await t.store.transact(async (tx) => {
      await t.store.nextSeq(tx);
      await putQuorum(tx, { group: 'web', approvals: 1, by: 'root', at: AT });
    });
    expect((await ask('1.0.0')).machines).toEqual(['w1', 'w2']);
    expect((await ask('1.0.0', {}, undefined, publisher)).machines).toEqual([]);
    expect((await offer('lib', '1.0.0')).machines).toEqual(['w1', 'w2']);
  });
});
