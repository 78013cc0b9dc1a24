/** The vector in the same direction of length 1; undefined where it has none. */
export function unitOf(vector: Float32Array): Float32Array | undefined {
  const square = vector.reduce((sum, value) => sum + value * value, 0);
  if (!Number.isFinite(square) || square === 0) return undefined;
  const length = Math.sqrt(square);
  return vector.map((value) => value / length);
}
