// `npm start` as the README has it, in a clone whose packages are there.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readyLine } from '../support/hub-process.ts';
import { pluginCopy, REPOSITORY } from '../support/repository.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';

let clone: Awaited<ReturnType<typeof pluginCopy>>;
let home: TempHome;
beforeAll(async () => {
  clone = await pluginCopy();
  await symlink(join(REPOSITORY, 'node_modules'), join(clone.root, 'node_modules'));
  home = await tempHome('npm start');
});
afterAll(async () => {
  await clone?.remove();
  await home?.remove();
});

const answers = (url: string): Promise<boolean> =>
  fetch(`${url}/healthz`).then(
    (response) => response.ok,
    () => false,
  );

it('starts a hub, and ending npm ends the hub', async () => {
  const args = ['start', '--', '--port', '0', '--json', '--data-dir', join(home.project, 'data')];
  const npm = spawn('npm', args, { cwd: clone.root, env: home.env(), stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  npm.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const ready = await readyLine(npm, () => stderr);
  const url = String(ready.url);
  expect(await answers(url)).toBe(true);
  const ended = once(npm, 'exit');
  npm.kill('SIGTERM');
  await ended;
  while (await answers(url)) await sleep(100);
});
