// The attack table of a machine: a hub that lies, or somebody between. Each attempt is refused with its code, and what is
// installed lies on disk as before.
import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { HubClient } from '../../server/src/client/hub/hub-client.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { openParcel, throughParcel } from '../../server/src/client/sync/parcel.ts';
import { encodeFrame, endFrame, FRAMES_TYPE } from '../../server/src/contract/frames.ts';
import { pack } from '../../server/src/contract/parcel.ts';
import { HaiveError } from '../../server/src/domain/errors.ts';
import { type Envelope, sealJson } from '../../server/src/domain/signing/dsse.ts';
import { RECORD_PAYLOAD_TYPE, versionDigest } from '../../server/src/domain/version/record.ts';
import {
  type Answer,
  type DeltaLies,
  deltaAnswer,
  deltaFrames,
  HUB_KEY,
  json,
  keyid,
  type PlanOptions,
  PUBLISHER,
  parcelBytes,
  planAnswer,
  problem,
  STRANGER,
  transferAnswer,
  transfers,
  type Version,
  version,
} from '../cli/scripted-hub.ts';
import { snapshot } from '../machine/rig.ts';
import { attackedMachine, hub, m, offer, outside, refusedWith } from './attacked-machine.ts';

const a1 = version('alpha', '1.0.0', { 'x.txt': 'one', 'commands/a.md': 'one' });
const a2 = version('alpha', '2.0.0', { 'x.txt': 'two', 'commands/a.md': 'two' });
type Record = Parameters<NonNullable<Parameters<typeof version>[3]>['spoil'] & {}>[0];
type File = { path: string; sha256: string; size: number; executable: boolean };

/** A version whose signed record was changed by a publisher; the digest is that of what it says then. */
function crafted(change: (files: File[]) => File[]): Version {
  const spoil = (record: Record): void => {
    record.files = change(record.files as File[]);
    record.digest = versionDigest('alpha', '2.0.0', record.files as File[]);
  };
  const made = version('alpha', '2.0.0', { 'x.txt': 'two' }, { spoil });
  const payload = JSON.parse(Buffer.from((made.envelope as Envelope).payload, 'base64').toString());
  return { ...made, entry: { ...made.entry, digest: payload.digest } };
}
attackedMachine(a1);
const signed = (change: (e: Envelope) => void): Version => {
  const envelope = structuredClone(a2.envelope) as Envelope;
  change(envelope);
  return { ...a2, envelope };
};
const first = (files: File[]): File => files[0] as File;

const PLANS: [string, string, () => void][] = [
  ['a plan older than one it has seen', 'PLAN_REPLAYED', () => offer(a2, { counter: 49 })],
  ['a plan of an epoch that is over', 'PLAN_REPLAYED', () => offer(a2, { epoch: 0 })],
  ['a plan of another history', 'PLAN_REPLAYED', () => offer(a2, { counter: 99, lineage: [['x', 49]] })],
  ['a plan signed by a stranger', 'SIGNATURE_INVALID', () => offer(a2, { signedBy: STRANGER })],
  ['a plan signed by a publisher', 'SIGNATURE_INVALID', () => offer(a2, { signedBy: PUBLISHER })],
  ["another machine's plan", 'SIGNATURE_INVALID', () => offer(a2, { machine: 'machine_other' })],
  ["another hub's plan", 'SIGNATURE_INVALID', () => offer(a2, { hub: 'hub_other' })],
  ['a plan of a format to come', 'FORMAT_UNSUPPORTED', () => offer(a2, { format: 99 })],
  ['a plan without a counter', 'HUB_ANSWER_INVALID', () => offer(a2, { counter: Number.NaN })],
  ['a plan of nothing', 'HUB_ANSWER_INVALID', () => offer(a2, { plugins: [null] as never })],
  [
    'a plan without dependencies',
    'HUB_ANSWER_INVALID',
    () => offer(a2, { plugins: [{ ...a2.entry, dependencies: 1 }] as never }),
  ],
  ['a plan of no known history', 'HUB_ANSWER_INVALID', () => offer(a2, { lineage: [{}] as never })],
  ['a plan that revokes nothing known', 'HUB_ANSWER_INVALID', () => offer(a2, { revoked: [{}] as never })],
  [
    'a record in the place of a plan',
    'SIGNATURE_INVALID',
    () => {
      hub.answers['GET /api/machines/me/plan'] = (_, response) =>
        json(response, sealJson(RECORD_PAYLOAD_TYPE, { machine: 'machine_test' }, HUB_KEY.privatePem));
    },
  ],
  [
    'a plan changed on the wire',
    'SIGNATURE_INVALID',
    () => {
      const answer = planAnswer([a2], { counter: 10_060 });
      hub.answers['GET /api/machines/me/plan'] = (request, response, body) => {
        const end = response.end.bind(response);
        response.end = ((text: string) => {
          const envelope = JSON.parse(text) as Envelope;
          const payload = Buffer.from(envelope.payload, 'base64')
            .toString()
            .replace('"counter":10060', '"counter":10061');
          return end(JSON.stringify({ ...envelope, payload: Buffer.from(payload).toString('base64') }));
        }) as typeof response.end;
        return answer(request, response, body);
      };
    },
  ],
];

const VERSIONS: [string, string, () => void][] = [
  [
    'a record signed by an unknown key',
    'SIGNATURE_INVALID',
    () => offer({ ...version('alpha', '2.0.0', {}, { by: STRANGER }) }),
  ],
  [
    'a record signed by an unknown key under the known name',
    'SIGNATURE_INVALID',
    () => offer({ ...version('alpha', '2.0.0', {}, { by: STRANGER }), key: PUBLISHER.publicKey }),
  ],
  [
    "a record of a publisher's plugin signed by the hub",
    'SIGNATURE_INVALID',
    () => offer(version('alpha', '2.0.0', {}, { by: HUB_KEY })),
  ],
  [
    'a record without a signature',
    'SIGNATURE_INVALID',
    () =>
      offer(
        signed((e) => {
          e.signatures = [];
        }),
      ),
  ],
  [
    'a record with two signatures',
    'SIGNATURE_INVALID',
    () =>
      offer(
        signed((e) => {
          e.signatures.unshift({ keyid: keyid(STRANGER), sig: 'AAAA' });
        }),
      ),
  ],
  [
    'a signature of no length',
    'SIGNATURE_INVALID',
    () =>
      offer(
        signed((e) => {
          e.signatures = [{ keyid: keyid(PUBLISHER), sig: '' }];
        }),
      ),
  ],
  [
    'a signature over another type',
    'SIGNATURE_INVALID',
    () =>
      offer(
        signed((e) => {
          e.payloadType = 'text/plain';
        }),
      ),
  ],
  ['a record that is no JSON', 'SIGNATURE_INVALID', () => offer({ ...a2, envelope: 'x' })],
  [
    "an older version's record under a new version's name",
    'DIGEST_MISMATCH',
    () => offer({ ...a2, envelope: a1.envelope }),
  ],
  [
    "another plugin's record",
    'DIGEST_MISMATCH',
    () => offer({ ...a2, envelope: version('beta', '2.0.0', {}).envelope }),
  ],
  [
    'a record whose digest is not that of its files',
    'DIGEST_MISMATCH',
    () => {
      const made = version(
        'alpha',
        '2.0.0',
        { 'x.txt': 'two' },
        {
          spoil: (r) => {
            (r.files as File[]).pop();
          },
        },
      );
      offer(made);
    },
  ],
  [
    'a file outside the plugin',
    'PATH_UNSAFE',
    () => offer(crafted((f) => [{ ...first(f), path: '../../settings.json' }, ...f])),
  ],
  [
    'a file with an absolute path',
    'PATH_UNSAFE',
    () => offer(crafted((f) => [...f, { ...first(f), path: '/etc/x' }].sort((a, b) => (a.path < b.path ? -1 : 1)))),
  ],
  [
    'a file named in two cases',
    'PATH_COLLISION',
    () => offer(crafted((f) => [...f, { ...first(f), path: 'X.txt' }].sort((a, b) => (a.path < b.path ? -1 : 1)))),
  ],
  ['a file named twice', 'PATH_COLLISION', () => offer(crafted((f) => [first(f), ...f]))],
  [
    'a version over the limit of this machine',
    'PLUGIN_TOO_LARGE',
    () => offer(crafted((f) => [{ ...first(f), size: 51 * 1024 * 1024 }, ...f.slice(1)])),
  ],
  ['a version of a revoked key', 'SIGNATURE_INVALID', () => offer(a2, { revokedKeys: [keyid(PUBLISHER)] })],
  [
    'bytes changed on the wire',
    'HASH_MISMATCH',
    () => {
      offer(a2);
      hub.answers['POST /api/transfer'] = transferAnswer([a2], {
        spoil: (bytes) => Buffer.from(bytes.map((b) => b ^ 1)),
      });
    },
  ],
  [
    'bytes that unpack to more than they should',
    'HASH_MISMATCH',
    () => {
      offer(a2);
      hub.answers['POST /api/transfer'] = transferAnswer([a2], {
        spoil: (bytes) => Buffer.alloc(bytes.length + 10_000_000),
        brotli: true,
      });
    },
  ],
  [
    'half of the bytes',
    'BLOB_NOT_FOUND',
    () => {
      offer(a2);
      const half = { ...a2, blobs: new Map([...a2.blobs].slice(0, 1)) };
      hub.answers['POST /api/transfer'] = transferAnswer([half]);
    },
  ],
  [
    'a delta of other bytes, and other bytes when asked for the whole',
    'HASH_MISMATCH',
    () => {
      offer(a2);
      const whole = transferAnswer([a2], { spoil: (bytes) => Buffer.from(bytes.map((b) => b ^ 1)) });
      hub.answers['POST /api/transfer'] = deltaAnswer(a1, a2, whole, {
        delta: (b) => Buffer.from(b.map((x) => x ^ 1)),
      });
    },
  ],
  [
    'a record told by differences that is none, and none when asked for the whole',
    'SIGNATURE_INVALID',
    () => {
      offer(a2);
      const whole = transferAnswer([{ ...a2, envelope: 'x' }]);
      hub.answers['POST /api/transfer'] = deltaAnswer(a1, a2, whole, {
        record: (r) => {
          r.packedAt = 'other';
        },
      });
    },
  ],
  [
    'a pack that unpacks to more than it should',
    'HASH_MISMATCH',
    () => {
      const b1 = version('beta', '1.0.0', { 'b.txt': 'b' });
      offer([a1, b1]);
      hub.answers['POST /api/transfer'] = packAnswer(b1, Buffer.alloc(10_000_000));
    },
  ],
  [
    'a pack of other bytes',
    'HASH_MISMATCH',
    () => {
      const b1 = version('beta', '1.0.0', { 'b.txt': 'b' });
      offer([a1, b1]);
      hub.answers['POST /api/transfer'] = packAnswer(b1, Buffer.concat([...b1.blobs.values()]).reverse());
    },
  ],
  [
    'a page of HTML in the place of bytes',
    'HUB_ANSWER_INVALID',
    () => {
      offer(a2);
      hub.answers['POST /api/transfer'] = (_, response) => response.end('<html>');
    },
  ],
];

/** The record, and these bytes as those of all its files. */
const packAnswer =
  (v: Version, bytes: Buffer): Answer =>
  (_, response) => {
    response.writeHead(200, { 'content-type': FRAMES_TYPE });
    const record = Buffer.from(JSON.stringify(v.envelope));
    const frames = [
      encodeFrame({ t: 'record', digest: v.entry.digest, key: v.key, n: 0 }, record),
      encodeFrame({ t: 'pack', n: 0 }, bytes),
    ];
    const batch = brotliCompressSync(Buffer.concat(frames));
    response.end(Buffer.concat([encodeFrame({ t: 'batch', n: 0 }, batch), endFrame()]));
  };

const parts = ['versions', 'overlays', '.claude-plugin', 'alpha'];
/** What Claude Code loads, and what says so. */
async function loaded(): Promise<string> {
  const all = await snapshot(join(m.home, '.claude'));
  return JSON.stringify(
    Object.entries(all).filter(([path]) => parts.some((p) => path.includes(p)) || path === 'settings.json'),
  );
}

describe.each([
  ['plans', PLANS],
  ['versions', VERSIONS],
])('attacks on a machine: %s', (_group, rows) => {
  it.each(rows)('%s → %s, and what is installed stays', async (_what, code, attack) => {
    const before = await loaded();
    attack();
    expect(await refusedWith()).toBe(code);
    expect(await loaded()).toBe(before);
  });
});

describe('attacks on a machine: its own disk', () => {
  it('replaces a blob that was swapped on disk before it is installed from', async () => {
    offer(a2);
    const sha = [...a2.blobs.keys()].find((k) => !a1.blobs.has(k)) ?? '';
    await writeFile(join(m.ctx.machine.paths.blobs, sha), 'evil'.padEnd(a2.blobs.get(sha)?.length ?? 0));
    await refusedWith();
    expect(await loaded()).not.toContain('evil');
  });

  it('does not write through a link that lies where a version is to go', async () => {
    offer(a2);
    const name = `2.0.0-${a2.entry.digest.slice(7, 19)}`;
    const before = await snapshot(outside.home);
    await symlink(outside.home, join(m.ctx.machine.paths.versions, 'alpha', name));
    await refusedWith();
    expect(await snapshot(outside.home)).toEqual(before);
  });
});

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

it('installs what is sound', async () => {
  offer(a2);
  expect(await refusedWith()).toBe('nothing was refused');
  expect(await loaded()).toContain('two');
});
