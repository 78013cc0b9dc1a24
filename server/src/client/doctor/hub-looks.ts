import { lstat } from 'node:fs/promises';
import { HaiveError, toHaiveError } from '../../domain/errors.ts';
import { proxyFor } from '../../domain/proxy.ts';
import { statOf } from '../../machine/files/file-port.ts';
import { type ClientContext, hubAddress, hubAuthorities, hubFor, proxiesOf } from '../context.ts';
import { connectHub, hubIsAway } from '../hub/hub-client.ts';
import { shownProxy } from '../hub/tunnel.ts';
import { otherFolders } from '../join/client-folders.ts';
import { howToRejoin } from '../join/rejoin.ts';
import { cachedPlan, fetchPlan, followedPlan } from '../sync/plan.ts';
import { type Found, fail, type Looks, ok, warn } from './found.ts';

/** This computer, its configuration, and the hub it belongs to. */
export const HUB_LOOKS: Looks = {
  node: async () => {
    const major = Number(process.versions.node.split('.')[0]);
    return major >= 20
      ? ok(`Node ${process.versions.node}`)
      : fail(`Node ${process.versions.node} is too old`, 'Install Node 20 or newer.');
  },

  config: async (ctx) => {
    const { config, machine } = ctx;
    if (config.hub_url === undefined) return warn('This machine has not joined a hub', 'Run `hv join URL --token T`.');
    const mode = (await lstat(machine.paths.config)).mode & 0o077;
    if (mode !== 0 && process.platform !== 'win32') {
      return warn(`${machine.paths.config} can be read by others`, `Run: chmod 600 '${machine.paths.config}'`);
    }
    return ok(`joined ${config.hub_url} as ${config.machine?.name ?? '?'}`);
  },

  hub: async (ctx) => {
    const url = await addressOrNull(ctx);
    if (url === null) return warn('No hub is known', 'Run `hv join URL --token T`.');
    const hub = connectHub({ url, timeoutMs: 3_000, ca: await hubAuthorities(ctx), proxies: proxiesOf(ctx) });
    try {
      const { status } = await hub.call('readyz');
      const proxy = proxyFor(new URL(url), proxiesOf(ctx));
      const way = proxy === undefined ? '' : `, through the proxy ${shownProxy(proxy.address)} (${proxy.from})`;
      return status === 'ready'
        ? ok(`${url} is ready${way}`)
        : warn(`${url} is ${status}`, 'Look at the log of the hub.');
    } finally {
      hub.close();
    }
  },

  token: async (ctx) => {
    if (ctx.config.token === undefined) return ok('no machine token yet');
    const hub = await hubFor(ctx, 'machine', 3_000);
    try {
      const who = await hub.call('whoami');
      if (who.machine?.id !== ctx.config.machine?.id) {
        return fail("The token is not this machine's", 'Run `hv leave` and join again.');
      }
      if (who.hub.public_key !== ctx.config.hub?.public_key) {
        return fail('The hub has another key than when this machine joined', 'Run `hv leave` and join again.');
      }
      return ok(`${who.machine?.name ?? '?'} is known to the hub`);
    } catch (thrown) {
      const error = toHaiveError(thrown);
      if (error.code === 'TOKEN_INVALID') {
        return fail("The hub refuses this machine's token", howToRejoin(ctx));
      }
      throw error;
    } finally {
      hub.close();
    }
  },

  folders: async (ctx) => {
    const others = await otherFolders(ctx);
    return others.length === 0
      ? ok('one folder of Claude Code belongs to this machine')
      : warn(
          `Plugins of this machine lie in ${others.map((o) => o.name).join(', ')} too: the hub takes both for one and knows what was reported last`,
          'Leave it be, or set a HAIVEMIND_HOME of its own wherever CLAUDE_CONFIG_DIR is set, and join again there.',
        );
  },

  plan: async (ctx) => {
    if (ctx.config.token === undefined) return ok('no plan yet');
    const kept = await lookAtKept(ctx);
    if (kept !== null) return kept;
    const hub = await hubFor(ctx, 'machine', 3_000);
    try {
      // One that is here already may be past its time.
      const { plan } = await fetchPlan(ctx, hub, { fresh: true });
      return new Date(plan.expiresAt) > ctx.clock()
        ? ok("the hub's plan is signed for this machine, and no older than the last")
        : fail(`The hub's plan expired at ${plan.expiresAt}`, 'Compare the clocks, and look at the log of the hub.');
    } catch (thrown) {
      const error = toHaiveError(thrown);
      // Another look says so.
      if (hubIsAway(error) || error.code === 'TOKEN_INVALID') return ok('not known without the hub');
      throw error;
    } finally {
      hub.close();
    }
  },

  clock: async (ctx) => {
    const url = await addressOrNull(ctx);
    if (url === null) return ok('no hub to compare with');
    const hub = connectHub({ url, timeoutMs: 3_000, ca: await hubAuthorities(ctx), proxies: proxiesOf(ctx) });
    try {
      const answer = await hub.open('healthz');
      answer.body.resume();
      const theirs = Date.parse(String(answer.headers.date));
      if (Number.isNaN(theirs)) return ok('the hub states no time');
      const skew = Math.round((ctx.clock().getTime() - theirs) / 1000);
      return Math.abs(skew) <= 60
        ? ok('the clocks agree')
        : warn(
            `This clock is ${Math.abs(skew)} s ${skew > 0 ? 'ahead of' : 'behind'} the hub's`,
            'Set the clock (NTP).',
          );
    } finally {
      hub.close();
    }
  },
};

/** What is wrong with the plan that lies here; null where nothing is. */
async function lookAtKept(ctx: ClientContext): Promise<Found | null> {
  const { paths } = ctx.machine;
  // Where all is gone another look says so.
  if (ctx.config.plan === undefined || statOf(paths.receipts) === null) return null;
  if ((await followedPlan(ctx)) !== null) return null;
  if ((await cachedPlan(ctx)) === null)
    return warn(`${paths.plan} is gone or damaged; the plugins are not touched by that`, FIX);
  // A hub that names its plans by nothing: whether it is the last one cannot be told.
  if (ctx.config.plan.etag === '') return null;
  return warn(
    `${paths.plan} is not the plan that this machine followed last: an old ${paths.claudeDir} was put back, or another CLAUDE_CONFIG_DIR synced since`,
    FIX,
  );
}

const FIX = 'Run `hv doctor --fix`, or any sync.';

async function addressOrNull(ctx: ClientContext): Promise<string | null> {
  try {
    return await hubAddress(ctx);
  } catch (thrown) {
    if (thrown instanceof HaiveError && thrown.code === 'HUB_NOT_CONFIGURED') return null;
    throw thrown;
  }
}
