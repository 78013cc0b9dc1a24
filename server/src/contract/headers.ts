/** Headers that single endpoints read, by what /openapi.json says of them. */
export type Headers = Readonly<Record<string, string>>;

/** The publisher's raw Ed25519 public key, base64. */
export const PUBLISHER_KEY_HEADER = 'haivemind-publisher-key';
/** Where whoever sends a zip has it from: an address with its commit and folder. */
export const ORIGIN_HEADER = 'haivemind-origin';
/** Names a call that makes something: the same caller saying the same under it again is answered what it made the first time. */
export const KEY_HEADER = 'idempotency-key';

export const REGISTER_HEADERS: Headers = {
  [PUBLISHER_KEY_HEADER]:
    'With frames, required: the raw Ed25519 public key (32 bytes, base64) that the record is signed with.',
  [ORIGIN_HEADER]:
    'With a zip: where it comes from, at most 2000 characters of printable ASCII without spaces, kept as the version’s source.',
};
export const ONCE_HEADERS: Headers = {
  [KEY_HEADER]: 'Any text that the caller chose: the same said again under it is answered what it made the first time.',
};
export const PLAN_HEADERS: Headers = {
  'a-im':
    '`hv`: the answer may be a 226 with `delta`, differences from the plan that If-None-Match names, and an empty payload.',
};
