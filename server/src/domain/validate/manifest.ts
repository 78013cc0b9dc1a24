import { HAIVEMIND_FIELDS, MANIFEST_FIELDS } from '../client-facts.ts';
import { HaiveError } from '../errors.ts';
import { MANIFEST_PATH } from '../file-types.ts';
import { parseManifest } from '../manifest.ts';
import { isJsonObject, type JsonObject } from '../read-json.ts';
import { checkPaths } from './component-paths.ts';
import type { Subject } from './subject.ts';
import { didYouMean } from './suggest.ts';

const TEXT_FIELDS = ['displayName', 'description', 'homepage', 'license', 'icon'] as const;
const PATH_KEYS = [
  'commands',
  'agents',
  'skills',
  'hooks',
  'mcpServers',
  'lspServers',
  'outputStyles',
  'themes',
  'monitors',
  'workflows',
];
const OPTION_TYPES = ['string', 'number', 'boolean', 'directory', 'file'];

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
  try {
    parseManifest(file.bytes);
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
  for (const key of PATH_KEYS) checkPaths(subject, [key], manifest[key], false);
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
  const wrong = (path: (string | number)[], what: string) =>
    subject.error(
      'MANIFEST_FIELD',
      MANIFEST_PATH,
      { json: path },
      `${path.join('.')} ${what}.`,
      'Claude Code refuses the plugin; correct the value.',
    );
  for (const key of TEXT_FIELDS) {
    if (manifest[key] !== undefined && typeof manifest[key] !== 'string') wrong([key], 'must be text');
  }
  if (typeof manifest.homepage === 'string' && !URL.canParse(manifest.homepage)) wrong(['homepage'], 'must be a URL');
  if (manifest.repository !== undefined && typeof manifest.repository !== 'string')
    wrong(['repository'], 'must be text');
  if (manifest.userConfig === undefined) return;
  if (!isJsonObject(manifest.userConfig)) {
    wrong(['userConfig'], 'must be an object');
    return;
  }
  for (const [name, option] of Object.entries(manifest.userConfig)) {
    const path = ['userConfig', name];
    if (!isJsonObject(option)) wrong(path, 'must be an object');
    else {
      if (!OPTION_TYPES.includes(String(option.type)))
        wrong([...path, 'type'], `must be one of ${OPTION_TYPES.join(', ')}`);
      for (const key of ['title', 'description']) {
        if (typeof option[key] !== 'string') wrong([...path, key], 'must be text');
      }
    }
  }
}

function checkDependencies(subject: Subject, dependencies: unknown): void {
  const place = { json: ['dependencies'] };
  if (isJsonObject(dependencies)) {
    subject.error(
      'DEPENDENCIES_FORM',
      MANIFEST_PATH,
      place,
      'Claude Code refuses `dependencies` as an object.',
      'Write a list: [{"name": "x", "version": "^1.0.0"}].',
    );
  } else if (Array.isArray(dependencies)) {
    dependencies.forEach((entry, i) => {
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
