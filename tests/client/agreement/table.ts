// The confusion table, and every disagreement with its reason.
import type { Comparison, Verdict } from './compare.ts';

const VERDICTS: Verdict[] = ['pass', 'mended', 'registry rule', 'fail'];

/** Plugins that the client refuses and we let pass: there must be none. */
export const missed = (all: readonly Comparison[]): Comparison[] =>
  all.filter((c) => c.client === 'fail' && (c.ours === 'pass' || c.ours === 'registry rule'));

/** Plugins that the client accepts and we refuse: each error must be something that never works. */
export const stricter = (all: readonly Comparison[]): Comparison[] =>
  all.filter((c) => c.client === 'pass' && c.ours === 'fail');

/** The table in text, then each disagreement. */
export function confusionTable(all: readonly Comparison[]): string {
  const count = (client: 'pass' | 'fail', ours: Verdict): string =>
    String(all.filter((c) => c.client === client && c.ours === ours).length);
  const row = (cells: string[]): string =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(16) : cell.padStart(21))).join('');
  const lines = [
    row([`${all.length} plugins`, ...VERDICTS.map((v) => `ours: ${v}`)]),
    ...(['pass', 'fail'] as const).map((client) =>
      row([`client: ${client}`, ...VERDICTS.map((v) => count(client, v))]),
    ),
  ];
  for (const c of missed(all)) lines.push('', `MISSED ${c.name}`, ...c.clientErrors.map((e) => `  client: ${e}`));
  for (const c of [...stricter(all), ...all.filter((a) => a.client === 'pass' && a.ours === 'registry rule')]) {
    lines.push('', `${c.ours === 'fail' ? 'STRICTER' : 'REGISTRY RULE'} ${c.name}`);
    for (const f of c.errors) {
      const where = `${f.file}${f.line === null ? '' : `:${f.line}`}`;
      lines.push(`  ${where} ${f.code} ${f.message}`);
    }
  }
  return lines.join('\n');
}
