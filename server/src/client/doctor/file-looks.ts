import { ERRORS } from '../../domain/errors.ts';
import { journalIsDamaged, readJournal } from '../../machine/change/journal.ts';
import { FOREIGN_HINT, foreignMarketplace, foreignText } from '../../machine/claude/foreign-marketplace.ts';
import { shownTrees } from '../../machine/dev-override.ts';
import { inspect } from '../../machine/drift.ts';
import { readFileOrNull, statOf } from '../../machine/files/file-port.ts';
import { missingLinks } from '../../machine/links.ts';
import { movedSets } from '../../machine/moved-away.ts';
import { misplaced } from '../../machine/places.ts';
import { hostIdentity } from '../../machine/processes/host-identity.ts';
import { readReceipts } from '../../machine/receipts/index.ts';
import { areReceiptsLost } from '../../machine/receipts/regain.ts';
import type { ClientContext } from '../context.ts';
import { forbiddenBy } from '../install/preflight.ts';
import { localAudit } from '../local-audit.ts';
import { isSwitch, whyNotSwitched } from '../sync/layout-wish.ts';
import { readTrust } from '../trust/publisher-keys.ts';
import { fail, type Looks, ok, warn } from './found.ts';
import { findTampering } from './mend.ts';

/** What lies in HOME: the client's settings, our keys and folders, and changes that were interrupted. */
export const FILE_LOOKS: Looks = {
  places: async ({ machine }) => {
    const wrong = misplaced(machine);
    return wrong.length === 0
      ? ok('our files are files, our folders are folders')
      : fail(
          wrong.map(({ path, is }) => `${path} is a ${is}`).join(', '),
          'Run `hv doctor --fix`: it puts what lies there aside.',
        );
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
    const foreign = ctx.config.plugins.layout === 'loose' ? null : await foreignMarketplace(ctx.machine);
    if (foreign !== null) return fail(foreignText(foreign), FOREIGN_HINT);
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

  layout: async (ctx) => {
    const receipts = await readReceipts(ctx.machine);
    const wanted = ctx.config.plugins.layout;
    if (!isSwitch(receipts, wanted)) return ok(`plugins lie as configured: ${wanted}`);
    const refused = await whyNotSwitched(ctx, receipts);
    return refused === null
      ? warn(`plugins lie in the layout ${receipts.layout}, ${wanted} is wanted`, 'Run `hv sync`.')
      : warn(`${refused.code}: ${refused.message}`, refused.hint);
  },

  plugins: async (ctx) => {
    const { plan, receipts } = ctx.machine.paths;
    // Kept with every plan that was acted on: both go only with all the rest.
    if (ctx.config.plan !== undefined && statOf(plan) === null && statOf(receipts) === null) {
      return fail(`${ctx.machine.paths.root} was deleted, or what lay in it`, 'Run `hv doctor --fix`.');
    }
    if (await areReceiptsLost(ctx.machine)) {
      return fail(
        'receipts.json is gone: nothing says any more what is installed',
        'Run `hv doctor --fix`: it finds it out.',
      );
    }
    const rows = await inspect(ctx.machine);
    const broken = rows.filter((p) => p.state === 'missing' || p.state === 'damaged');
    if (broken.length > 0) {
      const what = broken.map(({ name, unexecutable }) =>
        unexecutable.length === 0 ? name : `${name} (not executable any more: ${unexecutable.join(', ')})`,
      );
      return fail(`Files are gone or damaged: ${what.join(', ')}`, 'Run `hv doctor --fix`.');
    }
    const edited = rows.filter((p) => p.state === 'edited').map((p) => p.name);
    const off = rows.filter((p) => p.state === 'disabled').map((p) => p.name);
    const shown = shownTrees(await readReceipts(ctx.machine));
    const notes = [
      ...(shown.length > 0 ? [`shown by \`hv dev\`: ${shown.join(', ')} (\`hv dev --stop\` ends it)`] : []),
      ...(edited.length > 0 ? [`edited here: ${edited.join(', ')}`] : []),
      ...(off.length > 0 ? [`disabled: ${off.join(', ')}`] : []),
    ];
    return ok([`${rows.length} installed as the receipts say`, ...notes].join('; '));
  },

  links: async ({ machine }) => {
    const gone = await missingLinks(machine, await readReceipts(machine));
    return gone.length === 0
      ? ok('links for people are in place')
      : warn(`Links are gone: ${gone.join(', ')}`, 'Run `hv doctor --fix`; plugins load without them.');
  },

  journal: async ({ machine }) => {
    if (await journalIsDamaged(machine)) {
      return fail(
        `${machine.paths.journal} is damaged`,
        'Run `hv doctor --fix`: it puts the file aside and looks at what is installed.',
      );
    }
    return (await readJournal(machine)) === null
      ? ok('no interrupted change')
      : warn('A change was interrupted', 'Run `hv doctor --fix` (or any sync): it is finished or undone.');
  },

  history: async (ctx) => {
    const { brokenAt } = (await localAudit(ctx)).proof;
    return brokenAt === null
      ? ok('the history of this machine is as it was written')
      : warn(
          `The history of this machine is not as it was written, from entry ${brokenAt} on`,
          '`hv audit --local --verify` shows it; what is installed does not depend on it.',
        );
  },

  migration: async (ctx) => {
    const [open] = (await movedSets(ctx.machine)).filter(({ state }) => state.state !== 'done');
    return open === undefined
      ? ok('no `hv migrate` was interrupted')
      : warn(
          `\`hv migrate\` was interrupted: what ${open.state.plugin} replaces is still there`,
          'Run `hv doctor --fix`, or `hv backups restore` to take the move back.',
        );
  },

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
};

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
