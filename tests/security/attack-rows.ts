// Rows of the attack table: what was tried, the code it must be refused with, and the attempt.
import { describe, expect, it } from 'vitest';
import { ZipFile } from 'yazl';
import { encodeFrame, endFrame, FRAMES_TYPE } from '../../server/src/contract/frames.ts';
import { createKeyPair, type Envelope, sealJson } from '../../server/src/domain/signing/dsse.ts';
import { packPlugin } from '../../server/src/domain/version/package.ts';
import { RECORD_PAYLOAD_TYPE, type VersionRecord, versionDigest } from '../../server/src/domain/version/record.ts';
import { type Ask, sourceFiles, type TestHub } from '../hub/support.ts';

export const MANIFEST = '.claude-plugin/plugin.json';

export interface ZipItem {
  name: string;
  bytes?: Buffer | string;
  mode?: number;
}

/** A zip of these files; `rename` replaces a name byte for byte afterwards, since no honest writer writes bad ones. */
export async function zip(items: readonly ZipItem[], rename?: [from: string, to: string]): Promise<Buffer> {
  const file = new ZipFile();
  for (const { name, bytes = 'x', mode = 0o100644 } of items)
    file.addBuffer(Buffer.from(bytes as string), name, { mode });
  file.end();
  const chunks: Buffer[] = [];
  for await (const chunk of file.outputStream) chunks.push(chunk as Buffer);
  const all = Buffer.concat(chunks);
  if (rename !== undefined) {
    const [from, to] = rename;
    for (let at = all.indexOf(from); at !== -1; at = all.indexOf(from, at + 1)) all.write(to, at, 'latin1');
  }
  return all;
}

const manifest = (name: string) => JSON.stringify({ name, version: '1.0.0', description: 'd', author: { name: 'A' } });

/** A request with a zip of a sound plugin and these files beside. */
export async function zipRequest(token: string, items: readonly ZipItem[], rename?: [string, string]): Promise<Ask> {
  const raw = await zip([{ name: MANIFEST, bytes: manifest('zipped') }, ...items], rename);
  return { token, raw, headers: { 'content-type': 'application/zip' } };
}

export interface FrameWish {
  files?: Record<string, string>;
  /** Changes the record before it is signed; the digest is computed again afterwards unless it was changed too. */
  record?: (record: VersionRecord) => void;
  /** Changes the envelope after it was signed. */
  envelope?: (envelope: Envelope) => void;
  blob?: (bytes: Buffer) => Buffer;
  signWith?: { privatePem: string };
  keyHeader?: string;
}

const KEY = createKeyPair();

/** A registration as a publisher sends it, with one thing wrong. */
export function framesRequest(token: string, wish: FrameWish): Ask {
  const packed = packPlugin(sourceFiles({ name: 'framed', files: wish.files ?? {} }), {
    maxBytes: 1e9,
    now: new Date(),
  });
  const record = structuredClone(packed.record);
  const before = record.digest;
  wish.record?.(record);
  if (record.digest === before) record.digest = versionDigest(record.name, record.version, record.files);
  const envelope = sealJson(RECORD_PAYLOAD_TYPE, record, (wish.signWith ?? KEY).privatePem);
  wish.envelope?.(envelope);
  const blobs = [...packed.blobs].map(([sha256, bytes]) =>
    encodeFrame({ t: 'blob', sha256, enc: 'identity', n: 0 }, wish.blob?.(bytes) ?? bytes),
  );
  const raw = Buffer.concat([
    encodeFrame({ t: 'record', n: 0 }, Buffer.from(JSON.stringify(envelope))),
    ...blobs,
    endFrame(),
  ]);
  const headers = { 'content-type': FRAMES_TYPE, 'haivemind-publisher-key': wish.keyHeader ?? KEY.publicKey };
  return { token, raw, headers };
}

/** Everything that an attempt could have changed, but for when somebody was last seen. */
async function hubState({ hub }: Pick<TestHub, 'hub'>): Promise<string> {
  const { read } = hub.context.store;
  const tables = [
    'plugins',
    'plugin_files',
    'publications',
    'machine_groups',
    'overrides',
    'plugin_installations',
    'publisher_keys',
    'approvals',
    'approval_votes',
    'group_quorums',
    'accepted_surfaces',
    'machine_keys',
    'machine_capabilities',
    'usage_counts',
    'held_publications',
    'revocations',
    'key_statements',
    'token_limits',
    'events',
    'audit',
    'hub_meta',
  ] as const;
  const rows = await Promise.all(tables.map((table) => read.selectFrom(table).selectAll().execute()));
  const blobs = await read.selectFrom('blobs').select('sha256').orderBy('sha256').execute();
  const machines = await read.selectFrom('machines').select(['id', 'name']).orderBy('id').execute();
  const tokens = await read
    .selectFrom('tokens')
    .select(['id', 'roles', 'expires_at', 'revoked_at'])
    .orderBy('id')
    .execute();
  return JSON.stringify([rows, blobs, machines, tokens]);
}

/** What was tried, the code of its refusal, and the attempt. */
export type AttackRow = [what: string, code: string, attempt: () => Promise<{ code: string }>];

/** One test a row: refused with its code, and the hub is as it was. @param hub asked when the rows run */
export function attackTable(hub: () => TestHub, groups: readonly [group: string, rows: readonly AttackRow[]][]): void {
  describe.each(groups)('attacks on the hub: %s', (_group, rows) => {
    it.each(rows)('%s → %s, and nothing changed', async (_what, code, attempt) => {
      const before = await hubState(hub());
      const answer = await attempt();
      expect(answer.code).toBe(code);
      expect(await hubState(hub())).toBe(before);
    });
  });
}
