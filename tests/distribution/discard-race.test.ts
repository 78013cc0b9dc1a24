// What was asked of an update besides holds also where another session of the machine, for which the hub rang, was faster with it.

import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { listBackups } from '../../server/src/client/backups.ts';
import { type ClientContext, openClient } from '../../server/src/client/context.ts';
import { installPlugin, updatePlugins } from '../../server/src/client/install/index.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { realFilePort } from '../../server/src/machine/files/file-port.ts';
import { publish, type TestHub, testHub } from '../hub/support.ts';
import { type RealClient, realClient } from './real-client.ts';

const NAMES = ['app', 'lib', 'other'];

let t: TestHub;
let machine: RealClient;
beforeEach(async () => {
  t = await testHub('sqlite');
  machine = await realClient(t.url, t.hub.joinToken, 'm1');
  await publishAll('1.0.0');
  for (const name of ['app', 'other']) await installPlugin(machine.ctx, name);
  for (const name of NAMES) await appendFile(fileOf(name), 'mine\n');
});
afterEach(async () => {
  await machine.remove();
  await t.close();
});

async function publishAll(version: string): Promise<void> {
  // What is published changes far enough from the edit for the two to be merged.
  const files = { 'commands/hello.md': `---\ndescription: Hello\n---\nFrom ${version}\n${'and so on\n'.repeat(9)}` };
  const dependencies = [{ name: 'lib', version: `^${version}` }];
  const wishes = [{ name: 'lib' }, { name: 'other' }, { name: 'app', manifest: { dependencies } }];
  for (const wish of wishes) await publish(t.url, t.admin, { ...wish, version, files }, ['nobody']);
}

const fileOf = (name: string) => join(machine.ctx.machine.paths.pluginsDir, name, 'commands', 'hello.md');

/** The machine as a command sees it that comes to its lock only after another session has made all updates. */
async function behindAnother(): Promise<ClientContext> {
  const real = realFilePort();
  let first = true;
  const link: typeof real.link = async (from, to) => {
    if (first) {
      first = false;
      const { changed } = await syncMachine(machine.ctx, { mode: 'agent' });
      expect(changed.updated.map((p) => p.name).sort()).toEqual(NAMES);
    }
    return real.link(from, to);
  };
  return openClient(machine.ctx.env, { port: { ...real, link } });
}

/** Whose edits are in place, and whose in a backup. */
async function edits() {
  const stay = [];
  for (const name of NAMES) {
    const text = await readFile(fileOf(name), 'utf8');
    expect(text).toContain('From 1.1.0');
    if (text.includes('mine')) stay.push(name);
  }
  const kept = [];
  for (const { id } of (await listBackups(machine.ctx)).filter((row) => row.kind === 'edits')) {
    const aside = join(machine.ctx.machine.paths.backups, id, 'commands', 'hello.md');
    if ((await readFile(aside, 'utf8')).includes('mine')) kept.push(id.split('/')[1]);
  }
  return { stay, kept: kept.sort() };
}

it('an installation replaces the edits of what it names and needs, and keeps them', async () => {
  await publishAll('1.1.0');
  const { sync } = await installPlugin(await behindAnother(), 'app', { discardEdits: true });
  expect(sync?.changed.reinstalled.map((p) => p.name)).toEqual(['lib', 'app']);
  expect(sync?.reloadNeeded).toBe(true);
  expect(await edits()).toEqual({ stay: ['other'], kept: ['app', 'lib'] });
});

it.each(['discardEdits', 'force'])('an update does so too, by %s', async (option) => {
  await publishAll('1.1.0');
  await updatePlugins(await behindAnother(), ['app'], { [option]: true });
  expect(await edits()).toEqual({ stay: ['other'], kept: ['app', 'lib'] });
});

it('a sync does so with all', async () => {
  await publishAll('1.1.0');
  await syncMachine(await behindAnother(), { mode: 'explicit', discardEdits: true });
  expect(await edits()).toEqual({ stay: [], kept: NAMES });
});

it('without being asked none does', async () => {
  await publishAll('1.1.0');
  await installPlugin(await behindAnother(), 'app');
  expect(await edits()).toEqual({ stay: NAMES, kept: [] });
});
