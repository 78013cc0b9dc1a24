import { HaiveError } from './errors.ts';
import { type Envelope, openJson, type PublicKey, peekJson, sealJson } from './signing/dsse.ts';

/**
 * What an operator's key signs, away from the hub: that somebody looked at certain bytes, and that a restored hub may begin
 * a new epoch. The hub carries these words; it cannot make them.
 */

const APPROVAL_TYPE = 'application/vnd.haivemind.approval+json';
const EPOCH_TYPE = 'application/vnd.haivemind.epoch+json';
const ROTATION_TYPE = 'application/vnd.haivemind.key-rotation+json';

/** What waits for an approval; docs/configuration.md describes each. */
export const APPROVAL_MODES = ['never', 'widening', 'code', 'always'] as const;

export interface Approval {
  hub: string;
  name: string;
  version: string;
  digest: string;
  /** Passes a machine's minimum age: an emergency. */
  urgent: boolean;
  /** ISO-8601. */
  at: string;
}

export function signApproval(approval: Approval, operatorPem: string): Envelope {
  return sealJson(APPROVAL_TYPE, approval, operatorPem);
}

/**
 * The approval, once an operator's key holds over it and it speaks of these very bytes at this hub.
 * @param operators keys that count; a hub knows none and asks by the one that it is told
 * @throws HaiveError SIGNATURE_INVALID
 */
export function openApproval(
  envelope: Envelope,
  expected: { hub: string; name: string; version: string; digest: string },
  operators: readonly PublicKey[],
): Approval {
  const approval = (openJson(envelope, APPROVAL_TYPE, operators).value ?? {}) as Approval;
  for (const key of ['hub', 'name', 'version', 'digest'] as const) {
    if (approval[key] === expected[key]) continue;
    throw new HaiveError('SIGNATURE_INVALID', `The approval is for ${key} ${approval[key]}, not ${expected[key]}`);
  }
  return approval;
}

export function signEpoch(hub: string, epoch: number, operatorPem: string): Envelope {
  return sealJson(EPOCH_TYPE, { hub, epoch }, operatorPem);
}

/** @throws HaiveError SIGNATURE_INVALID when no operator's key signed this epoch of this hub */
export function checkEpoch(
  envelope: Envelope | undefined,
  hub: string,
  epoch: number,
  operators: readonly PublicKey[],
): void {
  if (envelope === undefined) {
    throw new HaiveError('SIGNATURE_INVALID', `The hub says epoch ${epoch} without an operator's signature`, {
      hint: 'An operator signs it with `hv trust epoch`; until then nothing changes here.',
    });
  }
  isEpochOf(openJson(envelope, EPOCH_TYPE, operators).value, hub, epoch);
}

/**
 * What a hub can see of a signed epoch, as it knows no operator's key: whether machines that know the key could take it.
 * @throws HaiveError SIGNATURE_INVALID when it is none, or another one's
 */
export function peekEpoch(envelope: Envelope, hub: string, epoch: number): void {
  if (envelope.payloadType !== EPOCH_TYPE || envelope.signatures.length === 0) {
    throw new HaiveError('SIGNATURE_INVALID', 'The envelope holds no signed epoch');
  }
  isEpochOf(peekJson(envelope), hub, epoch);
}

function isEpochOf(value: unknown, hub: string, epoch: number): void {
  const said = (value ?? {}) as { hub?: unknown; epoch?: unknown };
  if (said.hub !== hub || said.epoch !== epoch) {
    throw new HaiveError('SIGNATURE_INVALID', `The signed epoch is ${String(said.epoch)} of ${String(said.hub)}`);
  }
}

/** A publisher's old key says which key comes after it at a hub. */
export interface Rotation {
  hub: string;
  /** Public keys, raw base64. */
  from: PublicKey;
  to: PublicKey;
  at: string;
}

export function signRotation(rotation: Rotation, oldPem: string): Envelope {
  return sealJson(ROTATION_TYPE, rotation, oldPem);
}

/** @throws HaiveError SIGNATURE_INVALID when the old key did not say so for this hub */
export function openRotation(envelope: Envelope, hub: string, from: PublicKey): Rotation {
  const rotation = openJson(envelope, ROTATION_TYPE, [from]).value as Rotation;
  if (rotation.hub !== hub || rotation.from !== from || !/^[A-Za-z0-9+/]{43}=$/.test(String(rotation.to))) {
    throw new HaiveError('SIGNATURE_INVALID', 'The statement of rotation is for another hub or key');
  }
  return rotation;
}

/** So many operators, in words. */
export const operatorsInWords = (count: number): string => (count === 1 ? 'an operator' : `${count} operators`);

/** Which groups (or patterns) wait for how many operators, in words. */
export function withheldInWords({ groups, approvals }: { groups: readonly string[]; approvals: number }): string {
  const to = groups.map((group) => (group === '*' ? 'every group' : group)).join(', ');
  return `${to} waits for ${operatorsInWords(approvals)}`;
}
