import { readFile, rm } from 'node:fs/promises';
import { CHAIN_START } from '../../server/src/domain/local-audit.ts';
import { createKeyPair, sealJson } from '../../server/src/domain/signing/dsse.ts';
import { RECORD_PAYLOAD_TYPE } from '../../server/src/domain/version/record.ts';
import { noteChanges } from '../../server/src/machine/audit/log.ts';
import { recover } from '../../server/src/machine/change/transaction.ts';
import { changeConfig } from '../../server/src/machine/config-file.ts';
import { readText, writeText } from '../../server/src/machine/files/text-file.ts';
import { mendLinks } from '../../server/src/machine/links.ts';
import { clearLive, readLive, writeLive } from '../../server/src/machine/live-state.ts';
import type { Machine } from '../../server/src/machine/machine.ts';
import { dropOverlaid } from '../../server/src/machine/overlay.ts';
import { takeLease } from '../../server/src/machine/processes/leases.ts';
import { publisherKey, readPublisherKey } from '../../server/src/machine/publisher-key.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import {
  collectBlobs,
  getRecord,
  missingBlobs,
  putBlob,
  putRecord,
  readBlob,
  sha256Of,
} from '../../server/src/machine/store/blob-store.ts';
import { openIntake } from '../../server/src/machine/store/intake.ts';
import { makeVersion } from '../machine/rig.ts';
import type { Scenario } from './scenarios.ts';

/** What is written outside of changes, one file at a time and without the lock: whole or not at all, and done again. */

const BYTES = Buffer.from('some bytes of a plugin');
const { install } = makeVersion('blobs', '1.0.0', { 'commands/x.md': 'x' });
const MANY = Array.from({ length: 20 }, (_, i) => Buffer.from(`number ${i} of many`));
const few = makeVersion('few', '1.0.0', { 'docs/x.md': String(MANY[3]) }).install;
const KEY = createKeyPair();

async function said(run: () => Promise<unknown>): Promise<string | null> {
  try {
    await run();
    return null;
  } catch (error) {
    return String(error);
  }
}

export const SINGLE_FILES: Scenario[] = [
  {
    name: 'keep bytes and records',
    repeated: true,
    async prepare(rig) {
      await rig.write(`.claude/plugins/.haivemind/blobs/${sha256Of(BYTES)}`, 'damaged');
      await rig.write(`.claude/plugins/.haivemind/blobs/${sha256Of('old')}`, 'old');
      return async (m) => {
        await said(() => readBlob(m, sha256Of(BYTES)));
        await putBlob(m, sha256Of(BYTES), BYTES);
        await putRecord(m, sealJson(RECORD_PAYLOAD_TYPE, install.record, KEY.privatePem), install.record);
        const later: Machine = { ...m, clock: () => new Date(Date.now() + 48 * 3600 * 1000) };
        await collectBlobs(later, [install.record.digest]);
        await putBlob(m, sha256Of(BYTES), BYTES);
      };
    },
    verdict: ({ machine }) =>
      said(async () => {
        await readBlob(machine, sha256Of(BYTES));
        if ((await getRecord(machine, install.record.digest)) === null) throw new Error('the record is gone');
      }),
  },
  {
    name: 'keep many bytes in one file, and take it apart',
    repeated: true,
    async prepare() {
      return async (m) => {
        const intake = openIntake(m);
        for (const bytes of MANY) await intake.put(sha256Of(bytes), bytes);
        await intake.settle();
        const later: Machine = { ...m, clock: () => new Date(Date.now() + 48 * 3600 * 1000) };
        await putRecord(m, sealJson(RECORD_PAYLOAD_TYPE, few.record, KEY.privatePem), few.record);
        await collectBlobs(later, [few.record.digest]);
      };
    },
    verdict: ({ machine }) =>
      said(async () => {
        const missing = await missingBlobs(machine, [few.record]);
        for (const { sha256 } of few.record.files)
          if (missing.every((blob) => blob.sha256 !== sha256)) await readBlob(machine, sha256);
      }),
  },
  {
    name: 'take a file out of the overlay',
    repeated: true,
    async prepare(rig) {
      await rig.write('.claude/plugins/.haivemind/overlays/a/deep/x', 'mine');
      return (m) => dropOverlaid(m, { name: 'a', dir: 'versions/a/1.0.0-0123456789ab' }, 'deep/x');
    },
  },
  {
    name: 'configure',
    repeated: true,
    async prepare() {
      return (m) => changeConfig(m, (raw) => ({ ...raw, hub_url: 'https://hub.test', other: 'kept' }));
    },
  },
  {
    name: "the client's settings where its folder is elsewhere than ours",
    repeated: true,
    async prepare(rig) {
      const settings = rig.path('client', 'settings.json');
      return async (m) => writeText(m, settings, await readText(settings), '{}\n');
    },
  },
  {
    name: 'a journal that the power took before it was on the disk',
    repeated: true,
    async prepare(rig) {
      await rig.store('a', '1.0.0', { x: 'x' });
      await rig.write('.claude/plugins/.haivemind/journal.json', '{"format":1,"phase":"stag');
      await rig.write('.claude/plugins/.haivemind/.journal.json.hv-tmp', 'half');
      return async (m) => {
        if ((await recover(m)) !== 'nothing') throw new Error('it was taken for a journal');
      };
    },
  },
  {
    name: 'note a change that has no journal',
    repeated: true,
    async prepare() {
      const entry = { what: 'config', target: 'x', from: null, before: null, after: 1, result: 'done' };
      return (m) => noteChanges(m, [entry], CHAIN_START);
    },
  },
  {
    name: 'bring back links that are gone',
    repeated: true,
    async prepare(rig) {
      await rig.apply({
        install: [await rig.store('a', '1.0.0', { x: 'x' }), await rig.store('b', '1.0.0', { x: 'x' })],
      });
      for (const name of ['a', 'b']) await rm(rig.path('.claude/plugins', name));
      return async (m) => {
        await mendLinks(m, await readReceipts(m));
      };
    },
  },
  {
    name: 'make the key',
    repeated: true,
    async prepare() {
      return publisherKey;
    },
    verdict: async ({ machine }) => ((await readPublisherKey(machine)) === null ? 'no key' : null),
  },
  {
    name: 'a session begins and ends',
    repeated: true,
    async prepare(rig) {
      await rig.store('a', '1.0.0', { x: 'x' });
      return async (m) => {
        const lease = await takeLease(m, { pid: process.pid, sessionId: 's' });
        await writeLive(m, { output: { a: 1 } });
        if ((await readLive(m)) === null) throw new Error('not live');
        await clearLive(m);
        await lease.release();
      };
    },
    verdict: async ({ machine }) =>
      (await readLive(machine)) === null ? null : `left: ${await readFile(machine.paths.live, 'utf8')}`,
  },
];
