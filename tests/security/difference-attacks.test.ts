// Updates as differences and parcels, from a hub that lies or somebody between: none of them changes what the machine checks.
import { describe, expect, it } from 'vitest';
import type { HubClient } from '../../server/src/client/hub/hub-client.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { openParcel, throughParcel } from '../../server/src/client/sync/parcel.ts';
import { pack } from '../../server/src/contract/parcel.ts';
import { HaiveError } from '../../server/src/domain/errors.ts';
import {
  type DeltaLies,
  deltaAnswer,
  deltaFrames,
  keyid,
  type PlanOptions,
  PUBLISHER,
  parcelBytes,
  problem,
  STRANGER,
  transferAnswer,
  transfers,
  version,
} from '../cli/scripted-hub.ts';
import { attackedMachine, hub, loaded, m, offer, refusedWith } from './attacked-machine.ts';

const a1 = version('alpha', '1.0.0', { 'x.txt': 'one', 'commands/a.md': 'one' });
const a2 = version('alpha', '2.0.0', { 'x.txt': 'two', 'commands/a.md': 'two' });
attackedMachine(a1);

const MISFITS: [string, DeltaLies][] = [
  ['other bytes', { delta: (bytes) => Buffer.from(bytes.map((b) => b ^ 1)) }],
  ['no bytes', { delta: () => Buffer.alloc(0) }],
  ['bytes without an end', { delta: () => Buffer.alloc(200, 0xff) }],
  ['the place of another file', { places: { of: 2, from: 0 } }],
  ['a place that is none', { places: { of: 99, from: 99 } }],
  [
    'a record of another time',
    {
      record: (r) => {
        r.packedAt = 'other';
      },
    },
  ],
  [
    'files that the base does not have',
    {
      record: (r) => {
        r.files = [[7, 3]];
      },
    },
  ],
];

it.each(MISFITS)('asks for the whole when a difference gives %s, and installs only that', async (_what, lies) => {
  offer(a2);
  hub.answers['POST /api/transfer'] = deltaAnswer(a1, a2, transferAnswer([a2]), lies);
  const before = transfers(hub).length;
  expect(await refusedWith()).toBe('nothing was refused');
  expect(await loaded()).toContain('two');
  expect(
    transfers(hub)
      .slice(before)
      .map((t) => t.forms.length),
  ).toEqual([2, 0]);
});

it('installs an update from sound differences alone', async () => {
  offer(a2);
  hub.answers['POST /api/transfer'] = deltaAnswer(a1, a2, (_, response) => response.destroy());
  expect(await refusedWith()).toBe('nothing was refused');
  expect(await loaded()).toContain('two');
});

describe('attacks on a machine: parcels', () => {
  const etagHere = async (): Promise<string> => (await m.reopen()).config.plan?.etag ?? '';
  const ROWS: [string, PlanOptions, DeltaLies][] = [
    ['a plan signed by a stranger', { signedBy: STRANGER }, {}],
    ['a plan signed by a publisher', { signedBy: PUBLISHER }, {}],
    ["another machine's plan", { machine: 'machine_other' }, {}],
    ['a plan older than one it has seen', { counter: 49 }, {}],
    ['a plan of an epoch that is over', { epoch: 0 }, {}],
    ['a plan of another history', { counter: 99, lineage: [['x', 49]] }, {}],
    ['a plan that has expired', { expiresAt: '2026-01-02T00:00:00.000Z' }, {}],
    ['a version of a revoked key', { revokedKeys: [keyid(PUBLISHER)] }, {}],
    ['a delta of other bytes', {}, { delta: (bytes) => Buffer.from(bytes.map((b) => b ^ 1)) }],
    [
      'a record of another time',
      {},
      {
        record: (r) => {
          r.packedAt = 'other';
        },
      },
    ],
  ];

  /** A sync through the parcel, over a hub that knows of nothing new. */
  async function receive(bytes: Buffer): Promise<string[]> {
    const between = { hub: 'hub_test', machine: 'machine_test', etag: await etagHere() };
    const parcel = await openParcel(bytes, between);
    const asked = hub.seen.length;
    const ctx = await m.reopen();
    const through = (real: HubClient) => throughParcel(real, parcel, async () => undefined);
    await syncMachine(ctx, { mode: 'agent', through }).catch((thrown: unknown) => {
      if (!(thrown instanceof HaiveError)) throw thrown;
    });
    return hub.seen.slice(asked);
  }

  it.each(ROWS)('does not install from %s', async (_what, plan, lies) => {
    const before = await loaded();
    const bytes = parcelBytes(a2, await etagHere(), deltaFrames(a1, a2, lies), { counter: 10_060, ...plan });
    hub.answers['POST /api/transfer'] = (_, response) => problem(response, 404, 'VERSION_NOT_FOUND', 'unknown here');
    await receive(bytes);
    expect(await loaded()).toBe(before);
  });

  it('opens none that was changed, made for another, or made for another plan', async () => {
    const etag = await etagHere();
    const bytes = parcelBytes(a2, etag, deltaFrames(a1, a2), { counter: 10_060 });
    const between = { hub: 'hub_test', machine: 'machine_test', etag };
    const opened = (b: Buffer, to = between) =>
      openParcel(b, to).then(
        () => 'opened',
        (e) => String(e.code),
      );
    expect(await opened(bytes)).toBe('opened');
    expect(await opened(bytes.subarray(0, 100))).toBe('BODY_INVALID');
    expect(await opened(Buffer.concat([bytes.subarray(0, 9), Buffer.alloc(50)]))).toBe('BODY_INVALID');
    expect(await opened(bytes, { ...between, etag: '"another"' })).toBe('BODY_INVALID');
    expect(await opened(pack(Buffer.alloc(3_000_000), between))).toBe('BODY_INVALID');
  });

  it('installs from a sound one, and asks nothing', async () => {
    const bytes = parcelBytes(a2, await etagHere(), deltaFrames(a1, a2), { counter: 10_060 });
    expect(await receive(bytes)).toEqual([]);
    expect(await loaded()).toContain('two');
  });
});
