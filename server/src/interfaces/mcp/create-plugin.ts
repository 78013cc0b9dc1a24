import type { ClientContext } from '../../client/context.ts';
import { pathFrom } from '../../machine/paths.ts';
import { scaffold, writeScaffold } from '../../machine/scaffold/index.ts';
import type { ToolInput, ToolOutput } from './tools/index.ts';

/**
 * Writes the folder of a new plugin.
 * @throws HaiveError NAME_INVALID, NAME_RESERVED, PATH_OCCUPIED, READ_ONLY, IO_ERROR
 */
export async function createPluginFolder(
  { env }: ClientContext,
  { name, path, components, template, description }: ToolInput<'create_plugin'>,
): Promise<ToolOutput<'create_plugin'>> {
  const files = scaffold(name, { components, template, description });
  const folder = pathFrom(path ?? name, env.home, process.cwd());
  await writeScaffold(folder, files);
  return { path: folder, files: files.map((file) => file.path) };
}
