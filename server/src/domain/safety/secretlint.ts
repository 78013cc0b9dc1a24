import type { LongRuns } from './long-runs.ts';
import { rulesFor } from './pre-filter.ts';
import type { TextFile } from './text-file.ts';

/** What a rule of secretlint reports, by offset in the text. */
export interface Report {
  start: number;
  length: number;
  rule: string;
}

/** Loaded at the first file that is worth it. It keeps a mark of every step for ever, and looks through them all at each: not here. */
async function secretlint() {
  const [{ lintSource }, { rules }, { secretLintProfiler }] = await Promise.all([
    import('@secretlint/core'),
    import('@secretlint/secretlint-rule-preset-recommend'),
    import('@secretlint/profiler'),
  ]);
  secretLintProfiler.mark = () => undefined;
  return { lintSource, rules };
}

const nameOf = (id: string): string => (id.split('secretlint-rule-')[1] ?? id).slice(0, 40);

/**
 * What secretlint's recommended rules report.
 * @param runs those of 15 characters or more
 */
export async function bySecretlint(file: TextFile, runs: LongRuns): Promise<Report[]> {
  const names = rulesFor(file, runs);
  if (names.length === 0) return [];
  const { lintSource, rules } = await secretlint();
  const source = { content: file.text, filePath: file.path, ext: '', contentType: 'text' as const };
  const asked = rules.filter((rule) => names.includes(nameOf(rule.meta.id)));
  const config = { rules: asked.map((rule) => ({ id: rule.meta.id, rule })) };
  const { messages } = await lintSource({ source, options: { config, noPhysicFilePath: true, maskSecrets: true } });
  return messages.map(({ range: [start, end], ruleId }) => ({ start, length: end - start, rule: nameOf(ruleId) }));
}
