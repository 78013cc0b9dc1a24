import { createHash } from 'node:crypto';
import { type PublicKey, signText, textHolds } from './dsse.ts';

/**
 * What a machine adds to its token: a signature with the key that it made at join, over one question at one moment. Whoever has only
 * the token can ask nothing but "is it still this?".
 */

export const PROOF_HEADER = 'haivemind-proof';

/** Seconds that the two clocks may differ. */
export const PROOF_SECONDS = 300;

export interface Question {
  method: string;
  /** As sent, with its query, without what stands before it in the hub's address. */
  path: string;
  /** The token that goes with it: one hub's word for one machine. */
  token: string;
}

function signedText({ method, path, token }: Question, seconds: number): string {
  const secret = createHash('sha256').update(token).digest('hex');
  return ['haivemind-proof-v1', method.toUpperCase(), path, String(seconds), secret].join('\n');
}

/** The header's value. @param at the hub's time, as far as it is known here */
export function signProof(privatePem: string, question: Question, at: Date): string {
  const seconds = Math.floor(at.getTime() / 1000);
  return `${seconds}.${signText(signedText(question, seconds), privatePem)}`;
}

/** Null when the proof holds, otherwise what is wrong with it. */
export function whyNoProof(
  publicKey: PublicKey,
  question: Question,
  proof: string | undefined,
  now: Date,
): 'missing' | 'malformed' | 'stale' | 'wrong' | null {
  if (proof === undefined || proof === '') return 'missing';
  const [, digits, signature] = /^([0-9]{1,12})\.([A-Za-z0-9+/]{86}==)$/.exec(proof) ?? [];
  if (digits === undefined || signature === undefined) return 'malformed';
  const seconds = Number(digits);
  if (Math.abs(now.getTime() / 1000 - seconds) > PROOF_SECONDS) return 'stale';
  return textHolds(publicKey, signedText(question, seconds), signature) ? null : 'wrong';
}
