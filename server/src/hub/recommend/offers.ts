import { desiredState } from '../../domain/desired/desired-state.ts';
import type { MachineFacts } from '../../domain/desired/registry.ts';
import type { Principal } from '../context.ts';
import { listedHead } from '../registry/list.ts';
import type { Catalogue, CatalogueVersion } from '../registry/snapshot.ts';

/** What may be advised, by name: published, seen by the caller, and fit for the machine where there is one. */
export interface Offers {
  head(name: string): CatalogueVersion | undefined;
  /** Whether an order would really bring it: its dependencies are there and fit what the machine has. */
  comes(name: string): boolean;
}

export function openOffers(catalogue: Catalogue, principal: Principal, facts: MachineFacts | undefined): Offers {
  const listed = listedHead(catalogue, principal, { status: 'published' });
  if (facts === undefined) return { head: listed, comes: () => true };
  const taken = new Set([
    ...facts.installed.map((p) => p.name),
    ...desiredState(catalogue, facts).plugins.map((p) => p.name),
    ...facts.overrides.filter((o) => o.kind === 'exclude').map((o) => o.name),
  ]);
  const fits = ({ machineGroups, requiredCapabilities }: CatalogueVersion) =>
    (machineGroups.length === 0 || machineGroups.some((g) => facts.groups.includes(g))) &&
    requiredCapabilities.every((c) => facts.capabilities.includes(c));
  return {
    head(name) {
      const head = taken.has(name) ? undefined : listed(name);
      return head !== undefined && fits(head) ? head : undefined;
    },
    comes(name) {
      const order = { name, kind: 'install' as const, range: '*', force: null, byOperator: false };
      return desiredState(catalogue, { ...facts, overrides: [...facts.overrides, order] }).plugins.some(
        (p) => p.name === name,
      );
    },
  };
}
