import { HaiveError } from '../../domain/errors.ts';
import type { Picked } from '../../domain/plan/pick-changes.ts';
import { planChange } from '../../machine/change/plan-change.ts';
import type { Layout, Receipts } from '../../machine/receipts/index.ts';
import type { ClientContext } from '../context.ts';
import { checkBeforeInstall } from '../install/preflight.ts';
import { lastRefusal, type Refused, refusedWith } from '../local-audit.ts';

/** The layout that the configuration asks for, where plugins lie in another one. */

export const LAYOUT_KEY = 'plugins.layout';

/** A switch that was refused, in the form of a problem: everything stays as it lies. */
export interface LayoutRefusal {
  name: typeof LAYOUT_KEY;
  code: string;
  message: string;
  hint: string;
}

/** Where plugins lie, and where they should. */
export interface Switch {
  present: Layout;
  wanted: Layout;
}

type Reason = Omit<LayoutRefusal, 'name'>;

export function layoutRefusal({ present, wanted }: Switch, { code, message, hint }: Reason): LayoutRefusal {
  const what = `the layout ${wanted} is wanted here and was refused, ${present} stays`;
  return { name: LAYOUT_KEY, code, message: `${what}: ${message}`, hint };
}

/** The same for the machine's own history. */
export const noteOfRefusal = ({ present, wanted }: Switch, reason: Reason): Refused =>
  refusedWith(reason, { target: LAYOUT_KEY, from: null, before: { layout: present }, after: { layout: wanted } });

/** Whether plugins lie here otherwise than in the `wanted` layout. */
export const isSwitch = ({ layout, plugins }: Receipts, wanted: Layout): boolean =>
  layout !== wanted && Object.keys(plugins).length > 0;

/**
 * Why the last sync left plugins in another layout than the configuration wants. Null where they lie as wanted, and where none
 * has tried yet.
 * @throws HaiveError IO_ERROR
 */
export async function whyNotSwitched(ctx: ClientContext, receipts: Receipts): Promise<LayoutRefusal | null> {
  const wanted = ctx.config.plugins.layout;
  if (!isSwitch(receipts, wanted)) return null;
  const last = await lastRefusal<{ layout: Layout }>(ctx.machine, LAYOUT_KEY);
  return last?.after.layout === wanted ? layoutRefusal({ present: receipts.layout, wanted }, last) : null;
}

/**
 * Why a sync would leave plugins in the layout they lie in, as far as that can be told without what it would fetch. Changes nothing.
 * @returns null where they would be switched
 * @throws what is no HaiveError
 */
export async function foreseenRefusal(
  ctx: ClientContext,
  receipts: Receipts,
  { install, remove }: Picked,
): Promise<LayoutRefusal | null> {
  const wanted = ctx.config.plugins.layout;
  try {
    await checkBeforeInstall(ctx, wanted);
    const away = [...remove, ...install.map((entry) => entry.name)].filter(
      (name) => receipts.plugins[name] !== undefined,
    );
    await planChange(ctx.machine, receipts, { install: [], remove: away, reason: 'sync', layout: wanted });
    return null;
  } catch (thrown) {
    if (!(thrown instanceof HaiveError)) throw thrown;
    return layoutRefusal({ present: receipts.layout, wanted }, thrown);
  }
}
