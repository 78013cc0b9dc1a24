// Updates a plugin on a HOME and kills itself at its n-th file operation.

import { applyChange } from '../../server/src/machine/change/transaction.ts';
import { withLock } from '../../server/src/machine/processes/lock.ts';
import { dyingPort } from '../fault/dying-port.ts';
import { makeRig, makeVersion } from '../machine/rig.ts';
import { versionedFiles } from './versioned-plugin.ts';

const [home = '', log = '', at = ''] = process.argv.slice(2);
const machine = (await makeRig({ home })).withPort(dyingPort(Number(at), true));
const { install } = makeVersion('versioned', '2.0.0', versionedFiles('2.0.0', log), { executable: ['hook.sh'] });
await withLock(machine, 'update', () => applyChange(machine, { install: [install], remove: [], reason: 'update' }));
console.log('done');
