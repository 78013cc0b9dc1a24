import type { EndpointName } from './endpoints.ts';
import { FRAMES_TYPE } from './frames.ts';

/** What /openapi.json says in words. It is here, and not with the endpoints, so that a machine's bundle does without it. */

/** The frame format in words, for clients that are written from /openapi.json. */
export const FRAMES_TEXT = `\`${FRAMES_TYPE}\`: frames one after the other, each a head, one line of UTF-8 that ends with \\n (4096 bytes at most), and the bytes that it announces. A head is a JSON object: \`t\` is the kind, \`n\` the number of bytes that follow (0 or more), other fields are texts. The last frame is \`{"t":"end","n":0}\` and its \\n; a body without it was cut off.

- \`record\`: a DSSE envelope (schema Envelope, JSON) of a version record (schema VersionRecord, payloadType \`application/vnd.haivemind.version+json\`), signed once. In answers \`digest\` names the version, \`key\` its signer's public key (absent: the hub's own); with \`base\` (forms: delta) the bytes are \`{signatures, record}\`, the record as differences from that version.
- \`original-manifest\`: plugin.json as the author wrote it, JSON, where publishing changed it.
- \`blob\`: a file's bytes. \`sha256\` is that of the file, \`enc\` says how it travels: \`identity\` or \`br\` (brotli).
- \`plan\` (\`etag\`) and \`installed\`: what the endpoints \`plan\` and \`install\` answer, JSON.
- forms: delta. A head \`dOF,FROM,N\` (no JSON): file number OF of the record before it, as N bytes of differences from file number FROM of the record's \`base\`.
- forms: batch. \`batch\`: brotli over frames without an end, records and \`pack\` frames: all blobs of the record before it, each once and in its order.`;

/** Which frames an endpoint takes (`register`) or answers with. */
export const FRAMES_OF: Partial<Record<EndpointName, string>> = {
  register:
    'One `record` first, perhaps `original-manifest`, then a `blob` for each file of the record that the hub lacks (`blobsMissing` tells), the end. The header haivemind-publisher-key goes with it.',
  transfer: 'A `record` for each version, and each `blob` that the caller lacks after a record that names it.',
  install: 'Only where a machine gives `bring`: `installed`, `plan`, then records and blobs as a transfer has them.',
};

/** Of every endpoint that a machine may call; `join` wants it beside `public_key`. */
export const PROOF_DESCRIPTION = `Needed with the token of a machine that joined with \`public_key\`, and for \`join\` with one (else PROOF_REQUIRED): \`SECONDS.SIGNATURE\`. SECONDS is the time since 1970, within 300 of the hub's (PROOF_REQUIRED and PROOF_INVALID carry \`details.hub_time\`). SIGNATURE is base64 of the Ed25519 signature, by the private half of that key, over five lines joined by \\n without one at the end: \`haivemind-proof-v1\`, the method in capitals, the path with its query as sent, SECONDS, the sha256 of the bearer token in lower-case hex (for \`join\`: of the token that joins). Without it such a token is answered 304 where nothing changed, and no more.`;

export const LIVE_TEXT =
  'A WebSocket (RFC 6455), authenticated as REST is. Messages are JSON texts, schemas ServerMessage and ClientMessage: the hub says hello, the client answers resume; what it has missed is asked for over REST. Pings of the hub are answered by pongs. Binary messages come only to a machine whose resume names `parcels`, and may be left out.';
