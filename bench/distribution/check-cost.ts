import { type Policy, refusal } from '../../server/src/domain/policy.ts';
import { checkPath, checkPathSet } from '../../server/src/domain/safe-path.ts';
import { createKeyPair, openJson, sealJson } from '../../server/src/domain/signing/dsse.ts';
import { computeSurface } from '../../server/src/domain/surface/index.ts';
import { packPlugin } from '../../server/src/domain/version/package.ts';
import { checkRecord, RECORD_PAYLOAD_TYPE, type VersionRecord } from '../../server/src/domain/version/record.ts';
import { sha256Of } from '../../server/src/machine/store/blob-store.ts';
import { sourceOf, type Version } from './plugins.ts';

const TIMES = 300;
const POLICY: Policy = {
  plugins: { deny: ['evil-*'] },
  forbid: { commands: ['curl *'], hook_events: ['PreToolUse(*)'] },
  max_surface: {
    tools: ['*'],
    hook_events: ['*'],
    commands: ['*'],
    hosts: ['*'],
    mcp_servers: ['*'],
    environment: ['*'],
  },
  min_age_hours: 1,
  confirm: 'wider',
  downgrade: 'signed',
};

/** CPU microseconds that an installation of this plugin spends on each kind of check, the mean of many. */
export function checkCost(plugin: Version): Record<'signature' | 'hashes' | 'surface' | 'policy', number> {
  const files = sourceOf(plugin);
  const { record } = packPlugin(files, { maxBytes: 1e9, now: new Date(0) });
  const key = createKeyPair();
  const envelope = sealJson(RECORD_PAYLOAD_TYPE, record, key.privatePem);
  const surface = computeSurface(files);
  const facts = {
    name: plugin.name,
    version: plugin.version,
    keyid: 'k',
    imported: false,
    surface,
    before: surface,
    publishedAt: '2020-01-01T00:00:00.000Z',
    groups: ['web'],
    now: new Date(),
    approval: undefined,
    signers: 0,
    newest: plugin.version,
    confirmed: false,
    unconfined: null,
  };
  return {
    signature: cpu(() => {
      const opened = openJson(envelope, RECORD_PAYLOAD_TYPE, [key.publicKey]).value as VersionRecord;
      checkRecord(opened);
      checkPathSet(opened.files.map((file) => checkPath(file.path)));
    }),
    hashes: cpu(() => {
      for (const file of files) sha256Of(file.bytes);
    }),
    surface: cpu(() => computeSurface(files)),
    policy: cpu(() => refusal(POLICY, facts)),
  };
}

function cpu(run: () => unknown): number {
  for (let i = 0; i < 30; i++) run();
  const before = process.cpuUsage();
  for (let i = 0; i < TIMES; i++) run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / TIMES;
}
