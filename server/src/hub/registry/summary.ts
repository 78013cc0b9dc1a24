import type * as z from 'zod';
import type { PluginSummary } from '../../contract/schemas.ts';
import type { CatalogueVersion } from './snapshot.ts';

/** A version as lists show it. */
export function toSummary(version: CatalogueVersion, installedCount: number): z.output<typeof PluginSummary> {
  return {
    id: version.id,
    name: version.name,
    version: version.version,
    description: version.description,
    author: version.author,
    status: version.status,
    groups: version.targets.map((t) => t.group).sort(),
    required_capabilities: version.requiredCapabilities,
    digest: version.digest,
    installed_count: installedCount,
    updated_at: version.updatedAt,
  };
}
