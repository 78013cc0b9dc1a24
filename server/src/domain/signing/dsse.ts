import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { HaiveError } from '../errors.ts';

/** Dead Simple Signing Envelope (DSSE v1) with Ed25519 keys. */
export interface Envelope {
  payloadType: string;
  /** Base64 of the payload's bytes. */
  payload: string;
  signatures: { keyid: string; sig: string }[];
}

/** The raw 32 bytes of an Ed25519 public key, base64. */
export type PublicKey = string;

const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/** First 32 hex digits of the sha256 of the raw public key. */
export function keyIdOf(publicKey: PublicKey): string {
  return createHash('sha256').update(Buffer.from(publicKey, 'base64')).digest('hex').slice(0, 32);
}

/** A new key pair: the private half as PKCS#8 PEM, the public half raw in base64. */
export function createKeyPair(): { privatePem: string; publicKey: PublicKey } {
  const pair = generateKeyPairSync('ed25519');
  return {
    privatePem: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKey: rawPublicKey(pair.publicKey),
  };
}

/** The public half of a PEM private key, raw in base64. */
export function publicKeyOf(privatePem: string): PublicKey {
  return signer(privatePem).publicKey;
}

function rawPublicKey(key: KeyObject): PublicKey {
  return key.export({ type: 'spki', format: 'der' }).subarray(SPKI_PREFIX.length).toString('base64');
}

/** DSSE pre-authentication encoding: what is really signed. */
function preAuth(payloadType: string, payload: Buffer): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `;
  return Buffer.concat([Buffer.from(head), payload]);
}

/** Signs a JSON value with a PKCS#8 PEM Ed25519 key. */
export function sealJson(payloadType: string, value: unknown, privatePem: string): Envelope {
  const payload = Buffer.from(JSON.stringify(value));
  const { key, keyid } = signer(privatePem);
  const sig = sign(null, preAuth(payloadType, payload), key).toString('base64');
  return { payloadType, payload: payload.toString('base64'), signatures: [{ keyid, sig }] };
}

interface Signer {
  key: KeyObject;
  publicKey: PublicKey;
  keyid: string;
}

// Reading a key costs more than signing with it, and a hub signs with one key all day.
const signers = new Map<string, Signer>();

function signer(pem: string): Signer {
  const known = signers.get(pem);
  if (known !== undefined) return known;
  const key = createPrivateKey(pem);
  const publicKey = rawPublicKey(createPublicKey(key));
  const read = { key, publicKey, keyid: keyIdOf(publicKey) };
  if (signers.size >= 10) signers.clear();
  signers.set(pem, read);
  return read;
}

/** A signature over plain text, base64. Whoever signs text begins it with what it is for. */
export function signText(text: string, privatePem: string): string {
  return sign(null, Buffer.from(text), signer(privatePem).key).toString('base64');
}

/** Whether `signText` made this signature with the key's other half. */
export const textHolds = (publicKey: PublicKey, text: string, sig: string): boolean =>
  verifies(publicKey, Buffer.from(text), sig);

/** The payload without any check of the signature: for showing, never for trusting. */
export function peekJson(envelope: Envelope): unknown {
  try {
    return JSON.parse(Buffer.from(envelope.payload, 'base64').toString('utf8'));
  } catch (cause) {
    throw new HaiveError('SIGNATURE_INVALID', 'The envelope holds no JSON', { cause });
  }
}

/**
 * The payload, once one signature by one of `trusted` holds over this payload type.
 * @throws HaiveError SIGNATURE_INVALID
 */
export function openJson(
  envelope: Envelope,
  payloadType: string,
  trusted: readonly PublicKey[],
): { value: unknown; keyid: string } {
  if (envelope.payloadType !== payloadType) {
    throw new HaiveError('SIGNATURE_INVALID', `Expected ${payloadType}, got ${envelope.payloadType}`);
  }
  const bytes = preAuth(payloadType, Buffer.from(envelope.payload, 'base64'));
  for (const publicKey of trusted) {
    const keyid = keyIdOf(publicKey);
    for (const signature of envelope.signatures) {
      if (signature.keyid === keyid && verifies(publicKey, bytes, signature.sig))
        return { value: peekJson(envelope), keyid };
    }
  }
  const by = envelope.signatures.map((s) => s.keyid).join(', ') || 'nobody';
  throw new HaiveError('SIGNATURE_INVALID', `No valid signature by a trusted key (signed by ${by})`);
}

function verifies(publicKey: PublicKey, bytes: Buffer, sig: string): boolean {
  const key = verifier(publicKey);
  return key !== null && verify(null, bytes, key, Buffer.from(sig, 'base64'));
}

const verifiers = new Map<PublicKey, KeyObject>();

/** Null for what is no key. */
function verifier(publicKey: PublicKey): KeyObject | null {
  const known = verifiers.get(publicKey);
  if (known !== undefined) return known;
  const raw = Buffer.from(publicKey, 'base64');
  if (raw.length !== 32) return null;
  const key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: 'der', type: 'spki' });
  if (verifiers.size >= 100) verifiers.clear();
  verifiers.set(publicKey, key);
  return key;
}
