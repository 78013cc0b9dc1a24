// What an update weighs: version pairs made of this repository's own history, each commit's changed texts as the changed files of a
// plugin, beside raw deflate with the old file as dictionary. `update [PAIRS]`.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { encodeFrame } from '../../server/src/contract/frames.ts';
import { pack } from '../../server/src/contract/parcel.ts';
import { createKeyPair, sealJson } from '../../server/src/domain/signing/dsse.ts';
import { makeDelta } from '../../server/src/domain/version/file-delta.ts';
import { packPlugin } from '../../server/src/domain/version/package.ts';
import { RECORD_PAYLOAD_TYPE } from '../../server/src/domain/version/record.ts';
import { toRecordDelta } from '../../server/src/domain/version/record-delta.ts';
import { BUNDLES, finish, goal, machineLine, median, quantile } from './bench-hub.ts';
import { sourceOf } from './plugins.ts';

const most = Number(process.argv[2]) || 150;
const WINDOW = 32 * 1024;
const MAX_FILE = 256 * 1024;
const BETWEEN = { hub: 'hub_0123456789abcdef', machine: 'machine_0123456789abcdef', etag: '"0123456789abcdefghijkl"' };
const keys = createKeyPair();
// BUNDLES lies two folders below the repository.
const git = (...args: string[]): Buffer => execFileSync('git', args, { cwd: join(BUNDLES, '../..'), maxBuffer: 1e8 });

interface Pair {
  path: string;
  old: Buffer;
  next: Buffer;
}

console.log(machineLine());
const [yardstick, files, whole, counts]: number[][] = [[], [], [], []];
for (const commit of git('log', '--no-merges', '--diff-filter=M', '--format=%H', '--', ...pathspec())
  .toString()
  .split('\n')) {
  if (commit === '' || (counts?.length ?? 0) >= most) break;
  const pairs = pairsOf(commit);
  if (pairs.length === 0) continue;
  counts?.push(pairs.length);
  yardstick?.push(sum(pairs.map(({ old, next }) => deflated(next, old))));
  files?.push(sum(deltas(pairs).map((frame) => frame.length)));
  whole?.push(parcel(pairs).length);
}
const ratios = (of: number[] = []): number[] => of.map((bytes, i) => bytes / (yardstick?.[i] ?? Number.NaN));
console.log(
  `${counts?.length} pairs, changed files median ${median(counts ?? [])}, p95 ${quantile(counts ?? [], 0.95)}; median bytes: ` +
    `dictionary deflate ${median(yardstick ?? [])}, changed files as they travel ${median(files ?? [])}, ` +
    `with the signed record as one packed message ${median(whole ?? [])}`,
);
console.log(`all pairs together: ${(sum(files ?? []) / sum(yardstick ?? [])).toFixed(2)} × dictionary deflate`);
goal('changed files of an update : dictionary deflate, median', median(ratios(files)), '<=', 1.2);
finish();

/** Texts such as plugins hold; what is generated or only ever grows at its head is no plugin's file. */
function pathspec(): string[] {
  return [
    '*.md',
    '*.json',
    '*.sh',
    '*.mjs',
    ':!CHANGELOG.md',
    ':!package-lock.json',
    ':!server/dist',
    ':!docs/openapi.json',
  ];
}

function pairsOf(commit: string): Pair[] {
  const changed = git('diff', '--diff-filter=M', '--name-only', '-z', `${commit}~1`, commit, '--', ...pathspec());
  return changed
    .toString()
    .split('\0')
    .filter((path) => path !== '')
    .map((path) => ({ path, old: git('show', `${commit}~1:${path}`), next: git('show', `${commit}:${path}`) }))
    .filter(({ old, next }) => Math.max(old.length, next.length) <= MAX_FILE && !old.equals(next));
}

function deflated(next: Buffer, old: Buffer): number {
  const dictionary = old.subarray(Math.max(0, old.length - WINDOW));
  return deflateRawSync(next, { level: 9, memLevel: 9, ...(old.length > 0 ? { dictionary } : {}) }).length;
}

function deltas(pairs: readonly Pair[]): Buffer[] {
  return pairs.map(({ old, next }, i) => {
    const delta = makeDelta(old, next);
    return delta === null
      ? encodeFrame({ t: 'blob', sha256: '0'.repeat(64), enc: 'br', n: 0 }, deflateRawSync(next))
      : encodeFrame({ t: 'delta', of: i, from: i, n: 0 }, delta);
  });
}

/** The changed files with the record of a version whose other files stayed. */
function parcel(pairs: readonly Pair[]): Buffer {
  const versionOf = (version: string, side: 'old' | 'next') => {
    const texts = new Map(pairs.map((pair) => [`docs/${pair.path}`, pair[side].toString('utf8')]));
    for (let i = 0; i < 6; i++) texts.set(`docs/stays-${i}.md`, `Text ${i}`);
    return packPlugin(sourceOf({ name: 'pair', version, files: texts }), { maxBytes: 1e9, now: new Date() }).record;
  };
  const [base, next] = [versionOf('1.0.0', 'old'), versionOf('1.0.1', 'next')];
  const { payload, signatures } = sealJson(RECORD_PAYLOAD_TYPE, next, keys.privatePem);
  const record = toRecordDelta(base, Buffer.from(payload, 'base64'));
  const head = encodeFrame(
    { t: 'record', digest: next.digest, base: base.digest, n: 0 },
    Buffer.from(JSON.stringify({ signatures, record })),
  );
  return pack(Buffer.concat([head, ...deltas(pairs)]), BETWEEN);
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
