import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ClientContext, openClient } from '../../server/src/client/context.ts';
import { joinHub } from '../../server/src/client/join/index.ts';

/** A machine as users have it, in `home`, joined, that installs updates by itself. */
export async function realMachine(home: string, url: string, token: string, name: string): Promise<ClientContext> {
  await mkdir(join(home, '.haivemind'), { recursive: true });
  const config = { plugins: { auto_install_updates: true, machine_group_auto_install: true } };
  await writeFile(join(home, '.haivemind/config.json'), JSON.stringify(config), { mode: 0o600 });
  const ctx = await openClient({
    home,
    claudeConfigDir: undefined,
    haivemindHome: undefined,
    hubUrl: undefined,
    token: undefined,
    caFile: undefined,
    path: process.env.PATH ?? '',
  });
  const joined = await joinHub(ctx, { url, token, name });
  if (joined.syncError !== null) throw joined.syncError;
  return ctx;
}
