import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { VersionRecord } from './record.ts';
import { fromRecordDelta, type RecordDelta, toRecordDelta } from './record-delta.ts';

const file = fc.record({
  path: fc.constantFrom('a.md', 'b.md', 'c/d.md', 'é.txt'),
  sha256: fc.constantFrom('1'.repeat(64), '2'.repeat(64)),
  size: fc.nat(3),
  executable: fc.boolean(),
});
const record = fc.record({
  format: fc.constant(1),
  name: fc.constant('alpha'),
  version: fc.string(),
  digest: fc.string(),
  files: fc.array(file, { maxLength: 8 }),
  imported: fc.boolean(),
  packedAt: fc.string(),
});

describe('a record as differences', () => {
  it('expands to the very bytes that were signed, from any other record', () => {
    fc.assert(
      fc.property(record, record, (base, next) => {
        const payload = Buffer.from(JSON.stringify(next));
        const delta = toRecordDelta(base, payload);
        // Over a line of JSON, as it travels.
        const sent = JSON.parse(JSON.stringify(delta)) as RecordDelta;
        expect(JSON.stringify(fromRecordDelta(base, sent))).toBe(payload.toString());
      }),
    );
  });

  it('leaves files out that stayed', () => {
    const files = [1, 2, 3].map((n) => ({ path: `${n}.md`, sha256: String(n).repeat(64), size: n, executable: false }));
    const base = { format: 1, name: 'a', version: '1.0.0', digest: 'x', files, imported: false, packedAt: '' };
    const next = { ...base, version: '1.0.1', files: [...files.slice(0, 2), { ...files[2], size: 9 }] };
    expect(toRecordDelta(base, Buffer.from(JSON.stringify(next)))?.files).toEqual([[0, 2], next.files[2]]);
  });

  it('is not made where JSON was written in another way', () => {
    const next = '{ "format": 1, "name": "a", "files": [] }';
    expect(toRecordDelta({ files: [] } as unknown as VersionRecord, Buffer.from(next))).toBe(null);
  });

  it('is null where it reaches past the base', () => {
    const delta = { files: [[0, 2]] } as unknown as RecordDelta;
    expect(fromRecordDelta({ files: [] }, delta)).toBe(null);
    expect(fromRecordDelta({ files: [] }, {} as RecordDelta)).toBe(null);
  });
});
