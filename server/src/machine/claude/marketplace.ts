import { CORE } from '../../domain/names.ts';
import type { Machine } from '../machine.ts';
import type { Receipts } from '../receipts/index.ts';

/** Our directory marketplace, as the client knows it. */
export const MARKETPLACE = 'collective';
/** The core as the stock client installs it from its repository's own marketplace. */
export const STOCK_CORE_KEY = `${CORE}@haivemind`;

/** Where settings.json names it. */
export const KNOWN = ['extraKnownMarketplaces', MARKETPLACE];

export function enabledKey(name: string): string {
  return `${name}@${MARKETPLACE}`;
}

/** The value of settings.json `extraKnownMarketplaces.collective`. */
export function marketplaceSetting(m: Machine): Record<string, unknown> {
  return { source: { source: 'directory', path: m.paths.root } };
}

/**
 * Where an entry under our name leads that is not ours, for people; null for none, and for our folder, be it that of another HOME.
 * @param entry JSON as settings.json and the client's list of marketplaces have it
 */
export function leadsElsewhere(entry: string | undefined): string | null {
  if (entry === undefined) return null;
  const value = JSON.parse(entry) as { source?: Record<string, unknown> | null } | null;
  const source = value?.source;
  const place = source?.path ?? source?.repo ?? source?.url;
  if (typeof place !== 'string') return entry;
  return source?.source === 'directory' && /[\\/]\.haivemind[\\/]?$/.test(place) ? null : place;
}

/** The pointer file's text: what is live, from the receipts alone, always the same for the same receipts. */
export function marketplaceText(receipts: Receipts): string {
  const dev = Object.entries(receipts.dev ?? {}).map(([name, tree]) => ({ ...tree, name }));
  const installed = Object.values(receipts.plugins).filter(({ name }) => receipts.dev?.[name] === undefined);
  const plugins = [...installed, ...dev]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, dir, description, version }) => ({ name, source: `./${dir}`, description, version }));
  const owner = { name: 'hAIveMind' };
  return `${JSON.stringify({ name: MARKETPLACE, owner, plugins }, null, 2)}\n`;
}
