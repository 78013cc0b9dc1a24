import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { HaiveError } from '../domain/errors.ts';

/**
 * Small messages of the live channel as binary frames: raw deflate with a dictionary that both sides can make. From the hub it is a
 * parcel, frames (contract/frames) of a plan's differences and all that they need; from a machine it is a ClientMessage as JSON.
 */

/** What both sides of a machine's channel know. */
export interface Between {
  hub: string;
  machine: string;
  /** Of the plan that the machine has. */
  etag: string;
}

/** More than that is asked for: what a notification carries has to be small. */
export const MAX_PARCEL = 64 * 1024;
const MAX_UNPACKED = 1024 * 1024;
/** Of the form and the dictionary: the first byte of each message. Who does not know it asks over HTTP instead. */
const VERSION = 1;

/** What such messages are mostly made of; changing a letter of it makes another VERSION. */
const COMMON = [
  '"state":"failed","error":{"code":"","message":""},"edited":true,"removed":[],"holds":[{"name":"","version":""}],"capabilities":[]',
  '{"t":"blob","sha256":"","enc":"identity","n":}\n{"t":"blob","sha256":"","enc":"br","n":}\nd0,0,12\nd2,2,1\n',
  '{"type":"report","id":1,"etag":"\\"","report":{"counter":,"haivemind_version":"1.0.0","partial":true,"removed":[],"plugins":[{"name":"',
  '","digest":"sha256:","state":"verified","install_path":"versions//1.0.0-"}],"holds":[]}}',
  '"approval":{"payloadType":"application/vnd.haivemind.approval+json","payload":"eyJ","signatures":[{"keyid":"","sig":"=="}]}',
  '"revoked":[{"name":"","version":"","digest":"sha256:","reason":""}],"revokedKeys":[""],"force":"',
  '"origin":"explicit","pinned":true,"notify":false,"dependencies":[{"name":"","range":"^1.0.0","kind":"required"}],"status":"deprecated","requiredBy":[""]',
  '{"t":"record","digest":"sha256:","key":"=","base":"sha256:","n":}\n{"signatures":[{"keyid":"","sig":"=="}],"record":{"format":1,"name":"","version":"1.0.1","digest":"sha256:',
  '","files":[[0,3],{"path":".claude-plugin/plugin.json","sha256":"","size":,"executable":false},{"path":"commands/.md","sha256":"","size":1,"executable":false},[1,7]],"imported":false,"packedAt":"2026-',
  '{"t":"plan","etag":"\\"\\"","n":}\n{"payloadType":"application/vnd.haivemind.plan+json","payload":"","signatures":[{"keyid":"","sig":"=="}],"delta":{"base":"',
  '","plan":{"format":1,"hub":"","machine":"","epoch":1,"plugins":[[0,9],{"id":"plugin_","name":"","version":"1.0.1","digest":"sha256:',
  '","origin":"published","pinned":false,"notify":true,"dependencies":[],"status":"published","requiredBy":[],"publishedAt":"2026-01-01T00:00:00.000Z"},[1,9]],"problems":[],',
  '"counter":1,"issuedAt":"2026-01-01T00:00:00.000Z","expiresAt":"2026-01-01T00:00:00.000Z"}}}\n',
].join('');

const dictionaryOf = ({ hub, machine, etag }: Between): Buffer =>
  Buffer.from(`${COMMON}"hub":"${hub}","machine":"${machine}",${JSON.stringify(etag)}`);

export function pack(bytes: Uint8Array, between: Between): Buffer {
  const packed = deflateRawSync(bytes, { level: 9, memLevel: 9, dictionary: dictionaryOf(between) });
  return Buffer.concat([Buffer.of(VERSION), packed]);
}

/** @throws HaiveError BODY_INVALID when it has another version, was not made for the two, or unpacks to more than a message may hold */
export function unpack(bytes: Uint8Array, between: Between): Buffer {
  if (bytes[0] !== VERSION) throw new HaiveError('BODY_INVALID', `A packed message is of version ${bytes[0]}`);
  try {
    return inflateRawSync(bytes.subarray(1), { dictionary: dictionaryOf(between), maxOutputLength: MAX_UNPACKED });
  } catch (cause) {
    throw new HaiveError('BODY_INVALID', 'A packed message does not unpack', { cause });
  }
}
