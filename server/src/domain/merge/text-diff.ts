import { diffIndices } from 'node-diff3';

const CONTEXT = 2;
const MAX_LINES = 20_000;

/** A unified diff of two texts; empty where they are the same, one sentence where they are too long to compare. */
export function unifiedDiff(path: string, before: string, after: string): string {
  if (before === after) return '';
  const [a, b] = [before.split('\n'), after.split('\n')];
  const head = `--- ${path}\n+++ ${path}\n`;
  if (a.length + b.length > MAX_LINES) return `${head}@@ too long to show @@\n`;
  const parts: string[] = [];
  for (const { buffer1, buffer2 } of diffIndices(a, b)) {
    const [startA, countA] = buffer1;
    const [startB, countB] = buffer2;
    const from = Math.max(startA - CONTEXT, 0);
    const lead = a.slice(from, startA);
    const tail = a.slice(startA + countA, startA + countA + CONTEXT);
    const size = lead.length + tail.length;
    parts.push(
      `@@ -${from + 1},${size + countA} +${startB - lead.length + 1},${size + countB} @@`,
      ...lead.map((line) => ` ${line}`),
      ...a.slice(startA, startA + countA).map((line) => `-${line}`),
      ...b.slice(startB, startB + countB).map((line) => `+${line}`),
      ...tail.map((line) => ` ${line}`),
    );
  }
  return `${head}${parts.join('\n')}\n`;
}
