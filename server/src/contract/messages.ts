import * as z from 'zod';
import { ANY } from './endpoint.ts';
import { EventRow, InstalledState, StatusReport } from './schemas.ts';

/**
 * WS /ws/plugins. The socket is a doorbell and a progress channel; a small change also rides in it as a parcel (contract/parcel), a
 * binary frame. Whatever is lost is asked for over HTTP, so a lost message costs only time. Authorization: Bearer, as in REST.
 */
export const WS_PATH = '/ws/plugins';
/** Who may open it. */
export const LIVE = { summary: 'The live channel', access: ANY };

export const Progress = z.object({
  machine: z.string(),
  plugin: z.string(),
  version: z.string(),
  state: InstalledState,
  error: z.object({ code: z.string(), message: z.string() }).optional(),
});

export const ServerMessage = z.discriminatedUnion('type', [
  /** First message. `seq` is the registry's newest. */
  z.object({ type: z.literal('hello'), protocol: z.number().int(), hub: z.string(), seq: z.number().int() }),
  /**
   * Something changed; ask for your plan within `spread_ms` (a random moment in it). Who takes parcels waits `parcel_ms` for one
   * before that.
   */
  z.object({
    type: z.literal('doorbell'),
    seq: z.number().int(),
    spread_ms: z.number().int(),
    parcel_ms: z.number().int().optional(),
  }),
  /** In the place of a parcel: the plan that you have is still the one. */
  z.object({ type: z.literal('same'), seq: z.number().int(), etag: z.string() }),
  /** A report was taken down. */
  z.object({ type: z.literal('reported'), id: z.number().int() }),
  /** Something was said to this machine: ask for the inbox. */
  z.object({ type: z.literal('inbox') }),
  /** Only for watchers. */
  z.object({ type: z.literal('event'), event: EventRow }),
  z.object({ type: z.literal('progress'), progress: Progress }),
  z.object({
    type: z.literal('error'),
    code: z.string(),
    message: z.string(),
    details: z.record(z.string(), z.unknown()).optional(),
  }),
]);
export type ServerMessage = z.output<typeof ServerMessage>;

export const ClientMessage = z.discriminatedUnion('type', [
  /** After hello: rings at once when the hub's seq is newer; `watch` (operator, publisher, reader) asks for events and progress from there. */
  z.object({
    type: z.literal('resume'),
    seq: z.number().int().min(0),
    watch: z.boolean().default(false),
    /** A machine that takes parcels, and the etag of the plan it has. */
    parcels: z.object({ etag: z.string().max(100) }).optional(),
  }),
  /** A machine reports progress of its own. */
  z.object({ type: z.literal('progress'), progress: Progress.omit({ machine: true }) }),
  /** The plan that a machine which takes parcels has now. */
  z.object({ type: z.literal('have'), etag: z.string().max(100) }),
  /** POST status, after a parcel; answered by `reported`. `etag` is that of the plan the machine has now. */
  z.object({
    type: z.literal('report'),
    id: z.number().int(),
    etag: z.string().max(100),
    report: StatusReport,
  }),
]);
export type ClientMessage = z.input<typeof ClientMessage>;
