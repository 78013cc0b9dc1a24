import { mayUse } from '../../contract/roles.ts';
import { HaiveError } from '../../domain/errors.ts';
import { CORE, lookOf, nameMatches } from '../../domain/names.ts';
import { findMachine, type MachineRecord } from '../../storage/queries/machines.ts';
import type { Tx } from '../../storage/tables/index.ts';
import { isOperator } from '../auth.ts';
import type { Principal } from '../context.ts';
import { HUB_ITSELF } from '../first-start.ts';
import type { Catalogue, CatalogueVersion } from './snapshot.ts';

type Registrant = Pick<CatalogueVersion, 'publisher' | 'publisherToken'>;

/**
 * What was offered once is known to all who read; what ships with the hub to all who may register; what else never was offered, also
 * when it was sent back or deleted, as `isOwnAffair` says.
 */
export function maySee(principal: Principal, version: Registrant & Pick<CatalogueVersion, 'publishedAt'>): boolean {
  if (version.publishedAt) return true;
  return isOwnAffair(principal, version) || (shipsWithHub(version) && mayRegister(principal));
}

const shipsWithHub = ({ publisherToken }: Registrant): boolean => publisherToken === HUB_ITSELF.tokenId;

/** Whether a caller may be told that a version waits to be published: what ships with the hub is no secret of anybody's. */
export const mayHearOf = (principal: Principal, version: CatalogueVersion): boolean =>
  maySee(principal, version) || shipsWithHub(version);

/** True for operators and for whoever registered the version. */
export function isOwnAffair(principal: Principal, version: Registrant): boolean {
  return isOperator(principal) || isPublisherOf(principal, version);
}

/** Only for who may register: machines choose their names. */
function isPublisherOf(principal: Principal, version: Registrant): boolean {
  return mayRegister(principal) && hasRegistered(principal, version);
}

function mayRegister({ machineId, roles }: Principal): boolean {
  return machineId === null && mayUse(roles, ['publisher', 'contributor']);
}

/** The same text for callers to whom maySee always answers the same; what was chosen for one of them is good for all. */
export function sightOf(principal: Principal): string {
  if (isOperator(principal)) return 'operator';
  return mayRegister(principal) ? `${principal.origin ?? principal.tokenId} ${principal.name}` : 'everybody';
}

/** Whether a version was registered with the caller's token; of old versions only the name is known. */
export function hasRegistered(principal: Principal, { publisher, publisherToken }: Registrant): boolean {
  if (publisherToken === null) return publisher === principal.name;
  return publisherToken === (principal.origin ?? principal.tokenId);
}

/** @throws HaiveError FORBIDDEN when the token's name pattern does not cover the plugin, or only an operator may touch it */
export function requireName(principal: Principal, name: string): void {
  if (isOperator(principal)) return;
  // it runs on every machine with the right to change all others
  if (name === CORE) throw new HaiveError('FORBIDDEN', `${CORE} is published by operators only`);
  if (principal.namePattern === null || principal.namePattern.split(',').some((p) => nameMatches(p, name))) return;
  throw new HaiveError('FORBIDDEN', `This token may act on plugins named ${principal.namePattern}, not on ${name}`, {
    hint: 'Choose a name that fits, or ask an admin for a token of another pattern (`hv token create --pattern`).',
  });
}

/**
 * A new name must not pass for one that is there. An operator may, who knows both.
 * @throws HaiveError NAME_CONFUSING
 */
export function refuseLookalike(catalogue: Pick<Catalogue, 'plugins'>, principal: Principal, name: string): void {
  if (isOperator(principal) || catalogue.plugins.has(name)) return;
  const look = lookOf(name);
  for (const other of catalogue.plugins.keys()) {
    if (lookOf(other) !== look) continue;
    throw new HaiveError('NAME_CONFUSING', `${name} looks like ${other}, which is another plugin`, {
      details: { name, other },
    });
  }
}

/** @throws HaiveError FORBIDDEN when the caller's roles are not enough to publish (a contributor only registers) */
export function requirePublisher(principal: Principal): void {
  if (isOperator(principal) || principal.roles.includes('publisher')) return;
  throw new HaiveError('FORBIDDEN', 'Publishing needs the role operator or publisher', {
    hint: 'Use a token with a role that the message names.',
  });
}

/**
 * The machine a call is about: any for an operator, only itself for a machine's token (`me`, its id or its name).
 * @throws HaiveError MACHINE_NOT_FOUND, FORBIDDEN
 */
export async function requireMachine(tx: Tx, principal: Principal, ref: string): Promise<MachineRecord> {
  const found = await findMachine(tx, ref === 'me' && principal.machineId !== null ? principal.machineId : ref);
  if (isOperator(principal)) {
    if (found !== undefined) return found;
    throw new HaiveError('MACHINE_NOT_FOUND', `There is no machine ${ref}`);
  }
  // A machine learns nothing of the others, not even whether they exist.
  if (found === undefined || found.id !== principal.machineId) {
    throw new HaiveError('FORBIDDEN', 'A machine may act only on itself');
  }
  return found;
}
