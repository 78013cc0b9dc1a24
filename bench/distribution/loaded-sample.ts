import { claudeBinary } from '../../tests/client/harness/claude-binary.ts';
import { runProcess } from '../../tests/support/run-process.ts';

/**
 * Asks the real client in some of the HOMEs what it loads.
 * @returns how many were asked, and how many of those load that version without an error
 */
export async function loadedSample(
  homes: readonly string[],
  plugin: { name: string; version: string },
): Promise<{ asked: number; loaded: number }> {
  const claude = await claudeBinary();
  const sample = homes.filter((_home, i) => i % Math.ceil(homes.length / 5) === 0);
  let loaded = 0;
  for (const home of sample) {
    const env = { HOME: home, PATH: process.env.PATH ?? '', DISABLE_AUTOUPDATER: '1' };
    const { stdout } = await runProcess(claude, ['plugin', 'list', '--json'], { cwd: home, env });
    const listed = JSON.parse(stdout) as { id: string; version?: string; enabled: boolean; errors?: string[] }[];
    const here = listed.find(({ id }) => id === `${plugin.name}@collective`);
    if (here?.enabled && here.version === plugin.version && (here.errors ?? []).length === 0) loaded++;
  }
  return { asked: sample.length, loaded };
}
