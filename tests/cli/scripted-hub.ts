// A hub of few lines whose every answer a test decides: to be wrong in ways that a real one never is.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { brotliCompressSync, deflateRawSync } from 'node:zlib';
import { type ClientContext, openClient } from '../../server/src/client/context.ts';
import { encodeFrame, endFrame, FRAMES_TYPE } from '../../server/src/contract/frames.ts';
import { pack } from '../../server/src/contract/parcel.ts';
import type { Plan, PlanEntry } from '../../server/src/domain/plan/index.ts';
import { PLAN_FORMAT, PLAN_PAYLOAD_TYPE } from '../../server/src/domain/plan/index.ts';
import { createKeyPair, type Envelope, keyIdOf, peekJson, sealJson } from '../../server/src/domain/signing/dsse.ts';
import { makeDelta } from '../../server/src/domain/version/file-delta.ts';
import {
  pluginId,
  RECORD_PAYLOAD_TYPE,
  sortFiles,
  type VersionRecord,
  versionDigest,
} from '../../server/src/domain/version/record.ts';
import { type RecordDelta, toRecordDelta } from '../../server/src/domain/version/record-delta.ts';
import { updateConfig } from '../../server/src/machine/config-file.ts';
import { sha256Of } from '../../server/src/machine/store/blob-store.ts';
import { tempHome } from '../support/temp-home.ts';

export type Answer = (request: IncomingMessage, response: ServerResponse, body: Buffer) => unknown;

export interface ScriptedHub {
  url: string;
  /** Every request, as `METHOD path`, and bodies of POSTs. */
  seen: string[];
  bodies: { path: string; body: Buffer; headers: IncomingMessage['headers'] }[];
  /** By `METHOD path`; `*` answers the rest. */
  answers: Record<string, Answer>;
  close(): Promise<void>;
}

export async function scriptedHub(answers: Record<string, Answer> = {}): Promise<ScriptedHub> {
  const hub: ScriptedHub = { url: '', seen: [], bodies: [], answers, close: async () => undefined };
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const path = `${request.method} ${(request.url ?? '').split('?')[0]}`;
    hub.seen.push(path);
    hub.bodies.push({ path, body: Buffer.concat(chunks), headers: request.headers });
    const answer = hub.answers[path] ?? hub.answers['*'];
    if (answer === undefined) problem(response, 404, 'NOT_FOUND', 'nothing here');
    else await answer(request, response, Buffer.concat(chunks));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  hub.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  hub.close = () =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return hub;
}

export function json(
  response: ServerResponse,
  value: unknown,
  status = 200,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
}

export function problem(response: ServerResponse, status: number, code: string, detail: string, extra = {}): void {
  const body = { type: 'about:blank', title: code, status, code, detail, hint: `hint of ${code}`, ...extra };
  json(response, body, status, { 'content-type': 'application/problem+json' });
}

export const HUB_KEY = createKeyPair();
export const PUBLISHER = createKeyPair();
export const STRANGER = createKeyPair();

export interface Version {
  entry: PlanEntry;
  envelope: unknown;
  blobs: Map<string, Buffer>;
  key: string;
}

/** A version with these files, signed; `spoil` changes the record before it is signed. */
export function version(
  name: string,
  v: string,
  files: Record<string, string>,
  options: {
    by?: typeof PUBLISHER;
    entry?: Partial<PlanEntry>;
    spoil?: (record: Record<string, unknown>) => void;
  } = {},
): Version {
  const by = options.by ?? PUBLISHER;
  const manifest = JSON.stringify({ name, version: v, description: name, author: { name: 'Tester' } });
  const all = { '.claude-plugin/plugin.json': manifest, ...files };
  const blobs = new Map<string, Buffer>();
  const entries = sortFiles(
    Object.entries(all).map(([path, text]) => {
      const bytes = Buffer.from(text);
      blobs.set(sha256Of(bytes), bytes);
      return { path, sha256: sha256Of(bytes), size: bytes.length, executable: false };
    }),
  );
  const digest = versionDigest(name, v, entries);
  const record = {
    format: 1,
    name,
    version: v,
    digest,
    files: entries,
    imported: false,
    packedAt: '2026-01-01T00:00:00.000Z',
  };
  options.spoil?.(record);
  const entry: PlanEntry = {
    id: pluginId(name, v),
    name,
    version: v,
    digest,
    origin: 'published',
    pinned: false,
    notify: true,
    dependencies: [],
    status: 'published',
    requiredBy: [],
    ...options.entry,
  };
  return { entry, envelope: sealJson(RECORD_PAYLOAD_TYPE, record, by.privatePem), blobs, key: by.publicKey };
}

export interface PlanOptions extends Partial<Plan> {
  signedBy?: typeof HUB_KEY;
  etag?: string;
}

/** Answers GET plan with these versions, 304 to its etag. */
export function planAnswer(versions: Version[], options: PlanOptions = {}): Answer {
  const { signedBy = HUB_KEY, etag = `"${versions.map((v) => v.entry.digest).join()}"`, ...rest } = options;
  const plan = planOf(versions, rest);
  return (request, response) => {
    if (request.headers['if-none-match'] === etag) return response.writeHead(304).end();
    return json(response, sealJson(PLAN_PAYLOAD_TYPE, plan, signedBy.privatePem), 200, { etag });
  };
}

function planOf(versions: Version[], rest: Partial<Plan>): Plan {
  return {
    format: PLAN_FORMAT,
    hub: 'hub_test',
    machine: 'machine_test',
    epoch: 1,
    counter: 1,
    issuedAt: '2026-01-01T00:00:00.000Z',
    expiresAt: '2999-01-01T00:00:00.000Z',
    plugins: versions.map((v) => v.entry),
    problems: [],
    ...rest,
  };
}

/** What a hub sends after the doorbell: the plan of `next`, as differences from the one with the etag `base`, and these frames. */
export function parcelBytes(next: Version, base: string, frames: Buffer, options: PlanOptions = {}): Buffer {
  const { signedBy = HUB_KEY, etag = '"parcel"', ...rest } = options;
  const plan = planOf([next], rest);
  const sealed = sealJson(PLAN_PAYLOAD_TYPE, plan, signedBy.privatePem);
  const told = Buffer.from(JSON.stringify({ ...sealed, payload: '', delta: { base, plan } }));
  const between = { hub: 'hub_test', machine: 'machine_test', etag: base };
  return pack(Buffer.concat([encodeFrame({ t: 'plan', etag, n: 0 }, told), frames]), between);
}

/** Answers POST transfer as a hub does; `spoil` may change the bytes of a blob frame, `cutAfter` ends it after so many blobs. */
export function transferAnswer(
  versions: Version[],
  options: { spoil?: (bytes: Buffer, sha256: string) => Buffer; cutAfter?: number; brotli?: boolean } = {},
): Answer {
  return (_, response, body) => {
    const asked = JSON.parse(body.toString()) as { versions: string[]; have: string[]; have_blobs: string[] };
    response.writeHead(200, { 'content-type': FRAMES_TYPE });
    const skip = new Set(asked.have_blobs);
    for (const v of versions) if (asked.have.includes(v.entry.digest)) for (const sha of v.blobs.keys()) skip.add(sha);
    const wanted = versions.filter((v) => asked.versions.includes(v.entry.digest));
    for (const v of wanted) {
      const bytes = Buffer.from(JSON.stringify(v.envelope));
      response.write(encodeFrame({ t: 'record', digest: v.entry.digest, key: v.key, n: 0 }, bytes));
    }
    let sent = 0;
    for (const v of wanted) {
      for (const [sha256, bytes] of v.blobs) {
        if (skip.has(sha256)) continue;
        if (options.cutAfter !== undefined && sent >= options.cutAfter) {
          // Let what was written go out first.
          setTimeout(() => response.destroy(), 50);
          return;
        }
        skip.add(sha256);
        sent++;
        const plain = options.spoil?.(bytes, sha256) ?? bytes;
        const out = options.brotli ? brotliCompressSync(plain) : plain;
        response.write(encodeFrame({ t: 'blob', sha256, enc: options.brotli ? 'br' : 'identity', n: 0 }, out));
      }
    }
    response.end(endFrame());
  };
}

export interface DeltaLies {
  /** Changes what a delta says. */
  delta?: (bytes: Buffer) => Buffer;
  /** Changes what the differences of the record say. */
  record?: (record: RecordDelta) => void;
  /** Changes the places that the delta names. */
  places?: { of: number; from: number };
}

/** The frames of an update from `base` to `next`, as a hub sends them to who takes differences. */
export function deltaFrames(base: Version, next: Version, lies: DeltaLies = {}): Buffer {
  const recordOf = (v: Version) => peekJson(v.envelope as Envelope) as VersionRecord;
  const [old, now] = [recordOf(base), recordOf(next)];
  const envelope = next.envelope as Envelope;
  const record = toRecordDelta(old, Buffer.from(envelope.payload, 'base64')) as RecordDelta;
  lies.record?.(record);
  const head = { t: 'record', digest: next.entry.digest, key: next.key, base: base.entry.digest, n: 0 } as const;
  const frames = [encodeFrame(head, Buffer.from(JSON.stringify({ signatures: envelope.signatures, record })))];
  for (const [of, file] of now.files.entries()) {
    const from = old.files.findIndex((f) => f.path === file.path);
    const [was, is] = [base.blobs.get(old.files[from]?.sha256 ?? ''), next.blobs.get(file.sha256)];
    if (was === undefined || is === undefined || was.equals(is)) continue;
    // A delta that only copies and appends fits files of any size, small ones too.
    const bytes = makeDelta(was, is) ?? Buffer.concat([Buffer.from([(is.length << 1) | 1, 0, 0]), raw(is)]);
    frames.push(encodeFrame({ t: 'delta', of, from, ...lies.places, n: 0 }, lies.delta?.(bytes) ?? bytes));
  }
  return Buffer.concat([...frames, endFrame()]);
}

/** One piece of raw deflate without a dictionary, led by its length. */
function raw(bytes: Buffer): Buffer {
  const packed = deflateRawSync(bytes);
  return Buffer.concat([Buffer.from([packed.length]), packed]);
}

/** Answers a transfer with differences where the caller takes them, else as `otherwise` does. */
export function deltaAnswer(base: Version, next: Version, otherwise: Answer, lies: DeltaLies = {}): Answer {
  return (request, response, body) => {
    const { forms } = JSON.parse(body.toString()) as { forms: string[] };
    if (!forms.includes('delta')) return otherwise(request, response, body);
    return response.writeHead(200, { 'content-type': FRAMES_TYPE }).end(deltaFrames(base, next, lies));
  };
}

const PLAN = 'GET /api/machines/me/plan';
export const TRANSFER = 'POST /api/transfer';
const STATUS = 'POST /api/machines/me/status';

/** A hub that serves these versions, all of them wanted. */
export function serve(hub: ScriptedHub, versions: Version[], plan: PlanOptions = {}): void {
  hub.answers[PLAN] = planAnswer(versions, plan);
  hub.answers[TRANSFER] = transferAnswer(versions);
  hub.answers[STATUS] = (_, response) => json(response, { ok: true });
}

/** How many transfers were asked for, as their bodies. */
export const transfers = (hub: ScriptedHub) =>
  hub.bodies
    .filter((b) => b.path === TRANSFER)
    .map(
      (b) =>
        JSON.parse(b.body.toString()) as { versions: string[]; have: string[]; have_blobs: string[]; forms: string[] },
    );

export const reports = (hub: ScriptedHub) =>
  hub.bodies.filter((b) => b.path === STATUS).map((b) => JSON.parse(b.body.toString()));

/** A machine that has joined the scripted hub. */
export async function joinedMachine(
  hub: Pick<ScriptedHub, 'url'>,
  plugins: Record<string, unknown> = {},
): Promise<{ ctx: ClientContext; home: string; reopen(): Promise<ClientContext>; remove(): Promise<void> }> {
  const home = await tempHome('scripted');
  const open = () =>
    openClient({
      home: home.home,
      claudeConfigDir: undefined,
      haivemindHome: undefined,
      hubUrl: undefined,
      token: undefined,
      caFile: undefined,
      path: '',
    });
  const bare = await open();
  await updateConfig(bare.machine, (raw) => ({
    ...raw,
    hub_url: hub.url,
    hub: { id: 'hub_test', public_key: HUB_KEY.publicKey, epoch: 1 },
    machine: { id: 'machine_test', name: 'test' },
    token: 'hvt_test',
    plugins,
  }));
  return { ctx: await open(), home: home.home, reopen: open, remove: home.remove };
}

export const keyid = (pair: { publicKey: string }): string => keyIdOf(pair.publicKey);
