// A machine that joined a scripted hub, anew for each test, and what the tests of its trust in that hub have in common.
import { writeFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { updateTrust, withHub } from '../../server/src/client/trust/publisher-keys.ts';
import { createKeyPair } from '../../server/src/domain/signing/dsse.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { version } from '../cli/scripted-hub.ts';
import { hub, m, scriptedPair } from '../cli/scripted-pair.ts';

export const code = (expected: string) => expect.objectContaining({ code: expected });
export const OPERATOR = createKeyPair();
export const hooks = JSON.stringify({ hooks: { Stop: [{ hooks: [{ type: 'command', command: 'sh x.sh' }] }] } });

export { hub, m };

/** Gives each test a hub of its own and a machine that joined it. */
export const eachAtHub = (): void => scriptedPair({ auto_install_updates: true });

export const a1 = version('alpha', '1.0.0', { 'x.txt': 'one' });
export const a2 = version('alpha', '2.0.0', { 'x.txt': 'two' });
export const b1 = version(
  'beta',
  '1.0.0',
  { 'x.txt': 'b' },
  { entry: { dependencies: [{ name: 'alpha', range: '*', kind: 'required' }] } },
);
export const hooked = version('alpha', '2.0.0', { 'hooks/hooks.json': hooks });
export const revokedOf = (v: typeof a1, reason = 'steals keys') => ({
  name: v.entry.name,
  version: v.entry.version,
  digest: v.entry.digest,
  reason,
});
export const installed = async () =>
  Object.values((await readReceipts(m.ctx.machine)).plugins).map((p) => `${p.name}@${p.version}`);
export const sync = async (mode: 'agent' | 'explicit' = 'agent') => syncMachine(await m.reopen(), { mode });
export const policy = (value: unknown) => writeFile(m.ctx.machine.paths.policy, JSON.stringify(value));
export const knowOperator = async (...more: string[]) => {
  const { machine } = m.ctx;
  const operators = [OPERATOR.publicKey, ...more];
  await updateTrust(machine, (trust) => withHub(trust, 'hub_test', { publishers: {}, plugins: {}, operators }));
};
