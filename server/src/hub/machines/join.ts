import { ENDPOINTS } from '../../contract/endpoints.ts';
import { HaiveError } from '../../domain/errors.ts';
import { checkGroupsOfMachine } from '../../domain/names.ts';
import { PROOF_HEADER } from '../../domain/signing/machine-proof.ts';
import { isUniqueViolation } from '../../storage/dialect.ts';
import { machineKeyOf, putMachineKey } from '../../storage/queries/machine-keys.ts';
import {
  findMachine,
  insertMachine,
  type MachineRecord,
  setMachineCapabilities,
  setMachineGroups,
  updateMachineFacts,
} from '../../storage/queries/machines.ts';
import { findTokenByHash, insertToken, revokeMachineTokens } from '../../storage/queries/tokens.ts';
import type { Tx } from '../../storage/tables/index.ts';
import { type Change, change } from '../change.ts';
import type { Call, Principal, UseCase } from '../context.ts';
import { hubFacts } from '../identity.ts';
import { hashSecret, newId, newSecret } from '../secrets.ts';
import { sortedUnique } from '../sorted-unique.ts';
import { groupsThatBind } from '../trust/quorums.ts';
import { useJoinToken } from '../trust/token-limits.ts';
import { tokenIdsOf } from './machines.ts';
import { holdsProof, proofMissing } from './proof.ts';

/**
 * Makes a machine and its token. A machine that shows its own earlier token, or its key, gets its name back with a new one: by the key
 * alone comes one whose join failed on its own side after the hub had taken it in.
 * @throws HaiveError NAME_TAKEN, NAME_RESERVED, NAME_INVALID for what no group may be called
 */
export const join: UseCase<'join'> = async (hub, call) => {
  const { body, principal } = call;
  if (body.name === 'me' || body.name.startsWith('machine_')) {
    throw new HaiveError('NAME_RESERVED', `A machine cannot be called ${body.name}`);
  }
  const secret = newSecret();
  try {
    const { result } = await change(hub, principal, async (step) => {
      const known = await findMachine(step.tx, body.name);
      const key = known === undefined ? undefined : await machineKeyOf(step.tx, known.id);
      // Whether it holds that key is looked at below.
      const showsKey = key !== undefined && key === body.public_key;
      if (known !== undefined && !showsKey && !(await isOwnToken(step.tx, known.id, body.machine_token))) {
        throw new HaiveError('NAME_TAKEN', `A machine called ${body.name} has joined already`, {
          hint: `Choose another name with --name, or remove that machine first: hv machines remove ${body.name}`,
        });
      }
      // Not even the machine's own token takes its place without its key.
      const proves = (publicKey: string): boolean =>
        holdsProof(publicKey, { ...JOIN, headers: headersOf(call) }, new Date(step.at));
      for (const due of new Set([key, body.public_key]))
        if (due !== undefined && !proves(due)) throw proofMissing(new Date(step.at));
      checkGroupsOfMachine(body.groups, known?.groups);
      // One that comes back for what it has is not another machine.
      const counts = known === undefined || body.groups.some((group) => !known.groups.includes(group));
      await useJoinToken(step.tx, principal.tokenId, body.groups, counts);
      const ended = known === undefined ? [] : await tokenIdsOf(step.tx, known.id);
      const machine = known === undefined ? await admit(step, body) : await admitAgain(step, known, body, principal);
      if (body.public_key !== undefined) await putMachineKey(step.tx, machine.id, body.public_key, step.at);
      await insertToken(step.tx, {
        id: newId('token'),
        name: machine.name,
        hash: hashSecret(secret),
        roles: ['machine'],
        machineId: machine.id,
        createdAt: step.at,
      });
      const { id, name, groups, capabilities } = machine;
      const data = { machine_id: id, name, groups, capabilities, again: known !== undefined, tokens: ended };
      return { result: { id, name, groups, capabilities }, trace: { type: 'machine.joined', target: name, data } };
    });
    return { machine: result, token: secret, hub: await hubFacts(hub) };
  } catch (thrown) {
    if (!isUniqueViolation(thrown)) throw thrown;
    throw new HaiveError('NAME_TAKEN', `A machine called ${body.name} has joined already`, { cause: thrown });
  }
};

const JOIN = { method: ENDPOINTS.join.method, url: ENDPOINTS.join.path };

const headersOf = (call: Call<'join'>) => ({
  authorization: call.header('authorization'),
  [PROOF_HEADER]: call.header(PROOF_HEADER),
});

type Wish = Call<'join'>['body'];
type Admitted = Pick<MachineRecord, 'id' | 'name' | 'groups' | 'capabilities'>;

async function admit({ tx, at }: Change, wish: Wish): Promise<Admitted> {
  const machine = {
    id: newId('machine'),
    name: wish.name,
    platform: wish.platform,
    haivemindVersion: wish.haivemind_version,
    joinedAt: at,
    groups: sortedUnique(wish.groups),
    capabilities: sortedUnique(wish.capabilities),
  };
  await insertMachine(tx, machine);
  return machine;
}

/** Groups and capabilities that the machine does not name again stay as they were, and so do groups that bind it where it names none that demand as much. */
async function admitAgain({ tx, at }: Change, known: MachineRecord, wish: Wish, by: Principal): Promise<Admitted> {
  const kept = wish.groups.length > 0 ? await groupsThatBind(tx, by, known.groups, wish.groups) : known.groups;
  const groups = sortedUnique([...wish.groups, ...kept]);
  const capabilities = wish.capabilities.length > 0 ? sortedUnique(wish.capabilities) : known.capabilities;
  await revokeMachineTokens(tx, known.id, at);
  await updateMachineFacts(tx, known.id, {
    platform: wish.platform,
    haivemindVersion: wish.haivemind_version,
    lastSeen: at,
  });
  await setMachineGroups(tx, known.id, groups);
  await setMachineCapabilities(tx, known.id, capabilities);
  return { id: known.id, name: known.name, groups, capabilities };
}

async function isOwnToken(tx: Tx, machineId: string, secret: string | undefined): Promise<boolean> {
  if (secret === undefined) return false;
  const token = await findTokenByHash(tx, hashSecret(secret));
  return token !== undefined && token.machineId === machineId && token.revokedAt === null;
}
