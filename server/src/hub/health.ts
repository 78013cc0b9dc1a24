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

/** A database that answers later than so many milliseconds counts as away. */
const ANSWERS_WITHIN_MS = 2000;
/** Counting rows is for the database to do now and then, not as often as anybody asks. */
const COUNTS_MS = 10_000;

export function healthUseCases(parts: HealthParts): HealthCases {
  let counts: { at: number; values: Promise<Counts> } | undefined;
  let document: Record<string, unknown> | undefined;
  const countsOf = ({ clock, store }: HubContext): Promise<Counts> => {
    const now = clock().getTime();
    // Also where the clock was set back.
    if (counts !== undefined && Math.abs(now - counts.at) <= COUNTS_MS) return counts.values;
    const asked = { at: now, values: readCounts(store) };
    counts = asked;
    asked.values.catch(() => {
      if (counts === asked) counts = undefined;
    });
    return asked.values;
  };
  const gauges = async (hub: HubContext): Promise<Gauge[]> => {
    const seq = await inTime(hub.store.currentSeq());
    const known = seq === null ? null : await inTime(countsOf(hub));
    const of = (name: string, help: string, value: number | null | undefined): Gauge => ({
      name: `haivemind_${name}`,
      help,
      read: () => value ?? null,
    });
    return [
      of(
        'database_up',
        '1 while the database answers; what it counts is left out while it does not.',
        seq === null ? 0 : 1,
      ),
      of('registry_seq', 'The newest number in the event feed.', seq),
      of('versions', 'Versions in the registry, deleted ones aside.', known?.versions),
      of('machines', 'Machines that joined.', known?.machines),
      of('blobs', 'Blobs stored.', known?.blobs),
      of('blob_bytes', 'Bytes of all blobs before compression.', known?.blobBytes),
      of('ws_connections', 'Open live channels.', parts.sockets()),
      ...PROCESS_GAUGES,
    ];
  };
  return {
    healthz: async () => ({ status: 'ok' }),
    async readyz(hub) {
      if (parts.isDraining()) return notReady('draining');
      return (await inTime(hub.store.currentSeq())) !== null ? { status: 'ready' } : notReady('unavailable');
    },
    metrics: async (hub) => Buffer.from(await parts.metrics.render(await gauges(hub))),
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

/** What the database answers; null where it does not, or not in time. */
async function inTime<T>(answer: Promise<T>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ANSWERS_WITHIN_MS);
  });
  try {
    return await Promise.race([answer.catch(() => null), late]);
  } finally {
    clearTimeout(timer);
  }
}

interface Counts {
  versions: number;
  machines: number;
  blobs: number;
  blobBytes: number;
}

async function readCounts(store: Store): Promise<Counts> {
  const { read } = store;
  const [versions, machines, blobs] = await Promise.all([
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
    versions: Number(versions.n),
    machines: Number(machines.n),
    blobs: Number(blobs.n),
    blobBytes: Number(blobs.bytes ?? 0),
  };
}
