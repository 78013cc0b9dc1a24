// A log that cannot be written any more is no reason for a hub to end.
import { open } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startHubProcess } from '../support/hub-process.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { ask } from './support.ts';

describe('a hub whose log nobody takes', () => {
  let home: TempHome;
  beforeEach(async () => {
    home = await tempHome('hub');
  });
  afterEach(() => home.remove());

  it('goes on where the reader is gone', async () => {
    const hub = await startHubProcess(home);
    hub.closeStderr();
    // Each of them is a line of the log; a broken pipe is heard of after the write.
    for (let i = 0; i < 5; i++) (await ask(hub.url, 'GET', '/readyz')).expect(200);
    expect(await hub.stop()).toBe(0);
  });

  it.skipIf(process.platform !== 'linux')('starts and goes on where its disk is full', async () => {
    const full = await open('/dev/full', 'w');
    try {
      const hub = await startHubProcess(home, { stderr: full.fd });
      for (let i = 0; i < 5; i++) (await ask(hub.url, 'GET', '/readyz')).expect(200);
      expect(await hub.stop()).toBe(0);
    } finally {
      await full.close();
    }
  });
});
