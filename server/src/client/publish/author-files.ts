import type { Finding } from '../../domain/findings/index.ts';
import type { FindingPolicy } from '../../domain/findings/policy.ts';
import { isJsonObject, readJson } from '../../domain/json/read.ts';
import { MANIFEST_PATH, namedPaths } from '../../domain/version/file-types.ts';
import { isCache, isPrivate } from '../../domain/version/left-out.ts';
import type { SourceFile } from '../../domain/version/package.ts';
import { readPlugin } from '../../machine/read-plugin.ts';
import type { ClientContext } from '../context.ts';

/**
 * An author's plugin as it would be packed, and a warning for each link that cannot come along and each private file that
 * plugin.json does not name under `haivemind.include`.
 * @throws HaiveError of readPlugin
 */
export async function readAuthorFiles(
  ctx: ClientContext,
  path: string,
): Promise<{ files: SourceFile[]; findings: Finding[] }> {
  const findings: Finding[] = [];
  const read = await readPlugin(path, {
    maxBytes: ctx.config.plugins.max_plugin_size_mb * 1024 * 1024,
    onLinkLeftOut: (file) =>
      findings.push({
        ...leftOut('LINK_LEFT_OUT', file),
        message: 'The link leads nowhere, in a circle or out of the plugin, so nothing is shipped for it.',
        fix: 'Put the file itself in its place, or remove the link.',
      }),
  });
  const included = new Set(includedBy(read));
  const files = read.filter((file) => {
    if (isCache(file.path)) return false;
    if (!isPrivate(file) || included.has(file.path)) return true;
    findings.push({
      ...leftOut('PRIVATE_FILE_LEFT_OUT', file.path),
      message: 'Such a file holds settings or secrets of its author, so it is not shipped.',
      fix: `If it is meant for everybody, name it in plugin.json: "haivemind": {"include": [${JSON.stringify(file.path)}]}.`,
    });
    return false;
  });
  return { files, findings };
}

/** What an author is held to: the own policy over ours. */
export const authorPolicy = (ctx: ClientContext): FindingPolicy => ({
  LFS_POINTER: 'error',
  ...ctx.config.plugins.findings,
});

function includedBy(files: readonly SourceFile[]): string[] {
  const { haivemind } = readJson(files.find((f) => f.path === MANIFEST_PATH)?.bytes) ?? {};
  return isJsonObject(haivemind) ? namedPaths(haivemind.include) : [];
}

const leftOut = (code: 'LINK_LEFT_OUT' | 'PRIVATE_FILE_LEFT_OUT', file: string) =>
  ({ code, severity: 'warning', file, line: null, column: null }) as const;
