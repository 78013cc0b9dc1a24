import { refreshInbox } from '../../client/collective/inbox.ts';
import { type ClientContext, openClient } from '../../client/context.ts';
import { joinHub } from '../../client/join/index.ts';
import { type SyncResult, syncMachine, tryLater } from '../../client/sync/index.ts';
import { describeSync } from '../../client/sync/notice.ts';
import { followedPlan } from '../../client/sync/plan.ts';
import { formatError, toHaiveError } from '../../domain/errors.ts';
import { writeAtomic } from '../../machine/files/atomic-file.ts';
import { makeDirs, readFileOrNull } from '../../machine/files/file-port.ts';
import { takeUntold } from '../../machine/inbox.ts';
import type { Environment } from '../environment.ts';
import { receiptsFingerprint, type SeenState } from './light-config.ts';
import { type HookOutput, joined, news, say } from './output.ts';
import type { FullRun } from './session-start.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/** A full run of the hook: what it wants said, or null. Never throws. @param session process id of the client */
export async function background(what: FullRun, env: Environment, session: number): Promise<HookOutput | null> {
  try {
    const ctx = await openClient(env);
    if (what === 'hint') return await joinHint(ctx, env);
    if (what === 'join') return await joinByUserConfig(ctx, env);
    if (what === 'inbox') return await inbox(ctx, session);
    return joined(await sync(ctx), await inbox(ctx, session));
  } catch (thrown) {
    const error = toHaiveError(thrown);
    if (tryLater(error))
      return say(`hAIveMind: plugins stay as they are (${error.code}); the next session tries again.`);
    return say(`hAIveMind: plugins stay as they are. ${formatError(error)}`);
  }
}

/** What this session was not told yet; a hub that is away says nothing. */
async function inbox(ctx: ClientContext, session: number): Promise<HookOutput | null> {
  try {
    return news(await takeUntold(ctx.machine, await refreshInbox(ctx), session));
  } catch {
    return null;
  }
}

async function sync(ctx: ClientContext): Promise<HookOutput | null> {
  // As patient as an agent: the session does not wait for this process.
  const result = await syncMachine(ctx, { mode: 'agent' });
  await keepSeen(ctx, result);
  return output(result);
}

function output(result: SyncResult): HookOutput | null {
  const line = describeSync(result);
  return line === null ? null : say(line, { context: true, reloadSkills: result.reloadNeeded });
}

/** Remembers what the next starts may say without a sync, while neither plan nor installation moves. */
async function keepSeen(ctx: ClientContext, result: SyncResult): Promise<void> {
  const { paths, port } = ctx.machine;
  const kept = await followedPlan(ctx);
  // What arrived now is news only once; what failed is to be tried again at the next start.
  if (kept?.etag === undefined || result.expired !== null) return;
  if (result.problems.length > 0 || result.layoutRefused !== null) return;
  const still: SyncResult = {
    ...result,
    changed: { installed: [], updated: [], reinstalled: [], removed: [] },
    edits: [],
    switched: null,
    reloadNeeded: false,
  };
  const { etag, plan } = kept;
  const state: SeenState = { etag, until: plan.expiresAt, receipts: receiptsFingerprint(paths), output: output(still) };
  await writeAtomic(port, paths.seen, Buffer.from(JSON.stringify(state)), { mode: 0o600 });
}

/** How to join, at most once a day. */
async function joinHint(ctx: ClientContext, env: Environment): Promise<HookOutput | null> {
  const folder = env.pluginData;
  const now = ctx.clock().getTime();
  if (folder !== undefined) {
    const path = `${folder}/join-hint`;
    const last = Number((await readFileOrNull(path))?.toString('utf8') ?? 0);
    if (now - last < DAY_MS && now >= last) return null;
    // A folder that cannot be written only means that the hint comes again.
    await makeDirs(ctx.machine.port, folder)
      .then(() => writeAtomic(ctx.machine.port, path, Buffer.from(String(now)), { mode: 0o600 }))
      .catch(() => {});
  }
  return say(
    'hAIveMind: this machine has joined no hub yet. Paste the join line that your hub prints at its start, ' +
      'or type /plugin configure haivemind-core@haivemind.',
  );
}

/** hub_url and token were given as the plugin's options: that is the wish to join. */
async function joinByUserConfig(ctx: ClientContext, env: Environment): Promise<HookOutput | null> {
  const { hub, machine, sync: first, syncError } = await joinHub(ctx, { url: env.hubUrl, token: env.token });
  const arrived = first === null ? null : describeSync(first);
  const rest = arrived ?? (syncError === null ? '' : formatError(syncError));
  return say(`hAIveMind: joined ${hub.url} as ${machine.name}. ${rest}`.trim(), { context: true, reloadSkills: true });
}
