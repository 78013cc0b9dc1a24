import { lstat, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { ERRORS, HaiveError, toHaiveError } from '../domain/errors.ts';
import { inspect } from '../machine/drift.ts';
import { readFileOrNull } from '../machine/file-port.ts';
import { hostIdentity } from '../machine/host-identity.ts';
import { withLock } from '../machine/lock.ts';
import { readReceipts } from '../machine/receipts.ts';
import { recover } from '../machine/transaction.ts';
import { findClaude, runClaude } from './claude-program.ts';
import { type ClientContext, hubAddress, hubAuthorities, hubFor } from './context.ts';
import { connectHub } from './hub-client.ts';
import { askClient, checkLoadedQuietly } from './loaded.ts';
import { findTampering, mendTampering } from './mend.ts';
import { cachedPlan } from './plan.ts';
import { forbiddenBy } from './preflight.ts';
import { type SyncProgress, syncMachine } from './sync.ts';
import { readTrust } from './trust.ts';

export interface DoctorCheck {
  /** Stable name: node, config, hub, token, clock, settings, marketplace, plugins, keys, host, journal, lock, core, trust, loaded, claude. */
  check: string;
  result: 'ok' | 'warn' | 'fail';
  message: string;
  /** What to do about it; empty when ok. */
  fix: string;
}

export interface DoctorResult {
  ok: boolean;
  checks: DoctorCheck[];
  /** What `--fix` did. */
  fixed: string[];
}

type Found = Omit<DoctorCheck, 'check'>;
const ok = (message: string): Found => ({ result: 'ok', message, fix: '' });
const warn = (message: string, fix: string): Found => ({ result: 'warn', message, fix });
const fail = (message: string, fix: string): Found => ({ result: 'fail', message, fix });

/**
 * Looks at everything this machine's side depends on. Never throws for what it finds.
 * @param options.fix finish a crashed run and sync again
 */
export async function runDoctor(
  ctx: ClientContext,
  options: { fix?: boolean; onProgress?: (progress: SyncProgress) => void } = {},
): Promise<DoctorResult> {
  const fixed = options.fix === true ? await mend(ctx, options.onProgress) : [];
  const checks: DoctorCheck[] = [];
  for (const [check, look] of Object.entries(CHECKS)) {
    checks.push({ check, ...(await look(ctx).catch(asFailure)) });
  }
  return { ok: checks.every((c) => c.result !== 'fail'), checks, fixed };
}

function asFailure(thrown: unknown): Found {
  const error = toHaiveError(thrown);
  return fail(`${error.code}: ${error.message}`, error.hint);
}

async function mend(ctx: ClientContext, onProgress?: (progress: SyncProgress) => void): Promise<string[]> {
  const done: string[] = [];
  const recovered = await withLock(ctx.machine, 'doctor', () => recover(ctx.machine), { waitMs: 10_000 });
  if (recovered !== 'nothing') done.push(`an interrupted change was ${recovered.replace('-', ' ')}`);
  done.push(...(await mendKeys(ctx)));
  for (const { name, version, backTo, left } of (await checkLoadedQuietly(ctx))?.failed ?? []) {
    if (!left) done.push(`${name} ${version} does not load; ${backTo === null ? 'it is gone' : `${backTo} is back`}`);
  }
  if (ctx.config.token === undefined) return done;
  try {
    const sync = await syncMachine(ctx, {
      mode: 'explicit',
      byPolicy: true,
      ...(onProgress === undefined ? {} : { onProgress }),
    });
    const { installed, updated, reinstalled, removed } = sync.changed;
    const names = [...installed, ...updated, ...reinstalled].map((p) => p.name);
    if (names.length > 0) done.push(`installed ${names.join(', ')}`);
    if (removed.length > 0) done.push(`removed ${removed.join(', ')}`);
  } catch (thrown) {
    if (!(thrown instanceof HaiveError)) throw thrown;
    done.push(`the sync failed: ${thrown.code}: ${thrown.message}`);
  }
  return done;
}

async function mendKeys(ctx: ClientContext): Promise<string[]> {
  try {
    return await withLock(ctx.machine, 'doctor', () => mendTampering(ctx.machine), { waitMs: 10_000 });
  } catch (thrown) {
    if (!(thrown instanceof HaiveError)) throw thrown;
    return [`the keys could not be mended: ${thrown.code}: ${thrown.message}`];
  }
}

const CHECKS: Record<string, (ctx: ClientContext) => Promise<Found>> = {
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
    const hub = connectHub({ url, timeoutMs: 3_000, ca: await hubAuthorities(ctx) });
    try {
      const { status } = await hub.call('readyz');
      return status === 'ready' ? ok(`${url} is ready`) : warn(`${url} is ${status}`, 'Look at the log of the hub.');
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
        return fail('The hub does not know this machine any more', 'Run `hv leave`, then join again.');
      }
      throw error;
    } finally {
      hub.close();
    }
  },

  clock: async (ctx) => {
    const url = await addressOrNull(ctx);
    if (url === null) return ok('no hub to compare with');
    const hub = connectHub({ url, timeoutMs: 3_000, ca: await hubAuthorities(ctx) });
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

  settings: async (ctx) => {
    const settings = await readSettings(ctx);
    if (settings === 'invalid') {
      return fail(
        `${ctx.machine.paths.settings} is not JSON`,
        'Mend it by hand; backups lie in plugins/.haivemind/backups.',
      );
    }
    return ok(settings === null ? 'no settings.json yet' : 'settings.json is JSON');
  },

  marketplace: async (ctx) => {
    const receipts = await readReceipts(ctx.machine);
    if (Object.keys(receipts.plugins).length === 0) return ok('nothing is installed');
    if (receipts.layout === 'loose') return ok('the loose layout needs no marketplace');
    if ((await readFileOrNull(ctx.machine.paths.marketplace)) === null) {
      return fail('The marketplace `collective` has no catalogue', 'Run `hv doctor --fix`.');
    }
    const barred = await forbiddenBy(ctx);
    if (barred !== null) {
      return fail(
        `${barred.file} (${barred.key}) keeps Claude Code from our folder`,
        ERRORS.MARKETPLACE_FORBIDDEN.hint,
      );
    }
    const settings = await readSettings(ctx);
    const known = settings === null || settings === 'invalid' ? undefined : settings.extraKnownMarketplaces?.collective;
    return known === undefined
      ? fail('settings.json does not name the marketplace `collective`', 'Run `hv doctor --fix`.')
      : ok('the marketplace `collective` is registered');
  },

  keys: async (ctx) => {
    const { movedFrom, strayKeys, lost, lostAll, disabled } = await findTampering(ctx.machine);
    if (movedFrom !== null) {
      return fail(`Claude Code is led to ${movedFrom}: HOME was copied or moved`, 'Run `hv doctor --fix`.');
    }
    if (lostAll) return fail('Our hooks and servers are gone: an old backup was restored?', 'Run `hv doctor --fix`.');
    if (strayKeys.length > 0) {
      return warn(`settings.json enables what is not installed: ${strayKeys.join(', ')}`, 'Run `hv doctor --fix`.');
    }
    const [first] = lost;
    if (first !== undefined) {
      return warn(`Taken out by hand: ${first[0]} ${first[1].join(', ')}`, `\`hv repair ${first[0]}\` brings it back.`);
    }
    return ok(
      disabled.length > 0
        ? `switched off in Claude Code, which is respected: ${disabled.join(', ')} (\`claude plugin enable NAME@collective\` brings them back)`
        : 'our keys are as we left them',
    );
  },

  host: async (ctx) => {
    const { machine } = ctx.config;
    const here = await hostIdentity();
    const kept = machine?.host;
    if (kept === undefined || here === null || kept === here) return ok('this is the computer that joined');
    return fail(
      `${machine?.name ?? '?'} joined from another computer: HOME was copied, and both now speak as one machine`,
      'Run `hv leave` here, then join under a name of its own.',
    );
  },

  plugins: async (ctx) => {
    // Kept with every plan that was acted on; it goes only with all the rest.
    if (ctx.config.plan !== undefined && (await cachedPlan(ctx)) === null) {
      return fail(`${ctx.machine.paths.root} was deleted, or what lay in it`, 'Run `hv doctor --fix`.');
    }
    const rows = await inspect(ctx.machine);
    const broken = rows.filter((p) => p.state === 'missing' || p.state === 'damaged');
    if (broken.length > 0) {
      return fail(`Files are gone or damaged: ${broken.map((p) => p.name).join(', ')}`, 'Run `hv doctor --fix`.');
    }
    const edited = rows.filter((p) => p.state === 'edited').map((p) => p.name);
    const off = rows.filter((p) => p.state === 'disabled').map((p) => p.name);
    const notes = [
      ...(edited.length > 0 ? [`edited here: ${edited.join(', ')}`] : []),
      ...(off.length > 0 ? [`disabled: ${off.join(', ')}`] : []),
    ];
    return ok([`${rows.length} installed as the receipts say`, ...notes].join('; '));
  },

  links: async (ctx) => {
    const { machine } = ctx;
    const receipts = await readReceipts(machine);
    const wrong: string[] = [];
    for (const receipt of Object.values(receipts.plugins)) {
      for (const link of receipt.links) {
        const target = await readlink(join(machine.paths.pluginsDir, link)).catch(() => null);
        if (target === null) wrong.push(link);
      }
    }
    return wrong.length === 0
      ? ok('links for people are in place')
      : warn(`Links are gone: ${wrong.join(', ')}`, 'Run `hv sync --force`; plugins load without them.');
  },

  journal: async (ctx) =>
    (await readFileOrNull(ctx.machine.paths.journal)) === null
      ? ok('no interrupted change')
      : warn('A change was interrupted', 'Run `hv doctor --fix` (or any sync): it is finished or undone.'),

  core: async (ctx) => {
    const settings = await readSettings(ctx);
    if (settings === null || settings === 'invalid') return ok('no settings to look at');
    const on = Object.entries(settings.enabledPlugins ?? {})
      .filter(([key, value]) => key.startsWith('haivemind-core@') && value === true)
      .map(([key]) => key);
    return on.length > 1
      ? fail(
          `The core plugin is enabled twice: ${on.join(', ')}`,
          'Run `claude plugin disable haivemind-core@haivemind`.',
        )
      : ok(on.length === 1 ? `${on[0]} is enabled` : 'the core plugin is not enabled');
  },

  trust: async (ctx) => {
    await readTrust(ctx.machine);
    const refused = Object.entries((await readReceipts(ctx.machine)).refused);
    if (refused.length === 0) return ok('nothing was refused');
    const [digest, first] = refused[0] ?? ['', { reason: '' }];
    return warn(
      `${refused.length} version(s) were refused here, such as ${digest.slice(0, 19)}: ${first.reason}`,
      'Tell the operator; `hv sync --force` tries again.',
    );
  },

  loaded: async (ctx) => {
    const answers = await askClient(ctx);
    if (answers === null) return ok('Claude Code was not asked what it loads');
    const [bad] = [...answers].filter(([, errors]) => errors.length > 0);
    return bad === undefined
      ? ok(`Claude Code loads ${answers.size} of ours without errors`)
      : fail(
          `Claude Code does not load ${bad[0]}: ${bad[1][0]}`,
          `Run \`hv rollback ${bad[0]}\` or \`hv doctor --fix\`.`,
        );
  },

  claude: async (ctx) => {
    const version = await claudeVersion(ctx);
    return version === null
      ? warn('`claude` is not in PATH', 'Install Claude Code, or run doctor where it is in PATH.')
      : ok(`Claude Code ${version}`);
  },
};

async function addressOrNull(ctx: ClientContext): Promise<string | null> {
  try {
    return await hubAddress(ctx);
  } catch (thrown) {
    if (thrown instanceof HaiveError && thrown.code === 'HUB_NOT_CONFIGURED') return null;
    throw thrown;
  }
}

interface Settings {
  extraKnownMarketplaces?: Record<string, unknown>;
  enabledPlugins?: Record<string, unknown>;
}

async function readSettings(ctx: ClientContext): Promise<Settings | null | 'invalid'> {
  const bytes = await readFileOrNull(ctx.machine.paths.settings);
  if (bytes === null) return null;
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8').replace(/^\uFEFF/, ''));
    return typeof value === 'object' && value !== null ? (value as Settings) : 'invalid';
  } catch {
    return 'invalid';
  }
}

async function claudeVersion(ctx: ClientContext): Promise<string | null> {
  const file = await findClaude(ctx.env);
  if (file === null) return null;
  return runClaude(ctx.env, file, ['--version'], 10_000).then(
    (stdout) => stdout.trim().split(' ')[0] ?? '?',
    () => '(version unknown)',
  );
}
