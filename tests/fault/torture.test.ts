import { chmod, mkdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HaiveError } from '../../server/src/domain/errors.ts';
import type { Change } from '../../server/src/machine/change/transaction.ts';
import { makeRig, type Rig } from '../machine/rig.ts';
import { differing, readImage, visible } from './home-image.ts';

/** The client's files in every shape that people, editors and crashes give them. */

const FILES = [
  { file: '.claude/settings.json', layout: 'native', ours: 'p@collective' },
  { file: '.claude.json', layout: 'loose', ours: 'run-p' },
] as const;

const big = (): string => {
  const rows = Array.from({ length: 200_000 }, (_, i) => `    "key ${i}": "${'v'.repeat(80)}"`);
  return `{\n  "projects": {\n${rows.join(',\n')}\n  }\n}\n`;
};

const EDITED: Record<string, string> = {
  'nothing in it': '{}',
  'tabs and no final newline': '{\n\t"model": "opus",\n\t"z": {\n\t\t"a": [1, 2]\n\t}\n}',
  'CRLF and keys in no order':
    '{\r\n  "z": 1,\r\n  "a": 2,\r\n  "enabledPlugins": {"x@y": true},\r\n  "mcpServers": {}\r\n}\r\n',
  'one line': '{"mcpServers":{"mine":{"command":"x"}},"enabledPlugins":{"x@y":false},"b":[]}',
  'a byte order mark': '\uFEFF{\n  "model": "opus"\n}\n',
  'letters of every kind': '{"ü": "\\u00fc \u2028 😀", "\\u0061": 1e3, "n": 1.0}',
  'numbers that doubles cannot hold': '{"n": 12345678901234567890.1234567890, "m": -0}',
  '20 MB': big(),
};

const REFUSED: Record<string, string | Buffer> = {
  // The client does not read these either.
  comments: '// mine\n{\n  /* also mine */\n  "model": "opus", // here\n  "z": 1\n}\n// the end\n',
  'a comma too many': '{"model": "opus",}',
  'torn in a string': '{"model": "op',
  'torn after a comma': '{"model": "opus",\n',
  'an array': '[]',
  'a string': '"settings"',
  'two documents': '{}{}',
  'a list where an object must be': '{"enabledPlugins": [], "extraKnownMarketplaces": [], "mcpServers": []}',
  'no UTF-8': Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]),
  zeros: Buffer.alloc(64),
};

let rig: Rig;
beforeEach(async () => {
  rig = await makeRig();
});
afterEach(() => rig.close());

async function put(file: string, content: string | Buffer): Promise<void> {
  await mkdir(dirname(rig.path(file)), { recursive: true });
  await writeFile(rig.path(file), content, { mode: 0o640 });
}

async function install(layout: NonNullable<Change['layout']>, version = '1.0.0'): Promise<Partial<Change>> {
  const servers = JSON.stringify({ mcpServers: { 'run-p': { command: 'node', args: ['server.mjs'] } } });
  const files = { 'commands/c.md': 'c', '.mcp.json': servers };
  return { install: [await rig.store('p', version, files)], layout };
}

/** Whether `inner` is `outer` with some characters taken out. */
function isWithin(inner: string, outer: string): boolean {
  let at = 0;
  for (let i = 0; i < outer.length && at < inner.length; i++) if (outer[i] === inner[at]) at++;
  return at === inner.length;
}

const state = (): ReturnType<typeof visible> => visible(readImage(rig.home));

describe.each(FILES)('$file', ({ file, layout, ours }) => {
  it.each(Object.keys(EDITED))('%s: only our keys come and go', { timeout: 120_000 }, async (shape) => {
    const before = EDITED[shape] ?? '';
    await put(file, before);
    await rig.apply(await install(layout));
    const during = await rig.read(file);
    expect(during).toContain(ours);
    expect(isWithin(before, during)).toBe(true);
    expect((await stat(rig.path(file))).mode & 0o777).toBe(0o640);
    await rig.apply(await install(layout, '2.0.0'));
    expect(isWithin(before, await rig.read(file))).toBe(true);
    await rig.apply({ remove: ['p'] });
    expect((await rig.read(file)) === before).toBe(true);
  });

  it.each(Object.keys(REFUSED))('%s: refused by name, nothing is touched', async (shape) => {
    await put(file, REFUSED[shape] ?? '');
    const change = await install(layout);
    const before = state();
    const error: unknown = await rig.apply(change).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(HaiveError);
    expect((error as HaiveError).code).toBe('SETTINGS_INVALID');
    expect((error as HaiveError).message).toContain(file.slice(file.lastIndexOf('/') + 1));
    expect(differing(before, state())).toEqual([]);
  });

  it.each(['', ' \n', '\uFEFF'])('empty (%j): an edit that gives the same bytes back, or a refusal', async (text) => {
    await put(file, text);
    const change = await install(layout);
    const before = state();
    const error: unknown = await rig.apply(change).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    if (error === null) {
      expect(await rig.read(file)).toContain(ours);
      await rig.apply({ remove: ['p'] });
      expect(await rig.read(file)).toBe(text);
    } else {
      expect((error as HaiveError).code).toBe('SETTINGS_INVALID');
      expect(differing(before, state())).toEqual([]);
    }
  });

  it('read-only: refused, nothing is touched', async () => {
    await put(file, '{"model": "opus"}');
    const change = await install(layout);
    await chmod(rig.path(file), 0o444);
    const before = state();
    await expect(rig.apply(change)).rejects.toMatchObject({ code: 'READ_ONLY' });
    expect(differing(before, state())).toEqual([]);
  });

  it('a link into a dotfiles folder, also one that leads nowhere yet, stays a link', async () => {
    await put('dotfiles/real.json', '{"model": "opus"}');
    await mkdir(dirname(rig.path(file)), { recursive: true });
    await symlink(rig.path('dotfiles/real.json'), rig.path(file));
    await rig.apply(await install(layout));
    expect(await rig.read('dotfiles/real.json')).toContain(ours);
    expect(state().get(file)).toBe(`-> ${rig.path('dotfiles/real.json')}`);
    await rig.apply({ remove: ['p'] });
    expect(await rig.read('dotfiles/real.json')).toBe('{"model": "opus"}');
    await rm(rig.path('dotfiles/real.json'));
    await rig.apply(await install(layout));
    expect(await rig.read('dotfiles/real.json')).toContain(ours);
    expect(state().get(file)).toBe(`-> ${rig.path('dotfiles/real.json')}`);
  });

  it('a folder in its place: refused', async () => {
    await mkdir(rig.path(file), { recursive: true });
    const change = await install(layout);
    const before = state();
    await expect(rig.apply(change)).rejects.toBeInstanceOf(HaiveError);
    expect(differing(before, state())).toEqual([]);
  });
});
