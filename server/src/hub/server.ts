import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Fastify from 'fastify';
import { isGroupPattern } from '../domain/names.ts';
import { openStore } from '../storage/store.ts';
import { createAuthenticator } from './auth.ts';
import { publishCore, registerBuiltins } from './builtin.ts';
import { authorityOf, joinLine, loadBundle } from './bundle.ts';
import { startCollectiveSweep } from './collective/sweep.ts';
import type { HubConfig } from './config.ts';
import type { HubContext, Log } from './context.ts';
import { holdDataFolder } from './data-folder.ts';
import { closeDiscovery } from './discovery/discovery-of.ts';
import { type LocalChroma, startLocalChroma } from './discovery/local-chroma.ts';
import { firstAdminToken, writeHubFile } from './first-start.ts';
import { followCertificate } from './http/certificate.ts';
import { answerClientError, createNodeServer, drain, listen } from './http/http-server.ts';
import { createRequestLimits } from './http/request-limits.ts';
import { addRoutes, requestIdOf, sendProblem } from './http/router.ts';
import { loadIdentity } from './identity.ts';
import { createLive } from './live/live.ts';
import { createLog } from './log.ts';
import { createActivity } from './machines/activity.ts';
import { takeReport } from './machines/report.ts';
import { createMetrics } from './metrics.ts';
import { withFastPlan } from './plans/fast-plan.ts';
import { createPlans } from './plans/index.ts';
import { makeParcel } from './plans/parcels.ts';
import { demandApprovals } from './registry/snapshot.ts';
import { createSeqGate } from './seq-gate.ts';
import { startSweep } from './sweep.ts';
import { findStoredToken } from './tokens.ts';
import { createTurns } from './turns.ts';
import { upgrade } from './upgrade.ts';
import { createUseCases } from './use-cases.ts';

export interface RunningHub {
  url: string;
  port: number;
  context: HubContext;
  /** Only at the first start of a database. */
  adminToken: string | null;
  /** The token of hub.json: may join and publish. */
  joinToken: string;
  /** What joins a machine that has nothing but Node; null where there is no bundle to hand out. */
  joinLine: string | null;
  /** Drains: requests in flight finish (at most limits.drainMs), sockets are told, the database is closed. */
  close(): Promise<void>;
}

/** What a test may put in the place of the real thing. */
export interface HubDeps {
  clock?: () => Date;
  log?: Log;
  /** Where cli.mjs lies; default: beside this file. */
  distDir?: string;
  /** The repository that holds haivemind-core; default: two folders above distDir. */
  coreRoot?: string;
  /** How the data folder is kept from other hubs; default: holdDataFolder. */
  hold?: typeof holdDataFolder;
}

/**
 * Starts a hub: database, haivemind-core, the listener, then the first tokens.
 * @throws HaiveError DATABASE_UNAVAILABLE, DATA_DIR_IN_USE, SCHEMA_NEWER, NATIVE_MODULE, PORT_IN_USE, CONFIG_INVALID, PATH_OCCUPIED, READ_ONLY, DISK_FULL, IO_ERROR
 */
export async function startHub(config: HubConfig, deps: HubDeps = {}): Promise<RunningHub> {
  const clock = deps.clock ?? (() => new Date());
  const log = deps.log ?? createLog(config.logLevel, undefined, clock);
  const distDir = deps.distDir ?? dirname(fileURLToPath(import.meta.url));
  for (const group of config.approvalGroups.filter((one) => !isGroupPattern(one)))
    log.warn({ group }, 'approval_groups names what no group may be called any more; it holds as it is written');
  const letGo = config.databaseUrl === undefined ? await (deps.hold ?? holdDataFolder)(config.dataDir) : () => {};
  const { dataDir, databaseUrl } = config;
  const store = await openStore({ dataDir, databaseUrl, clock }).catch((thrown: unknown) => {
    letGo();
    throw thrown;
  });
  demandApprovals(store, config.approvalGroups);
  let chroma: LocalChroma | undefined;
  const undo: (() => Promise<unknown>)[] = [
    async () => letGo(),
    () => store.close(),
    async () => chroma?.close(),
    () => closeDiscovery(store),
  ];
  const unwind = async (): Promise<void> => {
    for (const step of undo.reverse()) await step();
  };
  try {
    let draining = false;
    const isDraining = (): boolean => draining;
    const identity = await loadIdentity(store);
    if (config.localChroma === true) {
      chroma = await startLocalChroma({ dataDir: config.dataDir, binding: config.chromaBinding, log });
      if (chroma !== undefined) config.chromaUrl = chroma.url;
    }
    const metrics = createMetrics();
    const live = await createLive({
      store,
      config,
      hubId: identity.id,
      log,
      clock,
      seen: (p) => activity.seen(p),
      parcel: (machineId, etag) => makeParcel(hub, plans, machineId, etag),
      report: (principal, body) => takeReport(hub, principal, body),
    });
    undo.push(() => live.close());
    const activity = createActivity(store, log, clock, () => live.connectedMachines());
    undo.push(() => activity.close());
    const hub: HubContext = { store, config, identity, clock, log, bell: live };
    undo.push(startSweep(hub));
    undo.push(startCollectiveSweep(hub, live));

    const gate = createSeqGate(() => store.stamp());
    const limits = createRequestLimits(config.limits, () => clock().getTime());
    const auth = createAuthenticator(
      (hash) => findStoredToken(store.read, hash),
      gate,
      clock,
      config.limits.failedAuthPerMinute,
      limits.address,
    );
    const plans = createPlans(hub, gate);
    const bundle = await loadBundle(distDir);
    const registrations = createTurns(config.limits.registrations);
    const sockets = (): number => live.size();
    const useCases = createUseCases({ plans, live, bundle, metrics, registrations, sockets, isDraining });
    const shared = { auth, metrics, limits, seen: activity.seen, isDraining };

    const app = Fastify({
      serverFactory: (handler) => createNodeServer(config, withFastPlan({ ...shared, gate, plans }, handler)),
      clientErrorHandler: answerClientError,
      frameworkErrors: (error, request, reply) => void sendProblem({ hub }, error, request, reply),
      // One proxy is believed: the last address it wrote, not what a client claims.
      trustProxy: config.behindProxy ? (_address, hop) => hop === 0 : false,
      routerOptions: { maxParamLength: 300 },
      genReqId: (request) => requestIdOf(request.headers),
      logger: false,
    });
    addRoutes(app, { ...shared, hub, useCases });
    app.server.on('upgrade', (request, socket, head) => {
      const parts = { auth, live, limits, log, isDraining, behindProxy: config.behindProxy, clock };
      void upgrade(parts, request, socket, head);
    });
    await app.ready();

    const root = deps.coreRoot ?? join(distDir, '..', '..');
    await publishCore(hub, useCases, root);
    await registerBuiltins(hub, useCases, root);
    const port = await listen(app.server, config.host, config.port);
    undo.push(async () => {
      draining = true;
      // The next hub may come up while this one ends what it has begun.
      letGo();
      await Promise.all([live.close(), drain(app.server, config.limits.drainMs)]);
      await app.close();
    });
    if (config.tls !== undefined)
      undo.push(followCertificate(app.server, config.tls, config.limits.certificateMs, log));
    const url = config.publicUrl ?? addressOf(config, port);
    const { token } = await writeHubFile(hub, url);
    const line = bundle === null ? null : joinLine(url, token, bundle.sha256, await ownAuthority(config));
    // The last step: it is shown once, and a start that fails shows nothing.
    const adminToken = await firstAdminToken(hub);
    log.info({ url, hub: identity.id, engine: store.dialect }, 'the hub is ready');
    let closing: Promise<void> | undefined;
    return {
      url,
      port,
      context: hub,
      adminToken,
      joinToken: token,
      joinLine: line,
      close() {
        closing ??= unwind();
        return closing;
      },
    };
  } catch (thrown) {
    await unwind();
    throw thrown;
  }
}

/** Machines pin it at join, because the join line names it. */
async function ownAuthority({ tls }: HubConfig): Promise<string | null> {
  return tls === undefined ? null : authorityOf(await readFile(tls.cert, 'utf8'));
}

function addressOf(config: HubConfig, port: number): string {
  const host = config.host === '0.0.0.0' ? '127.0.0.1' : config.host === '::' ? '::1' : config.host;
  const scheme = config.tls === undefined ? 'http' : 'https';
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
