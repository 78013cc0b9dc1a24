import type { UseCases } from '../context.ts';
import { reportUsage } from './report-usage.ts';
import { usage } from './usage.ts';

/** The use cases of what is used. */
export const usageUseCases = { reportUsage, usage } satisfies Partial<UseCases>;
