import type { Environment } from '../environment.ts';
import { askHub, isUnchanged } from './ask-hub.ts';
import { inboxEtag, type LightConfig, readLightConfig, readSeenState } from './light-config.ts';
import { type HookOutput, joined, say } from './output.ts';

/** What a full run may be asked to do. */
export type FullRun = 'sync' | 'join' | 'hint' | 'inbox';

export interface HookDeps {
  /** Runs the use cases elsewhere; null when they are not done within `waitMs` and go on by themselves. */
  fullRun: (what: FullRun, waitMs: number) => Promise<HookOutput | null | 'unfinished'>;
  /** Milliseconds since some moment. */
  now: () => number;
}

/** Another host without TLS, as `requireTls` says it with more modules than a session's start should load. */
const IN_CLEAR = /^http:\/\/(?!(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?(\/|$))/i;
const INBOX = '/api/collective/inbox';
/** Milliseconds for connecting to the hub and its answer. */
const ASK_MS = 2000;
/** Milliseconds from the start until the session goes on without us; hooks.json allows 10 s. */
const ALL_MS = 8000;

/**
 * Decides what a session start costs: a question that a 304 answers, or a full sync. Null means that there is nothing to
 * say. Never throws, and never takes longer than ALL_MS and the question.
 */
export async function sessionStart(env: Environment, deps: HookDeps): Promise<HookOutput | null> {
  const started = deps.now();
  let config: LightConfig;
  try {
    config = readLightConfig(env);
  } catch {
    return say('hAIveMind: ~/.haivemind/config.json is not JSON; plugins are not synced. `hv doctor` says more.');
  }
  if (!config.wanted) return null;
  const full = async (what: FullRun): Promise<HookOutput | null> => {
    const done = await deps.fullRun(what, Math.max(0, ALL_MS - (deps.now() - started)));
    if (done !== 'unfinished') return done;
    return say('hAIveMind: plugins are still arriving; they load with the next session or after /reload-plugins.');
  };
  const url = env.hubUrl ?? config.hubUrl;
  if (config.token === undefined || url === undefined) {
    return await full(env.hubUrl !== undefined && env.token !== undefined ? 'join' : 'hint');
  }
  // No token goes over the network in the clear; the sync says so.
  if (!config.plainHttp && IN_CLEAR.test(url)) return await full('sync');
  const seen = readSeenState(config);
  const question = {
    url,
    token: config.token,
    ca: config.hubCa,
    proxies: config.proxies,
    etag: seen === null ? undefined : config.etag,
  };
  const inbox = {
    url,
    token: config.token,
    ca: config.hubCa,
    proxies: config.proxies,
    etag: inboxEtag(config.paths),
    path: INBOX,
    timeoutMs: ASK_MS,
  };
  const quiet = isUnchanged(inbox);
  // Machines that were told everything the hub knows end here; hooks/inbox.sh tells what is kept already.
  const settled = async (): Promise<HookOutput | null> => {
    const known = seen?.output ?? null;
    if (await quiet) return known;
    const left = { ...inbox, timeoutMs: Math.max(1, ASK_MS - (deps.now() - started)) };
    return (await askHub(left)).kind === 'changed' ? joined(known, await full('inbox')) : known;
  };
  if (await isUnchanged({ ...question, timeoutMs: ASK_MS })) return await settled();
  const left = ASK_MS - (deps.now() - started);
  const answer = await askHub({ ...question, timeoutMs: Math.max(1, left) });
  switch (answer.kind) {
    case 'unchanged':
      return await settled();
    case 'changed':
      return await full('sync');
    case 'away':
      return say(`hAIveMind: the hub at ${shown(url)} is away (${answer.why}); plugins stay as they are.`);
    case 'refused':
      return say(`hAIveMind: the hub refused (${answer.code}); plugins stay as they are. ${advice(answer.code)}`);
  }
}

/** An address without what must not be shown. */
function shown(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return 'an unknown address';
  }
}

function advice(code: string): string {
  if (code === 'PROTOCOL_MISMATCH') return 'Update hAIveMind on this machine or on the hub.';
  if (code === 'TOKEN_INVALID' || code === 'UNAUTHENTICATED') return 'Run `hv join URL --token T` again.';
  return '`hv doctor` says more.';
}
