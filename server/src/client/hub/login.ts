import type { Reply } from '../../contract/endpoints.ts';
import { HaiveError } from '../../domain/errors.ts';
import { updateConfig } from '../../machine/config-file.ts';
import { type ClientContext, hubAddress, hubAuthorities, proxiesOf, readHostToken, requireTls } from '../context.ts';
import { connectHub, hubUrl } from './hub-client.ts';

export interface LoginResult {
  url: string;
  token: Reply<'whoami'>['token'];
  hub: Reply<'whoami'>['hub'];
}

/**
 * Keeps an operator's or publisher's token after asking the hub what it may do.
 * @throws HaiveError TLS_REQUIRED, TOKEN_INVALID, USAGE (a machine's token), and those of the call; nothing is kept then
 */
export async function login(ctx: ClientContext, url: string | undefined, token: string): Promise<LoginResult> {
  const address = requireTls(ctx, url === undefined ? await hubAddress(ctx) : hubUrl(url));
  const hub = connectHub({ url: address, token, ca: await hubAuthorities(ctx), proxies: proxiesOf(ctx) });
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

/**
 * Keeps a token that was traded for the one this machine spoke with, where that one was kept here: the login's, else the machine's.
 * @returns false when it came from the environment or from the hub beside, and whoever set it must set the new one
 */
export async function keepRotated(ctx: ClientContext, token: string): Promise<boolean> {
  if (ctx.env.token !== undefined) return false;
  const { login } = ctx.config;
  if (login === undefined && ((await readHostToken(ctx)) !== undefined || ctx.config.token === undefined)) return false;
  ctx.config = await updateConfig(ctx.machine, (raw) => {
    if (login === undefined) raw.token = token;
    else raw.login = { ...login, token };
    return raw;
  });
  return true;
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
