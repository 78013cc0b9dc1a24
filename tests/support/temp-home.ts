// A HOME of a test's own. Its path holds a space and non-ASCII letters, because people's do.
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

export interface TempHome {
  /** The folder given to programs as HOME. */
  home: string;
  /** An empty project folder to run programs in. */
  project: string;
  /** A folder that is first in PATH. */
  bin: string;
  /** Writes an executable POSIX sh script into `bin`. */
  fakeProgram(name: string, script: string): Promise<void>;
  /** The whole environment of programs that run in this HOME: nothing of the developer's own gets in. */
  env(extra?: Record<string, string>): Record<string, string>;
  remove(): Promise<void>;
}

/** Makes an empty HOME with a project folder beside it. `label` shows in its path. */
export async function tempHome(label = 'home'): Promise<TempHome> {
  const root = await mkdtemp(join(await realpath(tmpdir()), `hv ${label} ü-`));
  const home = join(root, 'home');
  const project = join(root, 'project');
  const bin = join(root, 'bin');
  for (const folder of [home, project, bin]) await mkdir(folder);
  return {
    home,
    project,
    bin,
    async fakeProgram(name, script) {
      await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    },
    env: (extra = {}) => ({
      HOME: home,
      USERPROFILE: home,
      PATH: [bin, dirname(process.execPath), '/usr/local/bin', '/usr/bin', '/bin'].join(delimiter),
      ...extra,
    }),
    remove: () => rm(root, { recursive: true, force: true, maxRetries: 3 }),
  };
}
