// The attack table of a machine: a hub that lies, or somebody between. Each attempt is refused with its code, and what is
// installed lies on disk as before.
import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { encodeFrame, endFrame, FRAMES_TYPE } from '../../server/src/contract/frames.ts';
import { type Envelope, sealJson } from '../../server/src/domain/signing/dsse.ts';
import { RECORD_PAYLOAD_TYPE, versionDigest } from '../../server/src/domain/version/record.ts';
import {
  type Answer,
  deltaAnswer,
  HUB_KEY,
  json,
  keyid,
  PUBLISHER,
  planAnswer,
  STRANGER,
  transferAnswer,
  type Version,
  version,
} from '../cli/scripted-hub.ts';
import { snapshot } from '../machine/rig.ts';
import { attackedMachine, hub, loaded, m, offer, outside, refusedWith } from './attacked-machine.ts';

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

it('installs what is sound', async () => {
  offer(a2);
  expect(await refusedWith()).toBe('nothing was refused');
  expect(await loaded()).toContain('two');
});
