import type { Reply } from '../../contract/endpoints.ts';
import { decodeFrames, FRAMES_TYPE, type Frame } from '../../contract/frames.ts';
import { HaiveError } from '../../domain/errors.ts';
import { readReceipts } from '../../machine/receipts/index.ts';
import type { ClientContext } from '../context.ts';
import { arriving, brokenOff, readAll } from '../hub/http-body.ts';
import { type HubClient, parseReply } from '../hub/hub-client.ts';
import { MAX_BROUGHT, readBrought, throughParcel } from '../sync/parcel.ts';
import { followedPlace, keptEtag } from '../sync/plan.ts';
import { wholeHere } from '../transfer/here.ts';

/**
 * Asks the hub to put a plugin into this machine's desired state, and for all that a sync would ask for next in the same answer.
 * @param id name or id, as the endpoint takes it
 * @param name of the plugin, as far as the reference tells
 * @returns the hub's word, and the hub with what it sent along before it
 * @throws HaiveError of the call
 */
export async function installBringing(
  ctx: ClientContext,
  hub: HubClient,
  { id, name, version }: { id: string; name: string; version: string },
): Promise<{ answer: Reply<'install'>; through: HubClient }> {
  const { plugins, retired } = await readReceipts(ctx.machine);
  const here = plugins[name];
  const trees = [...(here === undefined ? [] : [here, ...here.previous]), ...retired.filter((t) => t.name === name)];
  const plan = await keptEtag(ctx);
  const bring = { have: await wholeHere(ctx.machine, trees), ...(plan === undefined ? {} : { plan }) };
  const reply = await hub.open('install', {
    params: { id },
    body: { version, force: false, bring, ...followedPlace(ctx) },
  });
  // Hubs that do not know the question, and those that it is not for, answer it as ever.
  if (!String(reply.headers['content-type']).startsWith(FRAMES_TYPE)) {
    return { answer: parseReply('install', hub.url, await readAll(reply, MAX_BROUGHT)), through: hub };
  }
  const frames = decodeFrames(arriving(reply), MAX_BROUGHT);
  const first = await firstOf(frames);
  const answer = parseReply('install', hub.url, first.bytes);
  // What was cut off is asked for again by the sync itself.
  const brought = await readBrought(frames, plan).catch(() => null);
  return { answer, through: brought === null ? hub : throughParcel(hub, brought) };
}

async function firstOf(frames: AsyncGenerator<Frame>): Promise<Frame> {
  let first: Frame | undefined;
  try {
    first = (await frames.next()).value;
  } catch (thrown) {
    throw brokenOff(thrown, 'The answer broke off');
  }
  if (first?.header.t === 'installed') return first;
  throw new HaiveError('HUB_ANSWER_INVALID', 'The hub answers with frames that do not say what was done');
}
