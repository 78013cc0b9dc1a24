// The attack table of the hub, what people and machines may not say for themselves: proofs of a machine's key, first surfaces, reviews,
// several approvals, limits. Each attempt is refused with its code, and nothing in the database has changed.
import { afterAll, beforeAll, it } from 'vitest';
import { createKeyPair } from '../../server/src/domain/signing/dsse.ts';
import { PROOF_HEADER, signProof } from '../../server/src/domain/signing/machine-proof.ts';
import { newSecret } from '../../server/src/hub/secrets.ts';
import { ask, hooks, publish, register, type TestHub, testHub } from '../hub/support.ts';
import { type AttackRow, attackTable } from './attack-rows.ts';

const NOW = new Date('2026-06-01T12:00:00Z');
const STATUS = '/api/machines/me/status';
const INSTALL = '/api/plugins/quiet/install';
const KEYED = createKeyPair();
const STRANGER = createKeyPair();

let t: TestHub;
const token: Record<string, string> = {};
const id: Record<string, string> = {};

beforeAll(async () => {
  t = await testHub('sqlite', {
    deps: { clock: () => NOW },
    config: { behindProxy: true },
    limits: {
      addressRequests: { perSecond: 0.001, burst: 30 },
      tokenRequests: { perSecond: 0.001, burst: 400 },
      machineRequests: { perSecond: 0.001, burst: 400 },
      failedAuthPerMinute: 2,
    },
  });
  for (const who of ['anna', 'bert']) token[who] = await t.token(['operator'], { name: who });
  token.publisher = await t.token(['publisher']);
  token.contributor = await t.token(['contributor']);
  token.other = await t.token(['contributor'], { name: 'other' });
  token.greedy = await t.token(['reader'], { name: 'greedy' });
  token.join = await t.token(['join']);
  const keyed = await ask(t.url, 'POST', '/api/machines/join', {
    token: token.join,
    body: { name: 'keyed', platform: 'x', haivemind_version: '1.0.0', public_key: KEYED.publicKey },
    headers: proof('POST', '/api/machines/join', { token: token.join }),
  });
  token.keyed = String(keyed.expect(200).token);
  token.prod = (await t.machine('prod', { groups: ['prod'] })).token;
  await publish(t.url, token.publisher, { name: 'quiet' });
  const quorum = { token: t.admin, body: { approvals: 2 } };
  (await ask(t.url, 'PUT', '/api/groups/prod/approvals', quorum)).expect(200);
  await publish(t.url, token.anna ?? '', { name: 'guarded' }, ['prod']);
  for (const name of ['given', 'doomed'])
    id[name] = String((await register(t.url, token.contributor, { name, files: hooks('a') })).expect(200).id);
  id.hooked = String((await register(t.url, token.publisher, { name: 'hooked', files: hooks('a') })).expect(200).id);
  (await ask(t.url, 'POST', `/api/plugins/${id.doomed}/reject`, { token: token.anna, body: { reason: 'r' } })).expect(
    200,
  );
});
afterAll(() => t?.close());

function proof(method: string, path: string, more: { pem?: string; at?: Date; token?: string } = {}) {
  const question = { method, path, token: more.token ?? token.keyed ?? '' };
  return { [PROOF_HEADER]: signProof(more.pem ?? KEYED.privatePem, question, more.at ?? NOW) };
}
type Attempt = () => Promise<{ code: string }>;
const post = (path: string, who: string, body: object = {}, headers: Record<string, string> = {}) =>
  ask(t.url, 'POST', path, { token: token[who] ?? who, body, headers });
const install = (headers: Record<string, string>) => post(INSTALL, 'keyed', {}, headers);
const join = (body: object, headers: Record<string, string> = {}) =>
  post('/api/machines/join', 'join', { name: 'n', platform: 'x', haivemind_version: '1.0.0', ...body }, headers);
/** The answer to the last of many. */
const last = async (times: number, call: Attempt): Promise<{ code: string }> => {
  for (let i = 1; i < times; i++) await call();
  return call();
};

const PROOFS: AttackRow[] = [
  ['a stolen token of a machine', 'PROOF_REQUIRED', () => install({})],
  [
    'its plan with the token alone',
    'PROOF_REQUIRED',
    () => ask(t.url, 'GET', '/api/machines/me/plan', { token: token.keyed }),
  ],
  [
    'its plan by the guess that anything will do',
    'PROOF_REQUIRED',
    () => ask(t.url, 'GET', '/api/machines/me/plan', { token: token.keyed, headers: { 'if-none-match': '"x"' } }),
  ],
  [
    'a report in its name',
    'PROOF_REQUIRED',
    () => post(STATUS, 'keyed', { counter: 1, haivemind_version: '9.9.9', plugins: [], holds: [] }),
  ],
  ['a new token in its place', 'PROOF_REQUIRED', () => post('/api/whoami/rotate', 'keyed')],
  ['a proof by another key', 'PROOF_INVALID', () => install(proof('POST', INSTALL, { pem: STRANGER.privatePem }))],
  [
    'a proof that was overheard, six minutes later',
    'PROOF_INVALID',
    () => install(proof('POST', INSTALL, { at: new Date(NOW.getTime() - 360_000) })),
  ],
  ['a proof that was overheard, for another address', 'PROOF_INVALID', () => install(proof('POST', STATUS))],
  ['a proof that was overheard, for another query', 'PROOF_INVALID', () => install(proof('POST', `${INSTALL}?x=1`))],
  ['a proof that was overheard, for another method', 'PROOF_INVALID', () => install(proof('GET', INSTALL))],
  [
    "a proof that was overheard, with another machine's token",
    'PROOF_INVALID',
    () => install(proof('POST', INSTALL, { token: token.prod ?? '' })),
  ],
  ['a proof of no form', 'PROOF_INVALID', () => install({ [PROOF_HEADER]: '1.x' })],
  ["joining with another's key", 'PROOF_REQUIRED', () => join({ public_key: STRANGER.publicKey })],
  [
    "joining with another's key and a proof of one's own",
    'PROOF_INVALID',
    () => join({ public_key: STRANGER.publicKey }, proof('POST', '/api/machines/join', { token: token.join ?? '' })),
  ],
  [
    "taking a machine's place with its token",
    'PROOF_REQUIRED',
    () => join({ name: 'keyed', machine_token: token.keyed }),
  ],
];

const SURFACES: AttackRow[] = [
  [
    'a first surface that its publisher has not seen',
    'SURFACE_UNACCEPTED',
    () => post('/api/plugins/publish', 'publisher', { plugin_id: id.hooked, all: true }),
  ],
  [
    'the same by an operator',
    'SURFACE_UNACCEPTED',
    () => post('/api/plugins/publish', 'anna', { plugin_id: id.hooked, all: true }),
  ],
  [
    'the same as a dry run',
    'SURFACE_UNACCEPTED',
    () => post('/api/plugins/publish', 'anna', { plugin_id: id.hooked, all: true, dry_run: true }),
  ],
];

const REVIEWS: AttackRow[] = [
  [
    'publishing what one registered as a contributor',
    'FORBIDDEN',
    () => post('/api/plugins/publish', 'contributor', { plugin_id: id.given, all: true }),
  ],
  [
    'accepting its surface as a contributor',
    'FORBIDDEN',
    () => post('/api/plugins/publish', 'contributor', { plugin_id: id.given, all: true, accept_surface: true }),
  ],
  ['approving what one registered', 'FORBIDDEN', () => post(`/api/plugins/${id.given}/approve`, 'contributor')],
  [
    'seeing what another registered',
    'PLUGIN_NOT_FOUND',
    () => ask(t.url, 'GET', '/api/plugins/given', { token: token.other }),
  ],
  [
    'the list of what waits, by a contributor',
    'FORBIDDEN',
    () => ask(t.url, 'GET', '/api/reviews', { token: token.contributor }),
  ],
  [
    'sending back by a publisher',
    'FORBIDDEN',
    () => post(`/api/plugins/${id.given}/reject`, 'publisher', { reason: 'r' }),
  ],
  ['sending back without a reason', 'BAD_REQUEST', () => post(`/api/plugins/${id.given}/reject`, 'anna')],
  [
    'sending back other bytes than were looked at',
    'DIGEST_MISMATCH',
    () => post(`/api/plugins/${id.given}/reject`, 'anna', { reason: 'r', digest: 'sha256:1' }),
  ],
  ['sending back what was offered', 'STATUS_FORBIDS', () => post('/api/plugins/quiet/reject', 'anna', { reason: 'r' })],
  [
    'what was sent back, registered again',
    'VERSION_DELETED',
    () => register(t.url, token.contributor ?? '', { name: 'doomed', files: hooks('a') }),
  ],
  [
    'publishing what was sent back',
    'STATUS_FORBIDS',
    () => post('/api/plugins/publish', 'anna', { plugin_id: id.doomed, all: true }),
  ],
];

const APPROVALS: AttackRow[] = [
  [
    'fewer approvals, by who approves',
    'FORBIDDEN',
    () => ask(t.url, 'PUT', '/api/groups/prod/approvals', { token: token.anna, body: { approvals: 0 } }),
  ],
  ['an approval by its publisher', 'FORBIDDEN', () => post('/api/plugins/guarded/approve', 'publisher')],
  ['an approval by the machine that wants it', 'FORBIDDEN', () => post('/api/plugins/guarded/approve', 'prod')],
  [
    'no approvals, in words',
    'BAD_REQUEST',
    () => ask(t.url, 'PUT', '/api/groups/prod/approvals', { token: t.admin, body: { approvals: '0' } }),
  ],
  [
    'an approval of other bytes',
    'DIGEST_MISMATCH',
    () => post('/api/plugins/guarded/approve', 'bert', { digest: 'sha256:1' }),
  ],
];

const from = (address: string) => ({ 'x-forwarded-for': address });
const LIMITS: AttackRow[] = [
  [
    'requests of one token without end',
    'RATE_LIMITED',
    () => last(500, () => ask(t.url, 'GET', '/api/whoami', { token: token.greedy })),
  ],
  [
    'requests of one address without a token',
    'RATE_LIMITED',
    () => last(40, () => ask(t.url, 'GET', '/openapi.json', { headers: from('10.0.0.1') })),
  ],
  [
    'looking for what is not there',
    'RATE_LIMITED',
    () => last(40, () => ask(t.url, 'GET', '/nothing', { headers: from('10.0.0.2') })),
  ],
  [
    'guessing tokens',
    'RATE_LIMITED',
    () => last(4, () => ask(t.url, 'GET', '/api/whoami', { token: newSecret(), headers: from('10.0.0.3') })),
  ],
  [
    'guessing join tokens',
    'RATE_LIMITED',
    () =>
      last(4, () =>
        ask(t.url, 'POST', '/api/machines/join', { token: newSecret(), body: {}, headers: from('10.0.0.4') }),
      ),
  ],
  [
    'an address that claims to be another',
    'RATE_LIMITED',
    () => last(40, () => ask(t.url, 'GET', '/openapi.json', { headers: from(`10.9.9.${Math.random()}, 10.0.0.5`) })),
  ],
];

attackTable(
  () => t,
  [
    ['proofs of a key', PROOFS],
    ['first surfaces', SURFACES],
    ['reviews', REVIEWS],
    ['several approvals', APPROVALS],
    ['limits', LIMITS],
  ],
);

it('what is sound still passes', async () => {
  (await install(proof('POST', INSTALL))).expect(200);
  (await post('/api/plugins/publish', 'anna', { plugin_id: id.hooked, all: true, accept_surface: true })).expect(200);
  (await post('/api/plugins/guarded/approve', 'bert')).expect(200);
  (await ask(t.url, 'GET', '/api/whoami', { token: token.prod, headers: from('10.0.0.3') })).expect(200);
});
