// Names as the cluster allows them, and nothing else: they go into paths.
import { EsError } from './client.mjs';

const refuse = (what, value) => {
  throw new EsError('ES_REFUSED', `${JSON.stringify(value)} is no ${what}`, 'Use the exact name, without wildcards.');
};

/** One index, for a path. */
export function indexName(value) {
  if (!/^(?![-_+])(?!\.{1,2}$)[^A-Z\s,"*<>|\\/?#:%]{1,255}$/.test(value)) refuse('index name', value);
  return encodeURIComponent(value);
}

/** Indices for a body: names and wildcards, comma-separated. */
export function indexPattern(value) {
  if (!/^[^A-Z\s"<>|\\/?#%]{1,1000}$/.test(value)) refuse('list of indices', value);
  return value;
}

/** A repository or snapshot, for a path. */
export function name(value) {
  if (!/^(?![-_.])[a-zA-Z0-9._-]{1,200}$/.test(value)) refuse('name', value);
  return encodeURIComponent(value);
}
