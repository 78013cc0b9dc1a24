import type { Revoked } from '../../domain/plan/index.ts';
import type { Lineage } from '../../domain/plan/lineage.ts';
import type { Envelope } from '../../domain/signing/dsse.ts';
import { getLineage, getMeta } from '../../storage/queries/meta.ts';
import { signedApprovals } from '../../storage/queries/trust.ts';
import type { Store } from '../../storage/store.ts';
import type { Catalogue } from '../registry/snapshot.ts';

/** What every machine's plan says of trust, the same for all. */
export interface TrustWord {
  epoch: number;
  epochProof: Envelope | undefined;
  lineage: Lineage[];
  revoked: Revoked[];
  revokedKeys: string[];
  /** By digest, the first one first. */
  approvals: ReadonlyMap<string, readonly Envelope[]>;
}

const words = new WeakMap<Store, { catalogue: Catalogue; word: Promise<TrustWord> }>();

/** Read once for each state of the registry: everything in it changes with an event. */
export function trustWord(store: Store, catalogue: Catalogue): Promise<TrustWord> {
  const known = words.get(store);
  if (known?.catalogue === catalogue) return known.word;
  const word = readWord(store, catalogue);
  words.set(store, { catalogue, word });
  word.catch(() => words.delete(store));
  return word;
}

async function readWord({ read }: Store, catalogue: Catalogue): Promise<TrustWord> {
  const [approvals, keys, epoch, proof, lineage] = await Promise.all([
    signedApprovals(read),
    read.selectFrom('publisher_keys').select('keyid').distinct().where('revoked_at', 'is not', null).execute(),
    getMeta(read, 'epoch'),
    getMeta(read, 'epoch_proof'),
    getLineage(read),
  ]);
  const revoked = [...catalogue.byId.values()].filter((v) => v.status === 'revoked');
  return {
    epoch: Number(epoch ?? 1),
    epochProof: proof ? (JSON.parse(proof) as Envelope) : undefined,
    lineage,
    revoked: revoked
      .map(({ name, version, digest, statusReason: reason }) => ({ name, version, digest, reason }))
      .sort((a, b) => (a.digest < b.digest ? -1 : 1)),
    revokedKeys: keys.map((k) => k.keyid).sort(),
    approvals: new Map(
      [...approvals].map(([digest, all]) => [digest, all.map((text) => JSON.parse(text) as Envelope)]),
    ),
  };
}
