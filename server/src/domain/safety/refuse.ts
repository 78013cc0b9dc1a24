import type { Finding } from '../findings/index.ts';
import { hasErrors } from '../findings/index.ts';
import { applyPolicy, type FindingPolicy } from '../findings/policy.ts';
import { invalidPlugin, type SourceFile } from '../version/package.ts';
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
