// A link may lead into a folder that is not there (dotfiles not cloned or not mounted yet): that is said before anything is changed.
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { runDoctor } from '../../server/src/client/doctor/doctor.ts';
import { joinHub } from '../../server/src/client/join/index.ts';
import { leaveHub } from '../../server/src/client/join/leave.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { updateConfig } from '../../server/src/machine/config-file.ts';
import { withLock } from '../../server/src/machine/processes/lock.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { snapshot } from '../machine/rig.ts';
import { serve, transfers, version } from './scripted-hub.ts';
import { hub, m, scriptedPair } from './scripted-pair.ts';

const bare = { name: 'team', version: '1.0.0', haivemind: { global_commands: true } };
const team = version('team', '1.0.0', {
  '.claude-plugin/plugin.json': JSON.stringify(bare),
  'commands/a.md': '---\ndescription: a\n---\none',
  'hooks/hooks.json': JSON.stringify({
    hooks: { Stop: [{ hooks: [{ type: 'command', command: 'echo team' }] }] },
  }),
  '.mcp.json': JSON.stringify({ mcpServers: { team: { command: 'node' } } }),
});

scriptedPair();
beforeEach(() => serve(hub, [team]));

const sync = () => syncMachine(m.ctx, { mode: 'explicit' });
const installed = async () => Object.keys((await readReceipts(m.ctx.machine)).plugins);
/** Names the link and the folder, and says what to do. */
const refusal = (link: string) => ({
  code: 'PATH_OCCUPIED',
  message: expect.stringMatching(new RegExp(`${link.replaceAll('.', '\\.')} .*/dots`)),
  hint: expect.stringContaining('take the link away'),
});
const joinAgain = async () => joinHub(await m.reopen(), { url: hub.url, token: 'hvt_x', name: 'm1' });
async function loosely() {
  await updateConfig(m.ctx.machine, (raw) => ({ ...raw, plugins: { layout: 'loose' } }));
  m.ctx = await m.reopen();
}

describe.each(['native', 'loose'])('in the %s layout', (layout) => {
  const links = ['.claude/settings.json', ...(layout === 'loose' ? ['.claude.json'] : []), '.claude/commands'];

  it.each(links)('%s: nothing is changed, and once the folder is there all goes on', async (link) => {
    if (layout === 'loose') await loosely();
    await mkdir(join(m.home, '.claude'), { recursive: true });
    await symlink(join(m.home, link.endsWith('.json') ? 'dots/file.json' : 'dots'), join(m.home, link));
    await expect(sync()).rejects.toMatchObject(refusal(link));
    expect(await installed()).toEqual([]);
    expect(
      Object.keys(await snapshot(m.home)).filter((path) => /versions|journal|hv-tmp|skills|agents/.test(path)),
    ).toEqual([]);
    expect((await runDoctor(m.ctx)).checks.find((c) => c.check === 'journal')).toMatchObject({ result: 'ok' });

    await mkdir(join(m.home, 'dots'));
    await sync();
    expect(await installed()).toEqual(['team']);
    expect(await readFile(join(m.home, link, link.endsWith('.json') ? '' : 'a.md'), 'utf8')).toMatch(/team|one/);
  });

  it.each(links.filter((link) => link.endsWith('.json')))(
    '%s: join refuses before the hub hears of it',
    async (link) => {
      if (layout === 'loose') await loosely();
      await leaveHub(m.ctx);
      if (layout === 'loose') await loosely();
      await mkdir(join(m.home, '.claude'), { recursive: true });
      await symlink(join(m.home, 'dots/file.json'), join(m.home, link));
      const asked = hub.seen.length;
      await expect(joinAgain()).rejects.toMatchObject(refusal(link));
      expect(hub.seen).toHaveLength(asked);
    },
  );

  it('a folder that went later keeps nobody from leaving', async () => {
    if (layout === 'loose') await loosely();
    await sync();
    const { paths } = m.ctx.machine;
    const text = await readFile(paths.settings, 'utf8').catch(() => '{}');
    await rm(paths.settings, { force: true });
    await mkdir(join(m.home, 'dots'), { recursive: true });
    await writeFile(join(m.home, 'dots/file.json'), text);
    await symlink(join(m.home, 'dots/file.json'), paths.settings);
    await rm(join(m.home, 'dots'), { recursive: true });
    expect(await leaveHub(m.ctx)).toMatchObject({ hub: hub.url });
    expect(await installed()).toEqual([]);
  });
});

describe('where our own folder cannot be', () => {
  it.each(['.claude', '.claude/plugins', '.claude/plugins/.haivemind'])('%s: no lock is waited for', async (link) => {
    await rm(join(m.home, '.claude'), { recursive: true, force: true });
    if (link !== '.claude') await mkdir(join(m.home, link, '..'), { recursive: true });
    await symlink(join(m.home, 'dots'), join(m.home, link));
    const refused = refusal(link);
    await expect(sync()).rejects.toMatchObject(refused);
    await expect(withLock(m.ctx.machine, 'test', async () => 1)).rejects.toMatchObject(refused);
    await expect(leaveHub(m.ctx)).rejects.toMatchObject(refused);
    await updateConfig(m.ctx.machine, ({ token: _token, hub_url: _url, ...raw }) => raw);
    const asked = hub.seen.length;
    await expect(joinAgain()).rejects.toMatchObject(refused);
    expect([hub.seen.length, transfers(hub)]).toEqual([asked, []]);
    await mkdir(join(m.home, 'dots'));
    expect(await withLock(m.ctx.machine, 'test', async () => 1)).toBe(1);
  });
});

describe('settings.json that is not UTF-8', () => {
  const latin1 = Buffer.from('{"model":"fran\xe7ais"}', 'latin1');
  const utf16 = (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le');

  it('join refuses before the hub hears of it', async () => {
    await leaveHub(m.ctx);
    await mkdir(join(m.home, '.claude'), { recursive: true });
    await writeFile(m.ctx.machine.paths.settings, latin1);
    const asked = hub.seen.length;
    await expect(joinAgain()).rejects.toMatchObject({ code: 'SETTINGS_INVALID' });
    expect(hub.seen).toHaveLength(asked);
  });

  it.each([
    ['nothing is installed', false, latin1],
    ['what we wrote was replaced', true, latin1],
    ['what we wrote was replaced by a wide text', true, utf16('{"model":"opus"}')],
  ])('leaving works where nothing of ours is in it: %s', async (_, install, bytes) => {
    if (install) await sync();
    await mkdir(join(m.home, '.claude'), { recursive: true });
    const { paths } = m.ctx.machine;
    await writeFile(paths.settings, bytes);
    await expect(sync()).rejects.toMatchObject({ code: 'SETTINGS_INVALID' });
    expect(await leaveHub(await m.reopen())).toMatchObject({ hub: hub.url });
    expect(await readFile(paths.settings)).toEqual(bytes);
    expect((await snapshot(m.home))['.claude/plugins/.haivemind']).toBeUndefined();
  });

  it('and refuses where something is', async () => {
    await sync();
    const { paths } = m.ctx.machine;
    const bytes = utf16(await readFile(paths.settings, 'utf8'));
    await writeFile(paths.settings, bytes);
    await expect(leaveHub(m.ctx)).rejects.toMatchObject({ code: 'SETTINGS_INVALID' });
    expect(await readFile(paths.settings)).toEqual(bytes);
    expect(await installed()).toEqual(['team']);
  });
});
