import * as z from 'zod';
import { isJsonObject } from '../json/read.ts';

/**
 * Fields of plugin.json whose wrong form makes Claude Code refuse the plugin, beside those that parseManifest and the
 * path checks look at.
 */

const text = z.string();
const texts = z.record(text, text);

const Option = z
  .strictObject({
    type: z.enum(['string', 'number', 'boolean', 'directory', 'file']),
    title: text,
    description: text,
    required: z.boolean().optional(),
    default: z.union([text, z.number(), z.boolean(), z.array(text)]).optional(),
    multiple: z.boolean().optional(),
    sensitive: z.boolean().optional(),
    min: z.number().optional(),
    max: z.number().optional(),
    options: z.array(text.min(1).max(64)).min(1).optional(),
  })
  .refine((o) => o.options === undefined || (o.type === 'string' && o.multiple !== true && o.sensitive !== true), {
    path: ['options'],
    message: 'options is only for a string that is neither multiple nor sensitive',
  })
  .refine((o) => o.options === undefined || (o.default === undefined ? o.required === true : isOneOf(o)), {
    path: ['default'],
    message: 'with options there must be a default among them, or required: true',
  });

const isOneOf = (o: { default?: unknown; options?: string[] | undefined }): boolean =>
  typeof o.default === 'string' && o.options?.includes(o.default) === true;

const Command = z
  .looseObject({
    source: text.optional(),
    content: text.optional(),
    description: text.optional(),
    argumentHint: text.optional(),
    model: text.optional(),
    allowedTools: z.array(text).optional(),
  })
  .refine((c) => !c.source !== !c.content, { message: 'a command has either "source" or "content"' });

const milliseconds = z.int().positive().optional();
const LanguageServer = z.strictObject({
  command: text.min(1).refine((c) => !c.includes(' ') || c.startsWith('/'), {
    message: 'the command of a language server holds no spaces; use "args"',
  }),
  args: z.array(text.min(1)).optional(),
  extensionToLanguage: z
    .record(text.min(2).startsWith('.', 'extensions start with a dot'), text.min(1))
    .refine((m) => Object.keys(m).length > 0, { message: 'name at least one extension' }),
  transport: z.enum(['stdio', 'socket']).optional(),
  env: texts.optional(),
  initializationOptions: z.unknown().optional(),
  settings: z.unknown().optional(),
  workspaceFolder: text.optional(),
  startupTimeout: milliseconds,
  shutdownTimeout: milliseconds,
  requestTimeout: milliseconds,
  restartOnCrash: z.boolean().optional(),
  maxRestarts: z.int().nonnegative().optional(),
  diagnostics: z.boolean().optional(),
});

const paths = z.union([text, z.array(text)]);
const lspFile = text.endsWith('.json', 'must be a .json file');

const inline = z.looseObject({});
const pathsOrInline = z.union(
  [text, inline, z.array(z.union([text, inline]))],
  'must be a path, an object, or a list of these',
);
const Monitor = z.strictObject({
  name: text.min(1),
  command: text.min(1),
  description: text.min(1),
  when: z
    .union([z.literal('always'), text.regex(/^on-skill-invoke:./)], 'must be "always" or "on-skill-invoke:SKILL"')
    .optional(),
});
const monitors = z
  .union(
    [
      text,
      z.array(Monitor).refine((all) => new Set(all.map((m) => m.name)).size === all.length, {
        message: 'each monitor needs a name of its own',
      }),
    ],
    'must be a path or a list of monitors, each with a name, a command and a description',
  )
  .optional();

const ManifestFields = z.looseObject({
  $schema: text.optional(),
  displayName: text.optional(),
  description: text.optional(),
  homepage: z.url('must be a URL').optional(),
  repository: text.optional(),
  license: text.optional(),
  keywords: z.array(text).optional(),
  defaultEnabled: z.boolean().optional(),
  author: z.looseObject({ name: text.min(1) }).optional(),
  commands: z.union([paths, z.record(text, Command)]).optional(),
  agents: paths.optional(),
  skills: paths.optional(),
  hooks: pathsOrInline.optional(),
  mcpServers: pathsOrInline.optional(),
  monitors,
  experimental: z.looseObject({ monitors, themes: paths.optional() }).optional(),
  outputStyles: paths.optional(),
  themes: paths.optional(),
  workflows: paths.optional(),
  types: text.endsWith('.d.ts').optional(),
  settings: z.record(text, z.unknown()).optional(),
  userConfig: z.record(text.regex(/^[A-Za-z_]\w*$/, 'an option is an identifier'), Option).optional(),
  channels: z
    .array(
      z.strictObject({
        server: text.min(1),
        displayName: text.optional(),
        userConfig: z.record(text, Option).optional(),
      }),
    )
    .optional(),
  lspServers: z
    .union([lspFile, z.record(text, LanguageServer), z.array(z.union([lspFile, z.record(text, LanguageServer)]))])
    .optional(),
});

export interface FieldFault {
  path: (string | number)[];
  message: string;
}

/** What the client would refuse, each with its path. */
export function manifestFaults(manifest: Record<string, unknown>): FieldFault[] {
  // the client ignores what is no object here
  const { experimental, ...others } = manifest;
  const parsed = ManifestFields.safeParse(isJsonObject(experimental) ? manifest : others);
  if (parsed.success) return [];
  return parsed.error.issues.slice(0, 50).map((issue) => {
    const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
    return { path, message: issue.message };
  });
}
