import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ZipFile } from 'yazl';
import { HaiveError } from '../errors.ts';
import { checkPath, checkPathSet } from '../safe-path.ts';
import { readZip } from './archive.ts';
import { classify } from './file-types.ts';
import { isLeftOut } from './left-out.ts';
import { packPlugin, type SourceFile } from './package.ts';

const limits = { maxBytes: 1_000_000, maxFiles: 1000 };
const MANIFEST = '.claude-plugin/plugin.json';

interface Item {
  name: string;
  bytes?: Buffer | string;
  mode?: number;
  compress?: boolean;
}

async function zip(items: readonly Item[]): Promise<Buffer> {
  const file = new ZipFile();
  for (const { name, bytes = 'x', mode = 0o100644, compress = true } of items) {
    if (name.endsWith('/')) file.addEmptyDirectory(name);
    else file.addBuffer(Buffer.from(bytes as string), name, { mode, compress });
  }
  file.end();
  const chunks: Buffer[] = [];
  for await (const chunk of file.outputStream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** A zip whose names were replaced byte for byte after it was made: yazl itself refuses to write bad ones. */
async function renamed(from: string, to: string): Promise<Buffer> {
  if (from.length !== to.length) throw new Error('names must be of one length');
  const bytes = await zip([{ name: MANIFEST }, { name: from }]);
  for (let at = bytes.indexOf(from); at !== -1; at = bytes.indexOf(from, at + 1)) bytes.write(to, at, 'latin1');
  return bytes;
}

/** A ZIP64 archive whose directory names one stored, empty file many times. */
function manyEntries(count: number): Buffer {
  const name = Buffer.from('f');
  const local = Buffer.alloc(30);
  local.writeUInt32LE(0x04034b50, 0);
  local.writeUInt16LE(name.length, 26);
  const central = Buffer.alloc(46);
  central.writeUInt32LE(0x02014b50, 0);
  central.writeUInt16LE(name.length, 28);
  const entry = Buffer.concat([central, name]);
  const start = local.length + name.length;
  const size = entry.length * count;
  const end64 = Buffer.alloc(56);
  end64.writeUInt32LE(0x06064b50, 0);
  end64.writeBigUInt64LE(44n, 4);
  end64.writeBigUInt64LE(BigInt(count), 24);
  end64.writeBigUInt64LE(BigInt(count), 32);
  end64.writeBigUInt64LE(BigInt(size), 40);
  end64.writeBigUInt64LE(BigInt(start), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(start + size), 8);
  locator.writeUInt32LE(1, 16);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.fill(0xff, 8, 20);
  return Buffer.concat([local, name, ...Array<Buffer>(count).fill(entry), end64, locator, end]);
}

async function codeOf(bytes: Buffer, more: Partial<typeof limits> = {}): Promise<string> {
  try {
    await readZip(bytes, { ...limits, ...more });
  } catch (error) {
    return error instanceof HaiveError ? error.code : `not ours: ${error}`;
  }
  return 'ok';
}

describe('readZip', () => {
  it('reads bytes and executable bits, stored and deflated, without folders and traces of desktops', async () => {
    const bytes = await zip([
      ...[
        { name: MANIFEST },
        { name: 'hooks/' },
        { name: 'hooks/a.sh', mode: 0o100755 },
        { name: 'b', compress: false },
      ],
      ...[{ name: '__MACOSX/._b' }, { name: '.DS_Store' }, { name: '.git/config' }, { name: 'empty', bytes: '' }],
      { name: 'ü/日本.bin', bytes: Buffer.from([0, 255]) },
    ]);
    const files = await readZip(bytes, limits);
    expect(files.map((f) => [f.path, f.bytes.toString('latin1'), f.executable])).toEqual([
      [MANIFEST, 'x', false],
      ['hooks/a.sh', 'x', true],
      ['b', 'x', false],
      ['empty', '', false],
      ['ü/日本.bin', '\0\xff', false],
    ]);
  });
  it('takes off one folder at the top only if the manifest lies in it', async () => {
    const inside = await readZip(await zip([{ name: `p-1/${MANIFEST}` }, { name: 'p-1/a' }]), limits);
    expect(inside.map((f) => f.path)).toEqual([MANIFEST, 'a']);
    const beside = await readZip(await zip([{ name: `p-1/${MANIFEST}` }, { name: 'a' }]), limits);
    expect(beside.map((f) => f.path)).toEqual([`p-1/${MANIFEST}`, 'a']);
    const without = await readZip(await zip([{ name: 'p-1/a' }]), limits);
    expect(without.map((f) => f.path)).toEqual(['p-1/a']);
  });
  it.each([
    ['aa/aa', '../aa'],
    ['aaaaa', '/etc/'.slice(0, 4).concat('x')],
    ['aaaa', 'C:/a'],
    ['aaaa', 'a\\ba'],
    ['aaaa', 'a\0ba'],
    ['aaaaaaa', 'aux.txt'],
  ])('refuses the name %s → %j', async (from, to) => {
    expect(await codeOf(await renamed(from, to))).toBe('PATH_UNSAFE');
  });
  it('refuses names that collide', async () => {
    expect(await codeOf(await zip([{ name: 'a.md' }, { name: 'A.md' }]))).toBe('PATH_COLLISION');
    expect(await codeOf(await zip([{ name: 'a' }, { name: 'a/b' }]))).toBe('PATH_COLLISION');
  });
  it.each([0o120777, 0o010644, 0o020644, 0o060644, 0o140644])('refuses the file kind %o', async (mode) => {
    expect(await codeOf(await zip([{ name: 'l', mode }]))).toBe('FILE_KIND_UNSUPPORTED');
  });
  it('refuses too much, declared or real', async () => {
    const bomb = await zip([{ name: 'a', bytes: Buffer.alloc(5_000_000) }]);
    expect(bomb.length).toBeLessThan(20_000);
    expect(await codeOf(bomb)).toBe('PLUGIN_TOO_LARGE');
    const items = Array.from({ length: 20 }, (_, i) => ({ name: `f${i}`, bytes: Buffer.alloc(100_000) }));
    expect(await codeOf(await zip(items))).toBe('PLUGIN_TOO_LARGE');
    expect(await codeOf(await zip(items.slice(0, 9)))).toBe('ok');
    expect(await codeOf(await zip(items), { maxFiles: 19 })).toBe('PLUGIN_TOO_LARGE');
    // the directory says ten bytes, the data inflates to five million
    const lying = Buffer.from(bomb);
    const directory = lying.indexOf(Buffer.from('PK\x01\x02', 'latin1'));
    lying.writeUInt32LE(10, directory + 24);
    expect(await codeOf(lying)).toBe('PLUGIN_TOO_LARGE');
  });
  it('refuses 100,000 entries before reading them', async () => {
    expect(await codeOf(manyEntries(100_000))).toBe('PLUGIN_TOO_LARGE');
    expect(await codeOf(manyEntries(500))).toBe('PATH_COLLISION');
  });
  it('refuses entries that share bytes', async () => {
    const bytes = await zip([
      { name: 'a', bytes: 'same', compress: false },
      { name: 'b', bytes: 'same', compress: false },
    ]);
    const first = bytes.indexOf(Buffer.from('PK\x01\x02', 'latin1'));
    const second = bytes.indexOf(Buffer.from('PK\x01\x02', 'latin1'), first + 1);
    bytes.writeUInt32LE(bytes.readUInt32LE(first + 42), second + 42);
    expect(await codeOf(bytes)).toBe('ARCHIVE_INVALID');
  });
  it('refuses encryption, unknown methods and wrong checksums', async () => {
    const edit = async (change: (bytes: Buffer, directory: number) => void) => {
      const bytes = await zip([{ name: 'a', bytes: 'hello hello hello' }]);
      change(bytes, bytes.indexOf(Buffer.from('PK\x01\x02', 'latin1')));
      return codeOf(bytes);
    };
    expect(await edit((b, d) => b.writeUInt16LE(b.readUInt16LE(d + 8) | 1, d + 8))).toBe('ARCHIVE_INVALID');
    expect(await edit((b, d) => b.writeUInt16LE(99, d + 10))).toBe('ARCHIVE_INVALID');
    expect(await edit((b, d) => b.writeUInt32LE(1, d + 16))).toBe('ARCHIVE_INVALID');
    expect(await edit((b, d) => b.writeUInt32LE(18, d + 24))).toBe('ARCHIVE_INVALID');
    expect(await edit((b, d) => b.writeUInt32LE(0xfffffff0, d + 42))).toBe('ARCHIVE_INVALID');
    expect(await edit(() => undefined)).toBe('ok');
  });
  it('gives back any tree of names, bytes and modes, with the same digest', async () => {
    const segment = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 });
    const path = fc.array(segment, { minLength: 1, maxLength: 5 }).map((s) => s.join('/').normalize('NFC'));
    const file = fc.record({
      bytes: fc.uint8Array({ maxLength: 64 }),
      executable: fc.boolean(),
      compress: fc.boolean(),
    });
    const manifest = { path: MANIFEST, bytes: Buffer.from('{"name":"pp","version":"1.0.0"}'), executable: false };
    const isSafe = (paths: string[]) => {
      try {
        for (const p of paths) if (checkPath(p) !== p || isLeftOut(p.split('/'))) return false;
        checkPathSet([...paths, MANIFEST]);
        return paths.every((p) => classify(p) === 'other');
      } catch {
        return false;
      }
    };
    const tree = fc.dictionary(path, file, { maxKeys: 6 }).filter((t) => isSafe(Object.keys(t)));
    await fc.assert(
      fc.asyncProperty(tree, async (contents) => {
        const files = [
          manifest,
          ...Object.entries(contents).map(([p, f]) => ({
            path: p,
            bytes: Buffer.from(f.bytes),
            executable: f.executable,
          })),
        ];
        const items = files.map((f) => ({
          ...{ name: f.path, bytes: f.bytes, mode: f.executable ? 0o100755 : 0o100644 },
          compress: contents[f.path]?.compress ?? true,
        }));
        const back = await readZip(await zip(items), limits);
        expect(back).toEqual(files);
        const pack = (list: SourceFile[]) => packPlugin(list, { maxBytes: 1e6, now: new Date(0) }).record.digest;
        expect(pack(back)).toBe(pack(files));
      }),
      { numRuns: 60 },
    );
  });
  it('refuses what is no zip', async () => {
    for (const bytes of [Buffer.alloc(0), Buffer.from('hello'), Buffer.alloc(100_000, 0x50)]) {
      expect(await codeOf(bytes)).toBe('ARCHIVE_INVALID');
    }
  });
  it('answers or throws ours on every truncation and any flipped byte', async () => {
    const whole = await zip([
      { name: MANIFEST, bytes: '{}'.repeat(50) },
      { name: 'a/b', bytes: 'text' },
    ]);
    for (let n = 0; n < whole.length; n++) expect(await codeOf(whole.subarray(0, n)), `${n}`).toBe('ARCHIVE_INVALID');
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, by) => {
        const broken = Buffer.from(whole);
        broken[at] = (broken[at] ?? 0) ^ by;
        expect(await codeOf(broken)).toMatch(/^(ok|[A-Z_]+)$/);
      }),
      { numRuns: 300 },
    );
  });
});
