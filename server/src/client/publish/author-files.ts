import type { Finding } from '../../domain/findings/index.ts';
import type { SourceFile } from '../../domain/version/package.ts';
import { readPlugin } from '../../machine/read-plugin.ts';
import type { ClientContext } from '../context.ts';

/**
 * An author's plugin as it would be packed, and a warning for each link that cannot come along.
 * @throws HaiveError of readPlugin
 */
export async function readAuthorFiles(
  ctx: ClientContext,
  path: string,
): Promise<{ files: SourceFile[]; findings: Finding[] }> {
  const findings: Finding[] = [];
  const files = await readPlugin(path, {
    maxBytes: ctx.config.plugins.max_plugin_size_mb * 1024 * 1024,
    onLinkLeftOut: (file) => findings.push(leftOut(file)),
  });
  return { files, findings };
}

function leftOut(file: string): Finding {
  return {
    ...{ code: 'LINK_LEFT_OUT', severity: 'warning', file, line: null, column: null },
    message: 'The link leads nowhere, in a circle or out of the plugin, so nothing is shipped for it.',
    fix: 'Put the file itself in its place, or remove the link.',
  };
}
