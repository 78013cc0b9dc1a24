import type { Receipt, Receipts } from './index.ts';

/** By receipt that cannot change any more: every change writes down all of them, and is about few. */
const frozenBytes = new WeakMap<Receipt, Buffer>();

function bytesOf(receipt: Receipt): Buffer {
  const known = frozenBytes.get(receipt);
  if (known !== undefined) return known;
  const bytes = Buffer.from(JSON.stringify(receipt));
  if (Object.isFrozen(receipt)) frozenBytes.set(receipt, bytes);
  return bytes;
}

/** The file's bytes: `JSON.stringify` of the receipts, and a newline. */
export function receiptsBytes(receipts: Receipts): Buffer {
  const parts: Buffer[] = [];
  const say = (text: string): unknown => parts.push(Buffer.from(text));
  for (const [key, value] of Object.entries(receipts)) {
    if (value === undefined) continue;
    say(`${parts.length === 0 ? '{' : ','}${JSON.stringify(key)}:`);
    if (key !== 'plugins') {
      say(JSON.stringify(value));
      continue;
    }
    const plugins = Object.entries(receipts.plugins);
    for (const [at, [name, receipt]] of plugins.entries()) {
      say(`${at === 0 ? '{' : ','}${JSON.stringify(name)}:`);
      parts.push(bytesOf(receipt));
    }
    say(plugins.length === 0 ? '{}' : '}');
  }
  say('}\n');
  return Buffer.concat(parts);
}
