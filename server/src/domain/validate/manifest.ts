import { COMPONENT_FIELDS, HAIVEMIND_FIELDS, MANIFEST_FIELDS } from '../client-facts.ts';
import { HaiveError } from '../errors.ts';
import { isJsonObject, type JsonObject } from '../json/read.ts';
import { MANIFEST_PATH } from '../version/file-types.ts';
import { parseManifest } from '../version/manifest.ts';
import { checkPaths } from './component-paths.ts';
import { checkDependencies, checkKeptDependencies } from './dependencies.ts';
import { checkIdentity } from './identity.ts';
import { manifestFaults } from './manifest-fields.ts';
import type { Subject } from './subject.ts';
import { didYouMean } from './suggest.ts';

/** plugin.json: fields, types, paths, dependencies. */
export function validateManifest(subject: Subject): void {
  const manifest = readManifest(subject);
  if (manifest === undefined) return;
  checkWhole(subject, manifest);
  checkUnknown(subject, manifest);
  checkTypes(subject, manifest);
  for (const key of COMPONENT_FIELDS) checkPaths(subject, [key], manifest[key], false);
  checkExperimental(subject, manifest.experimental);
  checkComponents(subject, manifest.components);
  for (const key of ['description', 'author'] as const) {
    if (manifest[key] !== undefined && manifest[key] !== '') continue;
    const hint = `Add "${key}": people and models choose by it.`;
    subject.warn('METADATA_MISSING', MANIFEST_PATH, { offset: 0 }, `There is no ${key}.`, hint);
  }
}

function readManifest(subject: Subject): JsonObject | undefined {
  if (!subject.files.has(MANIFEST_PATH)) {
    const message = `There is no ${MANIFEST_PATH}.`;
    subject.error('MANIFEST_MISSING', MANIFEST_PATH, undefined, message, 'Run `hv create NAME` for a start.');
    return undefined;
  }
  const read = subject.readJson(MANIFEST_PATH);
  if (read === undefined) return undefined;
  if (isJsonObject(read.value)) return read.value;
  const hint = 'Start from `{"name": …, "version": …}`.';
  subject.error('MANIFEST_INVALID', MANIFEST_PATH, { offset: 0 }, 'plugin.json must hold an object.', hint);
  return undefined;
}

/** Identity, dependencies, and what the program that packs it would refuse. */
function checkWhole(subject: Subject, manifest: JsonObject): void {
  // what was spoken of apart must not hide what else is wrong
  const apart = checkIdentity(subject, manifest);
  const dependencies = checkDependencies(subject, manifest.dependencies);
  const block = isJsonObject(manifest.haivemind)
    ? {
        haivemind: {
          ...manifest.haivemind,
          dependencies: checkKeptDependencies(subject, manifest.haivemind.dependencies),
        },
      }
    : {};
  try {
    parseManifest(Buffer.from(JSON.stringify({ ...manifest, ...apart, ...block, dependencies })));
  } catch (error) {
    const code = error instanceof HaiveError ? error : undefined;
    const field = code?.details?.field;
    const place = {
      json: typeof field === 'string' ? field.split('.') : code?.code.startsWith('VERSION') ? ['version'] : ['name'],
    };
    subject.error(
      code?.code ?? 'MANIFEST_INVALID',
      MANIFEST_PATH,
      place,
      code?.message ?? 'plugin.json cannot be read.',
      code?.hint ?? 'Mend plugin.json.',
    );
  }
}

function checkExperimental(subject: Subject, experimental: unknown): void {
  if (experimental !== undefined && !isJsonObject(experimental)) {
    const message = 'experimental must be an object; Claude Code ignores it.';
    subject.warn('MANIFEST_FIELD', MANIFEST_PATH, { json: ['experimental'] }, message, 'Correct or remove it.');
  }
  const trial = isJsonObject(experimental) ? experimental : {};
  for (const key of ['themes', 'monitors', 'workflows']) checkPaths(subject, ['experimental', key], trial[key], false);
}

function checkComponents(subject: Subject, components: unknown): void {
  if (!isJsonObject(components)) return;
  const hint = 'Remove it; name only places that are not the default ones, by native keys.';
  const place = { json: ['components'] };
  subject.warn('COMPONENTS_IGNORED', MANIFEST_PATH, place, 'Claude Code ignores `components`.', hint);
  for (const key of Object.keys(components)) checkPaths(subject, ['components', key], components[key], true);
}

function checkUnknown(subject: Subject, manifest: JsonObject): void {
  const known = [...MANIFEST_FIELDS, 'haivemind'];
  for (const key of Object.keys(manifest)) {
    if (subject.isFull) return;
    if (key === 'components' || (known as string[]).includes(key)) continue;
    const message = `Claude Code does not know the field ${JSON.stringify(key.slice(0, 60))}.${didYouMean(key, known)}`;
    subject.warn('UNKNOWN_FIELD', MANIFEST_PATH, { json: [key] }, message, 'Correct its spelling or remove it.');
  }
  if (!isJsonObject(manifest.haivemind)) return;
  for (const key of Object.keys(manifest.haivemind)) {
    if ((HAIVEMIND_FIELDS as readonly string[]).includes(key)) continue;
    const message = `hAIveMind does not know haivemind.${key.slice(0, 60)}.${didYouMean(key, HAIVEMIND_FIELDS)}`;
    subject.warn(
      'UNKNOWN_FIELD',
      MANIFEST_PATH,
      { json: ['haivemind', key] },
      message,
      'Correct its spelling or remove it.',
    );
  }
}

function checkTypes(subject: Subject, manifest: JsonObject): void {
  for (const { path, message } of manifestFaults(manifest)) {
    // parseManifest has spoken of these
    if (path[0] === 'author' && !isJsonObject(manifest.author)) continue;
    if (path.length <= 1 && (path[0] === 'keywords' || path[0] === 'description')) continue;
    subject.error(
      'MANIFEST_FIELD',
      MANIFEST_PATH,
      { json: path },
      `${path.join('.')}: ${message.slice(0, 160)}.`,
      'Claude Code refuses the plugin; correct the value.',
    );
  }
}
