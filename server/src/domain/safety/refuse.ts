import { applyPolicy, type FindingPolicy } from '../finding-policy.ts';
import type { Finding } from '../findings.ts';
import { hasErrors } from '../findings.ts';
import { invalidPlugin, type SourceFile } from '../package.ts';
import { scanPlugin } from './index.ts';

/**
 * The findings of validation and of the safety scan under a policy.
 * @throws HaiveError COMPONENT_INVALID when the policy makes an error of one (details.findings holds all)
 */
export async function judge(
  files: readonly SourceFile[],
  validated: readonly Finding[],
  policy: FindingPolicy,
): Promise<Finding[]> {
  const findings = applyPolicy([...validated, ...(await scanPlugin(files))], policy);
  if (hasErrors(findings)) throw invalidPlugin(findings);
  return findings;
}
