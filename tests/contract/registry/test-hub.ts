import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type * as z from 'zod';
import {
  type BodyIn,
  ENDPOINTS,
  type EndpointName,
  type QueryIn,
  type Reply,
} from '../../../server/src/contract/endpoints.ts';
import { encodeFrame, endFrame, FRAMES_TYPE } from '../../../server/src/contract/frames.ts';
import type { Role } from '../../../server/src/contract/roles.ts';
import { createKeyPair, publicKeyOf, sealJson } from '../../../server/src/domain/signing/dsse.ts';
import { type Packed, packPlugin, type SourceFile } from '../../../server/src/domain/version/package.ts';
import { RECORD_PAYLOAD_TYPE, type VersionRecord } from '../../../server/src/domain/version/record.ts';
import { readHubConfig } from '../../../server/src/hub/config.ts';
import type { Call, HubContext, Principal, RawReply, UseCase } from '../../../server/src/hub/context.ts';
import { registryUseCases } from '../../../server/src/hub/registry/index.ts';
import { insertMachine } from '../../../server/src/storage/queries/machines.ts';
import type { Store } from '../../../server/src/storage/store.ts';
import { createDatabase, type EngineUnderTest, tickingClock } from '../engines.ts';

type Cases = typeof registryUseCases;
type CaseName = keyof Cases & EndpointName;
type Calling<N extends CaseName> = {
  as?: Principal;
  params?: Record<string, string>;
  body?: BodyIn<N>;
  query?: QueryIn<N>;
  stream?: Readable;
  contentType?: string;
  headers?: Record<string, string>;
};

export interface TestHub {
  hub: HubContext;
  store: Store;
  rung: number[];
  /** Calls a use case as the transport would, after its validation; checks the reply against the contract. */
  call<N extends CaseName>(name: N, calling?: Calling<N>): Promise<Reply<N>>;
  raw(
    name: 'blob' | 'transfer',
    calling: Calling<'blob'> | Calling<'transfer'>,
  ): Promise<{ status: number; headers: Record<string, string>; bytes: Buffer }>;
  register(packed: Packed, options?: RegisterOptions): Promise<Reply<'register'>>;
  addMachine(name: string, groups?: string[], capabilities?: string[]): Promise<Principal>;
  drop(): Promise<void>;
}

export interface RegisterOptions {
  as?: Principal;
  privatePem?: string;
  /** What is really sent instead of the record and blobs that belong together. */
  record?: VersionRecord;
  blobs?: ReadonlyMap<string, Buffer>;
  publicKey?: string;
  omit?: (sha256: string) => boolean;
}

export const principal = (name: string, roles: Role[], more: Partial<Principal> = {}): Principal => ({
  tokenId: `tok_${name}`,
  name,
  roles,
  machineId: null,
  namePattern: null,
  ...more,
});
export const operator = principal('op', ['operator']);
export const publisher = principal('pub', ['publisher']);
export const contributor = principal('contrib', ['contributor']);
export const reader = principal('reader', ['reader']);

const pair = createKeyPair();
const hubPair = createKeyPair();

export async function startTestHub(engine: EngineUnderTest): Promise<TestHub> {
  const database = await createDatabase(engine);
  const clock = tickingClock();
  const store = await database.open(clock);
  const rung: number[] = [];
  const nothing = () => {};
  const hub: HubContext = {
    store,
    config: readHubConfig({ dataDir: database.options.dataDir }, { HAIVEMIND_HOME: database.options.dataDir }),
    identity: { id: 'hub_test', publicKey: hubPair.publicKey, privatePem: hubPair.privatePem, epoch: 1 },
    clock,
    log: { info: nothing, warn: nothing, error: nothing },
    bell: { ring: (seq) => rung.push(seq), progress: nothing },
  };
  const invoke = async <N extends CaseName>(name: N, calling: Calling<N> = {}): Promise<Reply<N> | RawReply> => {
    const endpoint = ENDPOINTS[name] as { query?: z.ZodType; body?: z.ZodType | 'frames' };
    const headers = calling.headers ?? {};
    const call = {
      principal: calling.as ?? operator,
      params: calling.params ?? {},
      query: endpoint.query?.parse(calling.query ?? {}),
      body: typeof endpoint.body === 'object' ? endpoint.body.parse(calling.body ?? {}) : undefined,
      stream: calling.stream ?? Readable.from([]),
      contentType: calling.contentType ?? '',
      header: (h: string) => headers[h.toLowerCase()],
      remoteAddress: '127.0.0.1',
      requestId: 'r',
    } as unknown as Call<N>;
    return (registryUseCases[name] as unknown as UseCase<N>)(hub, call);
  };
  const call: TestHub['call'] = async (name, calling) => {
    const reply = await invoke(name, calling);
    const schema = ENDPOINTS[name].reply as unknown as z.ZodType;
    return schema.parse(reply) as Reply<typeof name>;
  };
  return {
    hub,
    store,
    rung,
    call,
    async raw(name, calling) {
      const reply = (await invoke(name, calling as Calling<'blob'>)) as RawReply;
      const chunks: Buffer[] = [];
      if (reply.body !== null)
        for await (const chunk of Readable.from(reply.body as Readable)) chunks.push(chunk as Buffer);
      return { status: reply.status, headers: reply.headers, bytes: Buffer.concat(chunks) };
    },
    register(packed, options = {}) {
      return call('register', {
        as: options.as ?? publisher,
        stream: Readable.from([framesOf(packed, options)]),
        contentType: FRAMES_TYPE,
        headers: { 'haivemind-publisher-key': options.publicKey ?? publicKeyOf(options.privatePem ?? pair.privatePem) },
      });
    },
    async addMachine(name, groups = [], capabilities = []) {
      const id = `m_${name}`;
      const facts = { platform: 'linux', haivemindVersion: '1.0.0', joinedAt: '2026-01-01T00:00:00.000Z' };
      await store.transact(async (tx) => {
        await store.nextSeq(tx);
        await insertMachine(tx, { id, name, groups, capabilities, ...facts });
      });
      return principal(`machine ${name}`, ['machine'], { machineId: id });
    },
    drop: () => database.drop(),
  };
}

export function framesOf(packed: Packed, options: RegisterOptions = {}): Buffer {
  const record = options.record ?? packed.record;
  const envelope = sealJson(RECORD_PAYLOAD_TYPE, record, options.privatePem ?? pair.privatePem);
  const frames = [encodeFrame({ t: 'record', n: 0 }, Buffer.from(JSON.stringify(envelope)))];
  if (packed.originalManifest !== null) {
    frames.push(encodeFrame({ t: 'original-manifest', n: 0 }, Buffer.from(JSON.stringify(packed.originalManifest))));
  }
  for (const [sha256, bytes] of options.blobs ?? packed.blobs) {
    if (options.omit?.(sha256) !== true) frames.push(encodeFrame({ t: 'blob', sha256, enc: 'identity', n: 0 }, bytes));
  }
  return Buffer.concat([...frames, endFrame()]);
}

export interface PluginOptions {
  manifest?: Record<string, unknown>;
  files?: Record<string, string | Buffer>;
}

/** A small plugin's files. */
export function pluginFiles(name: string, version: string, options: PluginOptions = {}): SourceFile[] {
  const manifest = { name, version, description: `The plugin ${name}`, author: { name: 'Ann' }, ...options.manifest };
  const files: Record<string, string | Buffer> = {
    '.claude-plugin/plugin.json': JSON.stringify(manifest),
    'commands/go.md': `---\ndescription: Goes with ${name}\n---\n\nGo ${version}.\n`,
    ...options.files,
  };
  return Object.entries(files).map(([path, bytes]) => ({
    path,
    bytes: Buffer.from(bytes as string),
    executable: false,
  }));
}

export function pack(name: string, version: string, options: PluginOptions = {}, translate = true): Packed {
  return packPlugin(pluginFiles(name, version, options), {
    maxBytes: 50 * 1024 * 1024,
    now: new Date('2026-01-01T00:00:00.000Z'),
    translate,
  });
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
