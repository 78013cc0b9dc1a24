import { COMPONENT_FIELDS, HAIVEMIND_FIELDS, MANIFEST_FIELDS } from '../client-facts.ts';
import { HaiveError } from '../errors.ts';
import { MANIFEST_PATH } from '../file-types.ts';
import { parseManifest } from '../manifest.ts';
import { isJsonObject, type JsonObject } from '../read-json.ts';
import { checkPaths } from './component-paths.ts';
import { manifestFaults } from './manifest-fields.ts';
import type { Subject } from './subject.ts';
import { didYouMean } from './suggest.ts';

/** plugin.json: fields, types, paths, dependencies. */
export function validateManifest(subject: Subject): void {
  const file = subject.files.get(MANIFEST_PATH);
  if (file === undefined) {
    subject.error(
      'MANIFEST_MISSING',
      MANIFEST_PATH,
      undefined,
      `There is no ${MANIFEST_PATH}.`,
      'Run `hv create NAME` for a start.',
    );
    return;
  }
  const read = subject.readJson(MANIFEST_PATH);
  if (read === undefined) return;
  if (!isJsonObject(read.value)) {
    subject.error(
      'MANIFEST_INVALID',
      MANIFEST_PATH,
      { offset: 0 },
      'plugin.json must hold an object.',
      'Start from `{"name": …, "version": …}`.',
    );
    return;
  }
  const manifest = read.value;
  const versionless = manifest.version === undefined || manifest.version === '';
  if (versionless) {
    subject.warn(
      'VERSION_MISSING',
      MANIFEST_PATH,
      { offset: 0 },
      'There is no version, and the registry takes none without.',
      'Add "version": "1.0.0", and raise it with every change.',
    );
  }
  try {
    parseManifest(versionless ? Buffer.from(JSON.stringify({ ...manifest, version: '0.0.0' })) : file.bytes);
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
  checkUnknown(subject, manifest);
  checkTypes(subject, manifest);
  checkDependencies(subject, manifest.dependencies);
  for (const key of COMPONENT_FIELDS) checkPaths(subject, [key], manifest[key], false);
  const trial = isJsonObject(manifest.experimental) ? manifest.experimental : {};
  for (const key of ['themes', 'monitors', 'workflows']) checkPaths(subject, ['experimental', key], trial[key], false);
  if (isJsonObject(manifest.components)) {
    subject.warn(
      'COMPONENTS_IGNORED',
      MANIFEST_PATH,
      { json: ['components'] },
      'Claude Code ignores `components`.',
      'Remove it; name only places that are not the default ones, by native keys.',
    );
    for (const key of Object.keys(manifest.components)) {
      checkPaths(subject, ['components', key], manifest.components[key], true);
    }
  }
  for (const key of ['description', 'author'] as const) {
    if (manifest[key] === undefined || manifest[key] === '') {
      subject.warn(
        'METADATA_MISSING',
        MANIFEST_PATH,
        { offset: 0 },
        `There is no ${key}.`,
        `Add "${key}": people and models choose by it.`,
      );
    }
  }
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

function checkDependencies(subject: Subject, dependencies: unknown): void {
  if (isJsonObject(dependencies)) {
    subject.error(
      'DEPENDENCIES_FORM',
      MANIFEST_PATH,
      { json: ['dependencies'] },
      'Claude Code refuses `dependencies` as an object.',
      'Write a list: [{"name": "x", "version": "^1.0.0"}].',
    );
  } else if (Array.isArray(dependencies)) {
    dependencies.forEach((entry, i) => {
      const place = { json: ['dependencies', i] };
      const name = isJsonObject(entry) ? entry.name : entry;
      if (typeof name === 'string' && name === subject.manifest.name) {
        subject.warn(
          'DEPENDENCY_ON_ITSELF',
          MANIFEST_PATH,
          place,
          'The plugin depends on itself.',
          'Remove this entry.',
        );
      }
      const marketplace = isJsonObject(entry) ? entry.marketplace : undefined;
      if (marketplace !== undefined && !(typeof marketplace === 'string' && /^[A-Za-z0-9][\w.-]*$/.test(marketplace))) {
        const message = `${JSON.stringify(marketplace).slice(0, 80)} is no name of a marketplace.`;
        subject.error('DEPENDENCIES_FORM', MANIFEST_PATH, place, message, 'Correct it or leave it out.');
      }
      if (typeof entry === 'string' && /@[\^~<>=*\d]/.test(entry)) {
        subject.error(
          'DEPENDENCIES_FORM',
          MANIFEST_PATH,
          { json: ['dependencies', i] },
          `${JSON.stringify(entry.slice(0, 80))} names a marketplace after the @, not a range.`,
          'Write {"name": "x", "version": "^1.0.0"}.',
        );
      } else if (isJsonObject(entry) && entry.optional === true) {
        subject.error(
          'DEPENDENCIES_FORM',
          MANIFEST_PATH,
          { json: ['dependencies', i] },
          'Claude Code knows no optional dependencies and would require this one.',
          'Move it to haivemind.optional_dependencies.',
        );
      }
    });
  }
}
