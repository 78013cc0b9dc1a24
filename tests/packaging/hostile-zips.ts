// Zips that no tool would write: the directory says what the attacker wants it to say.
import { crc32, deflateRawSync } from 'node:zlib';

interface Entry {
  name: string;
  data?: Buffer;
  /** Size that the directory declares, where it lies. */
  declared?: number;
  /** Lies where this one lies. */
  sharesWith?: number;
}

const EMPTY = deflateRawSync(Buffer.alloc(0));

/** A zip of the entries, deflated, exactly as given: names are not looked at, sizes are believed. */
export function rawZip(entries: readonly Entry[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  const places: number[] = [];
  let at = 0;
  for (const { name, data = Buffer.from('x'), declared, sharesWith } of entries) {
    const packed = data.length === 0 ? EMPTY : deflateRawSync(data);
    const label = Buffer.from(name);
    const fixed = Buffer.alloc(26);
    fixed.writeUInt16LE(20, 0);
    fixed.writeUInt16LE(0x0800, 2);
    fixed.writeUInt16LE(8, 4);
    fixed.writeUInt32LE(crc32(data), 10);
    fixed.writeUInt32LE(packed.length, 14);
    fixed.writeUInt32LE(declared ?? data.length, 18);
    fixed.writeUInt16LE(label.length, 22);
    const place = sharesWith === undefined ? at : (places[sharesWith] ?? 0);
    places.push(place);
    if (sharesWith === undefined) {
      const local = [Buffer.from('PK\x03\x04'), fixed, label, packed];
      parts.push(...local);
      at += local.reduce((sum, part) => sum + part.length, 0);
    }
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(place, 10);
    directory.push(Buffer.from('PK\x01\x02\x14\x00', 'latin1'), fixed, rest, label);
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(entries.length % 65_536, 8);
  end.writeUInt16LE(entries.length % 65_536, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, central, end]);
}
