import { Readable } from 'node:stream';
import type { Reply } from '../../contract/endpoints.ts';
import { decodeFrames, encodeFrame, endFrame, FRAMES_TYPE, type Frame } from '../../contract/frames.ts';
import { type Between, unpack } from '../../contract/parcel.ts';
import { PlanReply, type StatusReport } from '../../contract/schemas.ts';
import { HaiveError } from '../../domain/errors.ts';
import type { HubClient } from '../hub/hub-client.ts';

/** Answers to the questions that a sync would ask, before it asks them. Nothing in them is believed any sooner. */
export interface Brought {
  /** The plan that this machine had when they were made; undefined: none. */
  base: string | undefined;
  etag: string;
  plan: Reply<'plan'>;
  /** Versions whose records and bytes are in it. */
  digests: ReadonlySet<string>;
  /** Those, as the answer to a transfer. */
  frames: Buffer;
}

/** What came with the doorbell. */
export interface Parcel extends Brought {
  /** The seq that its plan says it was made at. */
  counter: number;
}

/** @throws HaiveError BODY_INVALID, BODY_TOO_LARGE when it is none that was made for this machine as it is now */
export async function openParcel(bytes: Uint8Array, between: Between): Promise<Parcel> {
  const whole = unpack(bytes, between);
  const brought = await readBrought(decodeFrames(Readable.from([whole]), whole.length), between.etag);
  const { delta } = brought.plan;
  if (delta?.base !== between.etag) {
    throw new HaiveError('BODY_INVALID', 'A parcel holds no plan that differs from the one here');
  }
  return { ...brought, counter: Number(delta.plan.counter) };
}

/** Bytes that are taken unasked. */
export const MAX_BROUGHT = 8 * 1024 * 1024;

/**
 * @param base etag of the plan here, as the hub was told
 * @throws HaiveError BODY_INVALID where there is no plan among the frames, BODY_TOO_LARGE
 */
export async function readBrought(source: AsyncIterable<Frame>, base: string | undefined): Promise<Brought> {
  let told: Pick<Brought, 'etag' | 'plan'> | undefined;
  const digests = new Set<string>();
  const frames: Buffer[] = [];
  let size = 0;
  for await (const { header, bytes } of source) {
    size += bytes.length;
    if (size > MAX_BROUGHT)
      throw new HaiveError('BODY_TOO_LARGE', `The hub sends more than ${MAX_BROUGHT} bytes along`);
    if (header.t === 'plan') told = { etag: String(header.etag), plan: planOf(bytes) };
    else if (header.t !== 'end') {
      if (header.t === 'record' && header.digest !== undefined) digests.add(header.digest);
      frames.push(encodeFrame(header, bytes));
    }
  }
  if (told === undefined) throw new HaiveError('BODY_INVALID', 'What the hub sends along holds no plan');
  return { base, ...told, digests, frames: Buffer.concat([...frames, endFrame()]) };
}

function planOf(bytes: Buffer): Reply<'plan'> {
  try {
    return PlanReply.parse(JSON.parse(bytes.toString('utf8')));
  } catch (cause) {
    throw new HaiveError('BODY_INVALID', 'A parcel holds no plan', { cause });
  }
}

export type SendReport = (report: StatusReport, etag: string) => Promise<void>;

const REPORT_MS = 10_000;

/** Reports of a machine over its live channel, each waiting for the hub's word that it was taken down. */
export class ReportPost {
  private readonly open = new Map<number, { done: () => void; failed: (error: HaiveError) => void }>();
  private last = 0;

  /** @param write puts the message on the wire; false when that is over @throws HaiveError HUB_UNREACHABLE, TIMEOUT */
  send(write: (id: number) => boolean): Promise<void> {
    const id = ++this.last;
    return new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => failed(new HaiveError('TIMEOUT', 'The hub does not take the report')), REPORT_MS);
      const end = (): void => {
        clearTimeout(timer);
        this.open.delete(id);
      };
      const failed = (error: HaiveError): void => {
        end();
        reject(error);
      };
      const done = (): void => {
        end();
        resolve();
      };
      this.open.set(id, { done, failed });
      if (!write(id)) failed(new HaiveError('HUB_UNREACHABLE', 'The live channel is over'));
    });
  }

  taken(id: number): void {
    this.open.get(id)?.done();
  }

  /** The channel is over, or the hub refused: what is open goes over HTTP with the next sync. */
  fail(error: HaiveError): void {
    for (const { failed } of [...this.open.values()]) failed(error);
  }
}

/**
 * A hub whose first plan and transfer are those that were brought, where they are what is asked for; all else goes to the hub itself. A
 * sync through it runs every check as over HTTP.
 * @param send tells the hub over the channel that a parcel came by; over HTTP where absent
 */
export function throughParcel(hub: HubClient, parcel: Brought, send?: SendReport): HubClient {
  let [planned, transferred] = [false, false];
  return {
    url: hub.url,
    token: hub.token,
    close: () => hub.close(),
    async call(name, options) {
      const body = options?.body as unknown as StatusReport;
      // One that was refused is not told as the plan that is here.
      const ours = name === 'report' && planned && body.refused === undefined;
      if (send === undefined || !ours) return hub.call(name, options);
      await send(body, parcel.etag);
      return { ok: true } as Reply<typeof name>;
    },
    async callIfChanged(name, etag, options) {
      const readable = parcel.plan.delta === undefined || options?.headers?.['a-im'] !== undefined;
      // Another process may have got a newer plan since.
      if (name !== 'plan' || planned || etag !== parcel.base || !readable)
        return hub.callIfChanged(name, etag, options);
      planned = true;
      return { value: parcel.plan as Reply<typeof name>, etag: parcel.etag };
    },
    async open(name, options) {
      const { versions = [], forms = [] } = (options?.body ?? {}) as { versions?: string[]; forms?: string[] };
      const inIt = name === 'transfer' && forms.includes('delta') && versions.every((v) => parcel.digests.has(v));
      if (!inIt || transferred) return hub.open(name, options);
      transferred = true;
      return { status: 200, headers: { 'content-type': FRAMES_TYPE }, body: Readable.from([parcel.frames]) };
    },
  };
}
