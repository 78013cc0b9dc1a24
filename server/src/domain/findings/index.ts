/** What validation found; the same shape travels in the contract (contract/schemas, Finding). */
export interface Finding {
  /** Stable, upper-case. */
  code: string;
  severity: Severity;
  /** POSIX path inside the plugin; empty for the plugin as a whole. */
  file: string;
  /** 1-based; null where no place can be named. */
  line: number | null;
  column: number | null;
  /** One sentence. */
  message: string;
  /** What mends it. */
  fix: string;
}

export type Severity = 'error' | 'warning' | 'note';

/** The fix of a finding that translation mends by itself. */
export const MENDED_BY_PUBLISHING = 'Publishing translates this: nothing to do.';

const RANK: Record<Severity, number> = { error: 0, warning: 1, note: 2 };

/** Errors first, then by file and place. */
export function sortFindings(findings: readonly Finding[]): Finding[] {
  return [...findings].sort(
    (a, b) =>
      RANK[a.severity] - RANK[b.severity] ||
      (a.file < b.file ? -1 : a.file > b.file ? 1 : 0) ||
      (a.line ?? 0) - (b.line ?? 0) ||
      (a.column ?? 0) - (b.column ?? 0),
  );
}

export function hasErrors(findings: readonly Finding[]): boolean {
  return findings.some((f) => f.severity === 'error');
}
