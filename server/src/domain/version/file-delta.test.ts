import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyDelta, MAX_DELTA_FILE, makeDelta } from './file-delta.ts';

const text = (seed: number, bytes: number): Buffer => {
  let a = seed;
  const words = Array.from({ length: bytes / 4 }, () => {
    a = (Math.imul(a, 1664525) + 1013904223) | 0;
    return `w${(a >>> 16) % 3000} `;
  });
  return Buffer.from(words.join('')).subarray(0, bytes);
};
const bytes = fc.uint8Array({ maxLength: 3000 });
/** Two files that share runs, as versions of one do. */
const related = fc
  .array(
    fc.record({ run: fc.uint8Array({ maxLength: 400 }), old: fc.boolean(), next: fc.boolean(), times: fc.nat(60) }),
    { maxLength: 12 },
  )
  .map((parts) => {
    const side = (which: 'old' | 'next') =>
      Buffer.concat(parts.flatMap((p) => (p[which] ? Array.from({ length: p.times }, () => p.run) : [])));
    return [side('old'), side('next')] as const;
  });

describe('a delta of a file', () => {
  it('gives back any bytes from any others', () => {
    const both = fc.oneof(fc.tuple(bytes, bytes), related);
    fc.assert(
      fc.property(both, ([base, next]) => {
        const delta = makeDelta(base, next);
        if (delta === null) return;
        expect(delta.length).toBeLessThan(next.length);
        expect(applyDelta(base, delta, next.length).equals(next)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it.each([20_000, 200_000, 2_000_000])('costs little for a few changes in %i bytes', (size) => {
    const base = text(1, size);
    const next = Buffer.concat([
      base.subarray(0, size / 5),
      Buffer.from('a new sentence here\n'),
      base.subarray(size / 5, size / 2),
      base.subarray(size / 2 + 300),
      Buffer.from('and one at the end\n'),
    ]);
    const delta = makeDelta(base, next) ?? Buffer.alloc(0);
    expect(applyDelta(base, delta, next.length).equals(next)).toBe(true);
    expect(delta.length).toBeLessThan(size / 50 + 200);
  });

  it('is not larger than the plain dictionary form by more than its heads', () => {
    const base = text(7, 9000);
    const next = Buffer.concat([base.subarray(0, 4000), Buffer.from('changed '), base.subarray(4100)]);
    const plain = deflateRawSync(next, { dictionary: base, level: 9 }).length;
    expect(makeDelta(base, next)?.length).toBeLessThan(plain + 12);
  });

  it('is not made where the whole file is no more, or is too large to compare', () => {
    expect(makeDelta(Buffer.from('a'), Buffer.alloc(0))).toBe(null);
    expect(makeDelta(Buffer.from('abc'), Buffer.from('x'))).toBe(null);
    expect(makeDelta(Buffer.alloc(MAX_DELTA_FILE + 1), Buffer.alloc(10))).toBe(null);
  });

  it('is refused, and asks for no more memory than the file has, whatever its bytes are', () => {
    const refused = (base: Uint8Array, delta: Uint8Array, size: number): string => {
      try {
        return `${applyDelta(base, delta, size).length === size}`;
      } catch (thrown) {
        return (thrown as { code: string }).code;
      }
    };
    fc.assert(
      fc.property(bytes, bytes, fc.nat(5000), (base, delta, size) => {
        expect(['true', 'HASH_MISMATCH']).toContain(refused(base, delta, size));
      }),
      { numRuns: 300 },
    );
    const base = text(3, 5000);
    const delta = makeDelta(base, Buffer.concat([base, base])) ?? Buffer.alloc(0);
    expect(refused(base, delta, 9999)).toBe('HASH_MISMATCH');
    expect(refused(base, delta, 10_001)).toBe('HASH_MISMATCH');
    expect(refused(base.subarray(0, 10), delta, 10_000)).toBe('HASH_MISMATCH');
    expect(refused(base, delta.subarray(0, 3), 10_000)).toBe('HASH_MISMATCH');
    expect(refused(base, delta, MAX_DELTA_FILE + 1)).toBe('HASH_MISMATCH');
  });
});
