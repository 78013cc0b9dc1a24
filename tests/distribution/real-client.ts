// The machine's own engine in this process, with a HOME of its own, joined to a hub.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ClientContext, openClient } from '../../server/src/client/context.ts';
import { joinHub } from '../../server/src/client/join/index.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';

export interface RealClient {
  ctx: ClientContext;
  home: TempHome;
  remove(): Promise<void>;
}

export interface ClientWish {
  groups?: string[];
  capabilities?: string[];
  /** The `plugins` block of the configuration; updates install themselves unless it says otherwise. */
  plugins?: Record<string, unknown>;
  clock?: () => Date;
}

export async function realClient(url: string, token: string, name: string, wish: ClientWish = {}): Promise<RealClient> {
  const home = await tempHome(name);
  await mkdir(join(home.home, '.haivemind'));
  const plugins = { auto_install_updates: true, ...wish.plugins };
  await writeFile(join(home.home, '.haivemind/config.json'), JSON.stringify({ plugins }), { mode: 0o600 });
  const env = {
    home: home.home,
    claudeConfigDir: undefined,
    haivemindHome: undefined,
    hubUrl: undefined,
    token: undefined,
    caFile: undefined,
    path: process.env.PATH ?? '',
  };
  const ctx = await openClient(env, wish.clock === undefined ? {} : { clock: wish.clock });
  const { groups, capabilities } = wish;
  const joined = await joinHub(ctx, { url, token, name, groups, capabilities });
  if (joined.syncError !== null) throw joined.syncError;
  return { ctx, home, remove: () => home.remove() };
}
