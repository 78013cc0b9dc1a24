import type { Readable } from 'node:stream';
import type * as z from 'zod';
import type { Body, EndpointName, Query, Reply } from '../contract/endpoints.ts';
import type { Progress } from '../contract/messages.ts';
import type { Role } from '../contract/roles.ts';
import type { Store } from '../storage/store.ts';
import type { HubConfig } from './config.ts';

/** Who is calling, from the token. */
export interface Principal {
  tokenId: string;
  /** The first of the tokens out of which this one was rotated; absent for what is no stored token. */
  origin?: string;
  name: string;
  roles: readonly Role[];
  /** Set for a machine's token. */
  machineId: string | null;
  /** The key that this machine must show beside its token. */
  machineKey?: string | undefined;
  /** Publisher: the plugin names it may publish (`*` as wildcard); null means any. */
  namePattern: string | null;
  /** Where this call came from; absent for what the hub does by itself. */
  address?: string | undefined;
  /** When the token ends, ISO-8601; absent or null: never. */
  expiresAt?: string | null;
}

/** This hub's own key and generation; the private half never leaves the process. */
export interface HubIdentity {
  id: string;
  publicKey: string;
  privatePem: string;
  epoch: number;
}

export interface Log {
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
}

/** Rings after a commit: reaches the sockets of this process and of every other hub process on the database. */
export interface Bell {
  ring(seq: number): void;
  progress(progress: z.output<typeof Progress>): void;
}

/** Everything a use case may touch, wired once in hub/main. */
export interface HubContext {
  store: Store;
  config: HubConfig;
  identity: HubIdentity;
  clock: () => Date;
  log: Log;
  bell: Bell;
}

/** One call of one endpoint, after authentication and validation. */
export interface Call<N extends EndpointName> {
  principal: Principal;
  params: Record<string, string>;
  query: Query<N>;
  body: Body<N>;
  /** The raw body, for endpoints whose body is `frames`. */
  stream: Readable;
  contentType: string;
  header(name: string): string | undefined;
  remoteAddress: string;
  requestId: string;
}

/** What a use case may answer beside plain data: `status`, headers, a stream or bytes. */
export interface RawReply {
  raw: true;
  status: number;
  headers: Record<string, string>;
  body: Buffer | Readable | null;
}

export type UseCase<N extends EndpointName> = (hub: HubContext, call: Call<N>) => Promise<Reply<N> | RawReply>;
export type UseCases = { [N in EndpointName]: UseCase<N> };
