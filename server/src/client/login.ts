import type { Reply } from '../contract/endpoints.ts';
import { HaiveError } from '../domain/errors.ts';
import { updateConfig } from '../machine/config-file.ts';
import { type ClientContext, hubAddress, readCa } from './context.ts';
import { connectHub, hubUrl } from './hub-client.ts';

export interface LoginResult {
  url: string;
  token: Reply<'whoami'>['token'];
  hub: Reply<'whoami'>['hub'];
}

/**
 * Keeps an operator's or publisher's token after asking the hub what it may do.
 * @throws HaiveError TOKEN_INVALID, USAGE (a machine's token), and those of the call; nothing is kept then
 */
export async function login(ctx: ClientContext, url: string | undefined, token: string): Promise<LoginResult> {
  const address = url === undefined ? await hubAddress(ctx) : hubUrl(url);
  const hub = connectHub({ url: address, token, ca: await readCa(ctx) });
  try {
    const who = await hub.call('whoami');
    if (who.machine !== null) {
      throw new HaiveError('USAGE', "This is a machine's token; login keeps the token of a person", {
        hint: 'An admin makes one with `hv token create NAME --roles publisher`.',
      });
    }
    ctx.config = await updateConfig(ctx.machine, (raw) => {
      raw.login = { url: address, token };
      return raw;
    });
    return { url: address, token: who.token, hub: who.hub };
  } finally {
    hub.close();
  }
}

/** Forgets the kept token. @returns whether there was one */
export async function logout(ctx: ClientContext): Promise<boolean> {
  if (ctx.config.login === undefined) return false;
  ctx.config = await updateConfig(ctx.machine, (raw) => {
    delete raw.login;
    return raw;
  });
  return true;
}
