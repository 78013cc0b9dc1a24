import { decodeFrames, FRAMES_TYPE, type Frame } from '../../contract/frames.ts';
import { HaiveError } from '../../domain/errors.ts';
import type { Machine } from '../../machine/machine.ts';
import { openIntake } from '../../machine/store/intake.ts';
import { arriving, brokenOff } from '../hub/http-body.ts';
import { type HubClient, isCut } from '../hub/hub-client.ts';
import { readTrust } from '../trust/publisher-keys.ts';
import type { Answering, Asking, TransferOptions, TransferResult, Wanted } from './asking.ts';
import { keepPack, openBatches } from './batch.ts';
import { takeBlob, takeDelta } from './contents.ts';
import { partial, stillLacking, wholeVersions } from './here.ts';
import { keptKeys } from './keys.ts';
import { takeRecord } from './records.ts';

/**
 * Brings records and missing blobs of versions into this machine's blob store. Every sha256 and signature is checked as it arrives;
 * what arrived before a cut stays, and the next attempt asks only for the rest.
 * @throws HaiveError of the connection (HUB_UNREACHABLE, TIMEOUT, HUB_ANSWER_INVALID, the hub's own codes)
 */
export async function fetchVersions(
  m: Machine,
  hub: HubClient,
  wanted: readonly Wanted[],
  options: TransferOptions,
): Promise<TransferResult> {
  const result: TransferResult = { fetched: new Map(), failed: new Map(), bytes: 0 };
  const keys = keptKeys(m, await readTrust(m));
  let differences = true;
  try {
    for (let attempt = 1; ; attempt++) {
      const lacking = await stillLacking(m, wanted, result, options.hub);
      if (lacking.length === 0) break;
      let misfit: boolean;
      try {
        misfit = await askOnce(m, hub, lacking, { result, keys, options, differences });
      } catch (thrown) {
        if (attempt >= options.attempts || !isCut(thrown) || options.signal?.aborted === true) throw thrown;
        continue;
      }
      if (misfit) {
        // Differences that do not fit what is here cost one more question, never the update.
        differences = false;
        continue;
      }
      for (const want of await stillLacking(m, lacking, result, options.hub)) {
        const message = `The hub did not send all of ${want.name}@${want.version}`;
        result.failed.set(want.digest, new HaiveError('BLOB_NOT_FOUND', message));
      }
      break;
    }
  } finally {
    await keys.settled();
  }
  return result;
}

/** @returns true when differences came that did not fit: what they stood for is still lacking */
async function askOnce(m: Machine, hub: HubClient, wanted: readonly Wanted[], asking: Asking): Promise<boolean> {
  const { options } = asking;
  const answer = await hub.open('transfer', {
    body: {
      versions: wanted.map((w) => w.digest),
      have: await wholeVersions(m, wanted, options),
      have_blobs: await partial(m, wanted),
      forms: asking.differences ? ['delta', 'batch'] : [],
    },
    headers: { accept: FRAMES_TYPE },
    signal: options.signal,
  });
  if (!String(answer.headers['content-type']).startsWith(FRAMES_TYPE)) {
    answer.body.destroy();
    throw new HaiveError('HUB_ANSWER_INVALID', 'The hub answers with something other than frames');
  }
  const so: Answering = {
    ...asking,
    wanted: new Map(wanted.map((w) => [w.digest, w])),
    expected: new Map(),
    intake: openIntake(m),
    newest: null,
    misfit: false,
  };
  const limit = Math.max(options.maxBytes, 8 * 1024 * 1024) + 64 * 1024;
  try {
    const frames = decodeFrames(counted(arriving(answer), asking), limit);
    for await (const frame of openBatches(frames)) {
      await take(m, hub, frame, so);
      // Lets more arrive.
      if (frame.header.t === 'pack') await new Promise(setImmediate);
    }
  } catch (thrown) {
    answer.body.destroy();
    await so.intake.settle().catch(() => undefined);
    throw brokenOff(thrown, 'The transfer broke off; what arrived is kept');
  }
  await so.intake.settle();
  return so.misfit && asking.differences;
}

async function* counted(chunks: AsyncIterable<Buffer>, { result, options }: Asking): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    result.bytes += chunk.length;
    options.onBytes?.(result.bytes);
    yield chunk;
  }
}

async function take(m: Machine, hub: HubClient, frame: Frame, so: Answering): Promise<void> {
  if (frame.header.t === 'record') await takeRecord(m, hub, frame, so);
  else if (frame.header.t === 'blob') await takeBlob(frame, so);
  else if (frame.header.t === 'delta') await takeDelta(m, frame, so);
  else if (frame.header.t === 'pack' && so.newest !== null) await keepPack(so.intake, so.newest.record, frame);
}
