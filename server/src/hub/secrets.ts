import { createHash, randomBytes } from 'node:crypto';

const PREFIX = 'hvt_';
const SHAPE = /^hvt_[A-Za-z0-9_-]{43}$/;

/** A new token secret: `hvt_` and 32 random bytes in base64url. */
export function newSecret(): string {
  return PREFIX + randomBytes(32).toString('base64url');
}

/** What is stored of a secret: its sha256 in hex. The secret has 256 random bits, so that no salt is needed. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** True for a text that could be a token secret. */
export function looksLikeSecret(text: string): boolean {
  return SHAPE.test(text);
}

/** A new id such as `machine_3f9a0c…`: a kind and 96 random bits. */
export function newId(kind: string): string {
  return `${kind}_${randomBytes(12).toString('hex')}`;
}
