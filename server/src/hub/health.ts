import type { Store } from '../storage/store.ts';
import type { HubContext, RawReply, UseCases } from './context.ts';
import { type Gauge, type Metrics, PROCESS_GAUGES } from './metrics.ts';
import { openApiDocument } from './openapi/index.ts';

export interface HealthParts {
  metrics: Metrics;
  sockets(): number;
  isDraining(): boolean;
}

type HealthCases = Pick<UseCases, 'healthz' | 'readyz' | 'metrics' | 'openapi'>;

const READY_WITHIN_MS = 2000;
/** Counting rows is for the database to do now and then, not as often as anybody asks. */
const COUNTS_MS = 10_000;

export function healthUseCases(parts: HealthParts): HealthCases {
  let counts: { at: number; values: Promise<Counts> } | undefined;
  let document: Record<string, unknown> | undefined;
  const gauges = (hub: HubContext): Gauge[] => {
    const now = hub.clock().getTime();
    if (counts === undefined || now - counts.at > COUNTS_MS) counts = { at: now, values: readCounts(hub.store) };
    const { values } = counts;
    values.catch(() => {
      counts = undefined;
    });
    const of = (name: string, help: string, key: keyof Counts): Gauge => ({
      name,
      help,
      read: async () => (await values)[key],
    });
    return [
      of('haivemind_registry_seq', 'The newest number in the event feed.', 'seq'),
      of('haivemind_versions', 'Versions in the registry, deleted ones aside.', 'versions'),
      of('haivemind_machines', 'Machines that joined.', 'machines'),
      of('haivemind_blobs', 'Blobs stored.', 'blobs'),
      of('haivemind_blob_bytes', 'Bytes of all blobs before compression.', 'blobBytes'),
      { name: 'haivemind_ws_connections', help: 'Open live channels.', read: () => parts.sockets() },
      ...PROCESS_GAUGES,
    ];
  };
  return {
    healthz: async () => ({ status: 'ok' }),
    async readyz(hub) {
      if (parts.isDraining()) return notReady('draining');
      return (await answers(hub.store)) ? { status: 'ready' } : notReady('unavailable');
    },
    metrics: async (hub) => Buffer.from(await parts.metrics.render(gauges(hub))),
    async openapi() {
      document ??= openApiDocument();
      return document;
    },
  };
}

function notReady(status: 'draining' | 'unavailable'): RawReply {
  const headers = { 'content-type': 'application/json; charset=utf-8', 'retry-after': '2' };
  return { raw: true, status: 503, headers, body: Buffer.from(JSON.stringify({ status })) };
}

async function answers(store: Store): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), READY_WITHIN_MS);
  });
  try {
    return await Promise.race([
      store.currentSeq().then(
        () => true,
        () => false,
      ),
      late,
    ]);
  } finally {
    clearTimeout(timer);
  }
}

interface Counts {
  seq: number;
  versions: number;
  machines: number;
  blobs: number;
  blobBytes: number;
}

async function readCounts(store: Store): Promise<Counts> {
  const { read } = store;
  const [seq, versions, machines, blobs] = await Promise.all([
    store.currentSeq(),
    read
      .selectFrom('plugins')
      .select((eb) => eb.fn.countAll<number>().as('n'))
      .where('status', '!=', 'deleted')
      .executeTakeFirstOrThrow(),
    read
      .selectFrom('machines')
      .select((eb) => eb.fn.countAll<number>().as('n'))
      .executeTakeFirstOrThrow(),
    read
      .selectFrom('blobs')
      .select((eb) => [eb.fn.countAll<number>().as('n'), eb.fn.sum<number | null>('size').as('bytes')])
      .executeTakeFirstOrThrow(),
  ]);
  return {
    seq,
    versions: Number(versions.n),
    machines: Number(machines.n),
    blobs: Number(blobs.n),
    blobBytes: Number(blobs.bytes ?? 0),
  };
}
