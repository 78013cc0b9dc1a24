import { HaiveError } from '../../domain/errors.ts';
import { readText } from '../files/text-file.ts';
import type { Machine } from '../machine.ts';
import { KNOWN, leadsElsewhere, MARKETPLACE } from './marketplace.ts';
import { getKeyText } from './settings-edit.ts';

/** A person's own marketplace that is called as ours is: it stays theirs. */
export interface ForeignMarketplace {
  /** Which of Claude Code's files names it. */
  file: string;
  /** Where it leads, for people. */
  leadsTo: string;
}

/**
 * Somebody else's marketplace of our name, as settings.json or the client's own list has it; null where there is none. Reads only.
 * @throws HaiveError SETTINGS_INVALID for settings.json, READ_ONLY, IO_ERROR
 */
export async function foreignMarketplace(m: Machine): Promise<ForeignMarketplace | null> {
  const { settings, knownMarketplaces } = m.paths;
  const declared = await lookIn(settings, KNOWN);
  // The client loads from what it has noted, whatever the settings say; a list that it cannot read itself decides nothing.
  return declared ?? (await lookIn(knownMarketplaces, [MARKETPLACE]).catch(unlessInvalid));
}

async function lookIn(file: string, path: readonly string[]): Promise<ForeignMarketplace | null> {
  const text = await readText(file);
  const leadsTo = text === null ? null : leadsElsewhere(getKeyText(text, path, file));
  return leadsTo === null ? null : { file, leadsTo };
}

function unlessInvalid(error: unknown): null {
  if (error instanceof HaiveError && error.code === 'SETTINGS_INVALID') return null;
  throw error;
}

/**
 * Refuses where our marketplace would have to take the place of another.
 * @throws HaiveError NAME_CLASH, and those of foreignMarketplace
 */
export async function refuseForeignMarketplace(m: Machine): Promise<void> {
  const foreign = await foreignMarketplace(m);
  if (foreign === null) return;
  throw new HaiveError('NAME_CLASH', foreignText(foreign), { details: { ...foreign }, hint: FOREIGN_HINT });
}

export const foreignText = ({ file, leadsTo }: ForeignMarketplace): string =>
  `${file} has a marketplace \`${MARKETPLACE}\` of somebody else's (${leadsTo}), and ours must be called so`;

export const FOREIGN_HINT = `Give yours another name (\`claude plugin marketplace remove ${MARKETPLACE}\` and add it again), or run \`hv config set layout loose\`, which needs no marketplace.`;
