import { HaiveError } from '../errors.ts';
import type { JsonObject } from '../json/read.ts';
import { checkPluginName, checkVersion, loadsInClient } from '../names.ts';
import { MANIFEST_PATH } from '../version/file-types.ts';
import type { Place, Subject } from './subject.ts';

const RENAME = 'Rename it: small letters, digits and dashes.';

/**
 * Name and version of plugin.json. Where only the registry refuses them, a warning says so.
 * @returns stand-ins for those that were spoken of
 */
export function checkIdentity(subject: Subject, manifest: JsonObject): { name?: string; version?: string } {
  const { name, version } = manifest;
  const apart: { name?: string; version?: string } = {};
  if (typeof name === 'string' && name !== '' && !checkName(subject, name, { json: ['name'] })) apart.name = 'name';
  if (version === undefined || version === '') {
    subject.warn(
      'VERSION_MISSING',
      MANIFEST_PATH,
      { offset: 0 },
      'There is no version, and the registry takes none without.',
      'Add "version": "1.0.0", and raise it with every change.',
    );
    apart.version = '0.0.0';
  } else if (typeof version === 'string') {
    const fault = faultOf(() => checkVersion(version));
    if (fault !== undefined) {
      const fix = 'Write three numbers, as in 1.2.0: versions must order.';
      subject.registryRule(fault.code, MANIFEST_PATH, { json: ['version'] }, fault.message, fix);
      apart.version = '0.0.0';
    }
  }
  return apart;
}

/** Reports a name of a plugin that cannot be; false where it did. */
export function checkName(subject: Subject, name: string, place: Place): boolean {
  const fault = faultOf(() => checkPluginName(name));
  if (fault === undefined) return true;
  if (loadsInClient(name)) subject.registryRule(fault.code, MANIFEST_PATH, place, fault.message, RENAME);
  else if (fault.code === 'NAME_RESERVED') subject.error(fault.code, MANIFEST_PATH, place, `${fault.message}.`, RENAME);
  else {
    const shown = JSON.stringify(name.slice(0, 80));
    const message = `Claude Code never loads a plugin called ${shown} from a marketplace: a name holds only letters, digits, dots, dashes and underscores, and starts with a letter or digit.`;
    subject.error(fault.code, MANIFEST_PATH, place, message, RENAME);
  }
  return false;
}

export function faultOf(check: () => void): HaiveError | undefined {
  try {
    check();
    return undefined;
  } catch (thrown) {
    if (thrown instanceof HaiveError) return thrown;
    throw thrown;
  }
}
