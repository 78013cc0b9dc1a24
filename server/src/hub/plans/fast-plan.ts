import type { IncomingMessage, ServerResponse } from 'node:http';
import { PROTOCOL, PROTOCOL_HEADER } from '../../contract/protocol.ts';
import type { Stamp } from '../../storage/store.ts';
import type { Authenticator } from '../auth.ts';
import type { Principal } from '../context.ts';
import { matches } from '../http/router.ts';
import type { Metrics } from '../metrics.ts';
import type { SeqGate } from '../seq-gate.ts';
import type { Plans } from './index.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export interface FastPlanParts {
  gate: SeqGate;
  auth: Pick<Authenticator, 'recall'>;
  plans: Pick<Plans, 'recallEtag'>;
  metrics: Metrics;
  seen(principal: Principal): void;
  isDraining(): boolean;
}

const ADDRESS = /^\/api\/machines\/([^/?]+)\/plan$/;
const ROUTE = '/api/machines/:machine/plan';

/**
 * Answers the question that machines ask all the time, "is my plan still this one?", with a 304 before Fastify sees it.
 * Whatever is not a plain yes goes on to `next`, so that there is one place that says no. Not logged: it is not news.
 */
export function withFastPlan(parts: FastPlanParts, next: Handler): Handler {
  return (request, response) => {
    const machine = askedMachine(request);
    if (machine === undefined || parts.isDraining()) {
      next(request, response);
      return;
    }
    const began = process.hrtime.bigint();
    parts.gate.current().then(
      (stamp) => {
        const principal = parts.auth.recall(request.headers.authorization, stamp);
        const etag = principal === null ? undefined : etagFor(parts.plans, principal, machine, stamp);
        if (principal === null || etag === undefined || !matches(request.headers['if-none-match'], etag)) {
          next(request, response);
          return;
        }
        parts.seen(principal);
        // Saying keep-alive ourselves keeps node from adding a Keep-Alive line that tells our clients nothing new.
        const kept = response.shouldKeepAlive ? { connection: 'keep-alive' } : {};
        response.writeHead(304, { [PROTOCOL_HEADER]: String(PROTOCOL), etag, ...kept }).end();
        parts.metrics.request(ROUTE, 'GET', 304, Number(process.hrtime.bigint() - began) / 1e9);
      },
      () => next(request, response),
    );
  };
}

function askedMachine(request: IncomingMessage): string | undefined {
  const { headers, method, url } = request;
  if (method !== 'GET' || headers['if-none-match'] === undefined) return undefined;
  const stated = headers[PROTOCOL_HEADER];
  if (stated !== undefined && stated !== String(PROTOCOL)) return undefined;
  return ADDRESS.exec(url ?? '')?.[1];
}

function etagFor(plans: FastPlanParts['plans'], p: Principal, machine: string, stamp: Stamp): string | undefined {
  if (p.machineId === null || !p.roles.includes('machine')) return undefined;
  if (machine !== 'me' && machine !== p.machineId && machine !== p.name) return undefined;
  return plans.recallEtag(p.machineId, stamp);
}
