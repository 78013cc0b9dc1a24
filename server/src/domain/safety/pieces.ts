const SIZE = 4;
const SPACE = 0x20;
/** All bytes of white space, or that are part of a character which may be. */
const SPACES = [9, 10, 11, 12, 13, SPACE, ...Array.from({ length: 128 }, (_, i) => 128 + i)];

/** The bytes that stand for a byte of a piece. */
function waysToWrite(byte: number): number[] {
  if (byte === SPACE) return SPACES;
  return byte >= 0x61 && byte <= 0x7a ? [byte, byte - 0x20] : [byte];
}

/** Each byte in small letters, and white space as a space. */
const FOLDED = new Uint8Array(256);
for (let byte = 0; byte < 128; byte++) for (const other of waysToWrite(byte)) FOLDED[other] = byte;

const folded = (byte: number | undefined): number => FOLDED[byte ?? 0] ?? 0;
const codeOf = (bytes: Uint8Array, end: number): number =>
  (folded(bytes[end - 4]) << 24) |
  (folded(bytes[end - 3]) << 16) |
  (folded(bytes[end - 2]) << 8) |
  folded(bytes[end - 1]);

/**
 * Makes a search for many pieces of text at once (Wu and Manber's): it looks at pairs of characters, most of which are in no
 * piece, and goes on to the third character after such a pair.
 * @param groups pieces of four ASCII characters, letters in small; a space stands for any white space
 * @returns what gives, for a file's bytes, a number in which bit `i` is set where a piece of group `i` is in any capitals;
 * other characters than ASCII may pass for a space
 */
export function pieceFinder(groups: readonly (readonly string[])[]): (bytes: Uint8Array) => number {
  const bits = new Map<number, number>();
  const steps = new Uint8Array(1 << 16).fill(SIZE - 1);
  for (const [i, piece] of groups.flatMap((pieces, i) => pieces.map((piece) => [i, Buffer.from(piece)] as const))) {
    bits.set(codeOf(piece, SIZE), (bits.get(codeOf(piece, SIZE)) ?? 0) | (1 << i));
    for (let at = 0; at < SIZE - 1; at++)
      for (const first of waysToWrite(piece[at] ?? 0))
        for (const second of waysToWrite(piece[at + 1] ?? 0)) {
          const pair = (first << 8) | second;
          steps[pair] = Math.min(steps[pair] ?? 0, SIZE - 2 - at);
        }
  }
  return (bytes) => {
    let found = 0;
    for (let at = SIZE - 1; at < bytes.length; ) {
      const step = steps[((bytes[at - 1] ?? 0) << 8) | (bytes[at] ?? 0)] ?? 0;
      if (step === 0) found |= bits.get(codeOf(bytes, at + 1)) ?? 0;
      at += step || 1;
    }
    return found;
  };
}
