import type * as z from 'zod';
import type { Progress } from '../contract/messages.ts';
import type { EventRecord } from '../storage/queries/events.ts';
import type { Store } from '../storage/store.ts';
import { isOperator } from './auth.ts';
import type { Principal } from './context.ts';
import { isOwnAffair, maySee } from './registry/access.ts';
import { type Catalogue, type CatalogueVersion, loadCatalogue } from './registry/snapshot.ts';

/** What one caller hears of what happens. Operators hear all, others nothing that lists and pages keep from them. */
export interface Hearing {
  /** The event as this caller may see it; null when it is none of theirs. */
  event(event: EventRecord): EventRecord | null;
  progress(told: z.output<typeof Progress>): boolean;
}

const EVERYTHING: Hearing = { event: (event) => event, progress: () => true };

/** True for a caller whose hearing asks the catalogue. */
export function hearsPart(principal: Principal): boolean {
  return !isOperator(principal);
}

/** By the registry as it is now: for what was read before this is asked. */
export const hearingNow = async (store: Store, principal: Principal): Promise<Hearing> =>
  hearingOf(principal, hearsPart(principal) ? await loadCatalogue(store) : undefined);

/** @param catalogue not older than what is to be heard; only for who `hearsPart` */
export function hearingOf(principal: Principal, catalogue: Catalogue | undefined): Hearing {
  if (!hearsPart(principal)) return EVERYTHING;
  const knows = (version: CatalogueVersion | undefined): boolean => version !== undefined && maySee(principal, version);
  const knowsId = (id: unknown): boolean => knows(catalogue?.byId.get(String(id)));
  /** A name that the registry does not have is no secret of its own. */
  const knowsName = (name: unknown): boolean => {
    const versions = catalogue?.plugins.get(String(name));
    return catalogue !== undefined && (versions === undefined || versions.some(knows));
  };

  function ofVersions(event: EventRecord): EventRecord | null {
    const { id, ids, versions } = event.data;
    if (!Array.isArray(ids)) return knowsId(id) ? event : null;
    const known = ids.flatMap((one, at) => (knowsId(one) ? [at] : []));
    if (known.length === 0) return null;
    const those = (list: unknown) => (Array.isArray(list) ? known.map((at) => list[at] as unknown) : list);
    return { ...event, data: { ...event.data, ids: those(ids), versions: those(versions) } };
  }

  function ofMachines(event: EventRecord): EventRecord | null {
    const { plugin, name, tokens: _, ...data } = event.data;
    if (!event.type.startsWith('machine.') && !knowsName(plugin ?? name)) return null;
    const shown = { ...event, data: { ...data, ...(plugin ? { plugin } : {}), ...(name ? { name } : {}) } };
    const { machineId } = principal;
    if (machineId === null) return shown;
    const { machine_id, machine_ids } = data;
    if (machine_id === machineId) return shown;
    if (!Array.isArray(machine_ids) || !machine_ids.includes(machineId)) return null;
    return { ...shown, data: { ...shown.data, machine_ids: [machineId] } };
  }

  /** A set is the affair of its machine and of operators; what stood there before holds their words. */
  function ofSet(event: EventRecord): EventRecord | null {
    if (principal.machineId === null || event.data.machine_id !== principal.machineId) return null;
    const { before: _, ...data } = event.data;
    return { ...event, data };
  }

  return {
    event(event) {
      const { type } = event;
      if (isBeforeOffer(event)) return knowsOwn(event) ? event : null;
      if (type.startsWith('plugin.')) return ofVersions(event);
      if (type.startsWith('set.')) return ofSet(event);
      if (OF_MACHINES.test(type)) return ofMachines(event);
      return OF_ALL.has(type) ? event : null;
    },
    progress: ({ plugin, version }) => {
      const versions = catalogue?.plugins.get(plugin)?.filter((v) => v.version === version) ?? [];
      return catalogue !== undefined && versions.every(knows);
    },
  };

  function knowsOwn({ data }: EventRecord): boolean {
    const version = catalogue?.byId.get(String(data.id));
    return version !== undefined && isOwnAffair(principal, version);
  }
}

/** What comes before a version is offered is its publisher's and the operators' affair, also once others know the version. */
const isBeforeOffer = ({ type, data }: EventRecord): boolean =>
  BEFORE_OFFER.has(type) || (type === 'plugin.approved' && Array.isArray(data.groups) && data.groups.length === 0);
const BEFORE_OFFER = new Set(['plugin.registered', 'plugin.held', 'plugin.rejected', 'surface.accepted']);
const OF_MACHINES = /^(machine|override|install|uninstall)\./;
/** What every plan, or `GET /api/keys` and `GET /api/groups`, says to all. */
const OF_ALL = new Set(['key.rotated', 'key.revoked', 'hub.epoch', 'group.approvals']);
