import type { Migration } from 'kysely';
import type { EngineName } from '../dialect.ts';
import { registry } from './0001-registry.ts';
import { collective } from './0020-collective.ts';
import { trust } from './0030-trust.ts';
import { usage } from './0040-usage.ts';
import { origins } from './0045-origins.ts';
import { taskRole } from './0050-task-role.ts';
import { acceptedSurfaces } from './0060-accepted-surfaces.ts';
import { machineKeys } from './0070-machine-keys.ts';
import { installationsOfMachine } from './0080-installations-of-machine.ts';
import { quorums } from './0090-quorums.ts';
import { installationCounts } from './0100-installation-counts.ts';
import { yankedAdvice } from './0110-yanked-advice.ts';
import { orderedVersions } from './0120-ordered-versions.ts';
import { publisherTokens } from './0130-publisher-tokens.ts';
import { namedOverrides } from './0140-named-overrides.ts';
import { surfacesAnew } from './0150-surfaces-anew.ts';
import { refusedPlans } from './0160-refused-plans.ts';
import { blobSizes } from './0170-blob-sizes.ts';
import { reportOrder } from './0180-report-order.ts';

/**
 * All migrations in order, run in one transaction. A name, once released, is never changed or removed. SQLite has foreign keys on
 * meanwhile and cannot switch them off there: dropping a table that others refer to fails, or takes their rows along.
 */
export function migrationsFor(engine: EngineName): Record<string, Migration> {
  return {
    '0001-registry': registry(engine),
    '0020-collective': collective(engine),
    '0030-trust': trust(engine),
    '0040-usage': usage(engine),
    '0045-origins': origins(),
    '0050-task-role': taskRole,
    '0060-accepted-surfaces': acceptedSurfaces,
    '0070-machine-keys': machineKeys,
    '0080-installations-of-machine': installationsOfMachine,
    '0090-quorums': quorums(engine),
    '0100-installation-counts': installationCounts(engine),
    '0110-yanked-advice': yankedAdvice,
    '0120-ordered-versions': orderedVersions,
    '0130-publisher-tokens': publisherTokens,
    '0140-named-overrides': namedOverrides,
    '0150-surfaces-anew': surfacesAnew,
    '0160-refused-plans': refusedPlans,
    '0170-blob-sizes': blobSizes,
    '0180-report-order': reportOrder,
    // Hosts of logins and fetched binaries are seen since.
    '0190-surfaces-anew': surfacesAnew,
  };
}
