// Real machines in one process: `engines URL TOKEN FOLDER FIRST COUNT`. Says one line when all are connected.
import { join } from 'node:path';
import { holdLiveChannel } from '../../server/src/client/live/hold.ts';
import { realMachine } from './real-machine.ts';

const [url = '', token = '', folder = '', first = '0', count = '0'] = process.argv.slice(2);
const AT_ONCE = 4;
let next = Number(first);
const end = next + Number(count);
const stop = new AbortController();

async function worker(): Promise<void> {
  while (next < end) {
    const name = `real-${next++}`;
    const ctx = await realMachine(join(folder, name), url, token, name);
    await new Promise<void>((resolve) => {
      const onState = (state: string): void => void (state === 'connected' && resolve());
      holdLiveChannel(ctx, { signal: stop.signal, onState }).catch((error) => console.error(name, error));
    });
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, worker));
console.log('ready');
process.on('SIGTERM', () => process.exit(0));
