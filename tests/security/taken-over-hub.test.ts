// What a hub that was taken over (its key and database in other hands) may try on a machine, and links on the machine's own disk:
// each attempt is refused with its code, and what is installed lies as before.
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import type { Envelope } from '../../server/src/domain/signing/dsse.ts';
import { versionDigest } from '../../server/src/domain/version/record.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { HUB_KEY, json, scriptedHub, transferAnswer, transfers, type Version, version } from '../cli/scripted-hub.ts';
import { snapshot } from '../machine/rig.ts';
import { attackedMachine, hub, m, offer, outside, refusedWith } from './attacked-machine.ts';

const a1 = version('alpha', '1.0.0', { 'x.txt': 'one' });
const a2 = version('alpha', '2.0.0', { 'x.txt': 'two', 'commands/a.md': 'two' });
attackedMachine(a1);

/** Everything under HOME that is not bookkeeping of the connection: what could be loaded, run or read by others. */
async function lies(): Promise<string> {
  const all = await snapshot(m.home);
  const own = [
    '/plan.json',
    '/records',
    '/blobs',
    '/lock',
    '/receipts.json',
    // The refusal itself is written down.
    '/audit.jsonl',
    '/quarantine',
    'trust.json',
    'config.json',
  ];
  return JSON.stringify(Object.entries(all).filter(([path]) => !own.some((part) => path.includes(part))));
}

const as = (v: Version, name: string, is: string): Version => ({
  ...v,
  entry: { ...v.entry, name, version: is, id: `plugin_${name}_${is}` },
});
const beside = (v: Version) => offer([a1, v]);
const packed = (name: string, is: string) => version(name, is, { 'x.txt': 'evil' }, { by: HUB_KEY });

const NAMES: [string, string, () => void][] = [
  ['a plugin whose name climbs out', 'NAME_INVALID', () => beside(packed('../../evil', '1.0.0'))],
  ['a plugin whose version climbs out', 'VERSION_INVALID', () => beside(packed('evil', '../../../1.0.0'))],
  ['a version that is an absolute path', 'VERSION_INVALID', () => beside(packed('evil', '/1.0.0'))],
  ['a name that every object has', 'NAME_RESERVED', () => beside(packed('constructor', '1.0.0'))],
  ['a name that sets a prototype', 'NAME_INVALID', () => beside(packed('__proto__', '1.0.0'))],
  ['a folder of the client’s own', 'NAME_RESERVED', () => beside(packed('marketplaces', '1.0.0'))],
  ['a file of the client’s own', 'NAME_RESERVED', () => beside(packed('installed_plugins.json', '1.0.0'))],
  ['the bytes that are here under another name', 'DIGEST_MISMATCH', () => beside(as(a1, 'beta', '1.0.0'))],
];

describe('a hub that was taken over', () => {
  it.each(NAMES)('offers %s → %s, and nothing changed', async (_what, code, attack) => {
    const before = await lies();
    attack();
    expect(await refusedWith()).toBe(code);
    expect(await lies()).toBe(before);
  });

  it('mixes versions that are here under each other’s names → DIGEST_MISMATCH, and nothing changed', async () => {
    offer(a2);
    expect(await refusedWith()).toBe('nothing was refused');
    const before = await lies();
    const asked = transfers(hub).length;
    offer(as(a1, 'alpha', '3.0.0'));
    expect(await refusedWith()).toBe('DIGEST_MISMATCH');
    expect(await lies()).toBe(before);
    // Both are here: nothing but the check of what is kept could have refused it.
    expect(transfers(hub)).toHaveLength(asked);
  });

  const climbing = (record: Record<string, unknown>) => {
    const files = record.files as { path: string }[];
    record.files = [{ ...files[0], path: '../x' }, ...files];
    record.digest = versionDigest('evil', '1.0.0', record.files as never);
  };
  const climbs = () => {
    const made = version('evil', '1.0.0', { 'x.txt': 'evil' }, { by: HUB_KEY, spoil: climbing });
    const { digest } = JSON.parse(Buffer.from((made.envelope as Envelope).payload, 'base64').toString());
    return { ...made, entry: { ...made.entry, digest } };
  };
  it.each<[string, string, () => Version]>([
    ['a version that climbs out', 'VERSION_INVALID', () => packed('evil', '../../../1.0.0')],
    ['a name that climbs out', 'NAME_INVALID', () => packed('../../evil', '1.0.0')],
    ['a path that climbs out', 'PATH_UNSAFE', climbs],
    ['bytes of another plugin', 'DIGEST_MISMATCH', () => as(a1, 'beta', '1.0.0')],
  ])('keeps no other plugin from coming by %s', async (_what, code, bad) => {
    offer([bad(), a2]);
    expect(await refusedWith()).toBe(code);
    expect((await readReceipts(m.ctx.machine)).plugins.alpha?.version).toBe('2.0.0');
  });

  it('sends bytes that unpack to more than they should: they are not unpacked', async () => {
    offer(a2);
    const spoil = (bytes: Buffer) => Buffer.alloc(bytes.length + 10_000_000);
    hub.answers['POST /api/transfer'] = transferAnswer([a2], { spoil, brotli: true });
    await expect(syncMachine(await m.reopen(), { mode: 'explicit' })).rejects.toThrow(
      'do not unpack to their announced size',
    );
  });

  it('freezes a machine with an old plan: what is here stays, nothing new comes, and the machine says so', async () => {
    const before = await lies();
    offer(a2, { expiresAt: '2026-01-02T00:00:00.000Z' });
    const result = await syncMachine(await m.reopen(), { mode: 'explicit' });
    expect(result.warnings.join()).toContain('expired');
    expect(result.changed.updated).toEqual([]);
    expect(await lies()).toBe(before);
    // Saying "nothing changed" of a plan that expired helps no more: it is asked for anew.
    hub.seen.length = 0;
    const again = await syncMachine(await m.reopen(), { mode: 'explicit' });
    expect(again.warnings.join()).toContain('expired');
    expect(hub.seen.filter((path) => path === 'GET /api/machines/me/plan')).toHaveLength(2);
    expect(await lies()).toBe(before);
    offer(a2);
    expect(await refusedWith()).toBe('nothing was refused');
    expect((await readReceipts(m.ctx.machine)).plugins.alpha?.version).toBe('2.0.0');
  });

  it('puts back an older version that its publisher once signed → POLICY_REFUSED where the policy says so', async () => {
    offer(a2);
    await syncMachine(await m.reopen(), { mode: 'explicit' });
    await writeFile(m.ctx.machine.paths.policy, JSON.stringify({ downgrade: 'signed' }));
    const before = await lies();
    offer({ ...a1, entry: { ...a1.entry, origin: 'explicit', pinned: true } });
    expect(await refusedWith()).toBe('POLICY_REFUSED');
    expect(await lies()).toBe(before);
  });

  it('takes everything away by an expired plan → nothing is removed', async () => {
    const before = await lies();
    offer([], { expiresAt: '2026-01-02T00:00:00.000Z' });
    expect((await syncMachine(await m.reopen(), { mode: 'explicit' })).changed.removed).toEqual([]);
    expect(await lies()).toBe(before);
  });

  it('answers 304 to who asked for no difference → HUB_ANSWER_INVALID', async () => {
    const before = await lies();
    await rm(m.ctx.machine.paths.plan);
    hub.answers['GET /api/machines/me/plan'] = (_, response) => response.writeHead(304).end();
    expect(await refusedWith()).toBe('HUB_ANSWER_INVALID');
    expect(await lies()).toBe(before);
  });

  it('sends a machine to another address → refused, and the other address hears nothing', async () => {
    const other = await scriptedHub();
    try {
      const before = await lies();
      hub.answers['GET /api/machines/me/plan'] = (_, response) =>
        response.writeHead(302, { location: `${other.url}/api/machines/me/plan` }).end();
      expect(await refusedWith()).toBe('HUB_ANSWER_INVALID');
      expect(other.seen).toEqual([]);
      expect(await lies()).toBe(before);
    } finally {
      await other.close();
    }
  });

  it('answers without end → HUB_ANSWER_INVALID', async () => {
    const before = await lies();
    hub.answers['GET /api/machines/me/plan'] = (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(1 << 20, 32)));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    };
    expect(await refusedWith()).toBe('HUB_ANSWER_INVALID');
    expect(await lies()).toBe(before);
  });

  it('unfolds a small difference into a plan without end → SIGNATURE_INVALID', async () => {
    const before = await lies();
    hub.answers['GET /api/machines/me/plan'] = (request, response) => {
      if (request.headers['a-im'] === undefined)
        return json(response, { payloadType: 'x', payload: '', signatures: [] });
      const plugins = Array.from({ length: 200_000 }, () => [0, 1]);
      return json(response, { payloadType: 'x', payload: '', signatures: [], delta: { base: 'x', plan: { plugins } } });
    };
    expect(await refusedWith()).toBe('SIGNATURE_INVALID');
    expect(await lies()).toBe(before);
  });
});

describe('links on the disk of a machine', () => {
  const versions = () => m.ctx.machine.paths.versions;

  it('does not install through a link in the place of a plugin’s folder → PATH_OCCUPIED', async () => {
    await rename(join(versions(), 'alpha'), join(versions(), 'alpha-before'));
    await symlink(outside.home, join(versions(), 'alpha'));
    offer(a2);
    const written: string[] = [];
    const code = await refusedWith((ctx) => {
      const { port } = ctx.machine;
      const { writeFile } = port;
      port.writeFile = (path, bytes, options) => {
        if (path.includes('/versions/alpha/')) written.push(path);
        return writeFile(path, bytes, options);
      };
    });
    expect([code, written]).toEqual(['PATH_OCCUPIED', []]);
    expect(await snapshot(outside.home)).toEqual({});
    expect((await readReceipts(m.ctx.machine)).plugins.alpha?.version).toBe('1.0.0');
  });

  it('notices a folder that becomes a link while it installs → PATH_OCCUPIED, and nothing there is overwritten', async () => {
    const victim = join(outside.home, '.claude-plugin');
    await mkdir(victim);
    offer(a2);
    const before = await readReceipts(m.ctx.machine);
    let swapped = false;
    const code = await refusedWith((ctx) => {
      const { port } = ctx.machine;
      const { writeFile } = port;
      port.writeFile = async (path, bytes, options) => {
        const dir = /^(.*\/versions\/alpha\/2[^/]*)\/commands\/a\.md$/.exec(path)?.[1];
        if (dir !== undefined && !swapped) {
          swapped = true;
          await rename(join(dir, 'commands'), join(dir, 'commands-before'));
          await symlink(victim, join(dir, 'commands'));
        }
        return writeFile(path, bytes, options);
      };
    });
    expect(swapped).toBe(true);
    expect(code).toBe('PATH_OCCUPIED');
    expect(await readReceipts(m.ctx.machine)).toEqual(before);
  });

  it('does not overwrite what a link leads to in the place of a file → PATH_OCCUPIED', async () => {
    const settings = join(outside.home, 'settings.json');
    await mkdir(outside.home, { recursive: true });
    offer(a2);
    let planted = false;
    const code = await refusedWith((ctx) => {
      const { port } = ctx.machine;
      const { writeFile } = port;
      port.writeFile = async (path, bytes, options) => {
        if (path.endsWith('/commands/a.md') && !planted) {
          planted = true;
          await symlink(settings, path);
        }
        return writeFile(path, bytes, options);
      };
    });
    expect([planted, code]).toEqual([true, 'PATH_OCCUPIED']);
    expect(await snapshot(outside.home)).toEqual({});
    expect((await readReceipts(m.ctx.machine)).plugins.alpha?.version).toBe('1.0.0');
  });
});
