import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HaiveError } from '../domain/errors.ts';
import { readPlugin } from './read-plugin.ts';

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'read plugin ü-'));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

async function put(path: string, bytes: string | Buffer = 'x', mode = 0o644): Promise<void> {
  const file = join(root, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, bytes);
  await chmod(file, mode);
}

async function codeOf(path = root, maxBytes = 1_000_000): Promise<string> {
  try {
    await readPlugin(path, { maxBytes });
  } catch (error) {
    return error instanceof HaiveError ? error.code : `not ours: ${error}`;
  }
  return 'ok';
}

describe('readPlugin', () => {
  it('reads files with bytes, bits and POSIX paths, and leaves out what no author means', async () => {
    await put('.claude-plugin/plugin.json', '{}');
    await put('hooks/run me.sh', '#!/bin/sh\n', 0o755);
    await put('a/日本/b.bin', Buffer.from([0, 1, 255]));
    await put('empty', '');
    await put('node_modules/dep/index.js', 'x');
    for (const path of [
      '.git/config',
      '.DS_Store',
      'a/.b.md.swp',
      'a/c.md~',
      '.#lock',
      'node_modules/.cache/x',
      '.svn/x',
      'a/._r',
    ])
      await put(path);
    const files = await readPlugin(root, { maxBytes: 1000 });
    expect(files.map((f) => [f.path, f.bytes.toString('latin1'), f.executable])).toEqual([
      ['.claude-plugin/plugin.json', '{}', false],
      ['a/日本/b.bin', '\0\x01\xff', false],
      ['empty', '', false],
      ['hooks/run me.sh', '#!/bin/sh\n', true],
      ['node_modules/dep/index.js', 'x', false],
    ]);
  });
  it('takes what a link inside the plugin leads to, file or folder', async () => {
    await put('docs/a.md', 'text', 0o755);
    await put('skills/s/SKILL.md', 'skill');
    await symlink('docs/a.md', join(root, 'A.md'));
    await symlink('../skills/s', join(root, 'docs/s'));
    const files = await readPlugin(root, { maxBytes: 1e6 });
    expect(files.map((f) => [f.path, f.bytes.toString(), f.executable])).toEqual([
      ['A.md', 'text', true],
      ['docs/a.md', 'text', true],
      ['docs/s/SKILL.md', 'skill', false],
      ['skills/s/SKILL.md', 'skill', false],
    ]);
  });
  it('leaves out, and names, links that lead out, nowhere, in circles or into version control', async () => {
    await put('in/a.md');
    await put('.git/config', 'token');
    await put('in/.git/config', 'token');
    for (const [path, target] of [
      ['passwd', '/etc/passwd'],
      ['folder', tmpdir()],
      ['up', '..'],
      ['dangling', 'nowhere'],
      ['self', 'self'],
      ['circle', '.'],
      ['in/back', '..'],
      ['config', '.git/config'],
      ['inner', 'in/.git'],
    ] as const)
      await symlink(target, join(root, path));
    const leftOut: string[] = [];
    const files = await readPlugin(root, { maxBytes: 1e6, onLinkLeftOut: (path) => leftOut.push(path) });
    expect(files.map((f) => f.path)).toEqual(['in/a.md']);
    expect(leftOut).toEqual([
      ...['circle', 'config', 'dangling', 'folder', 'in/back', 'inner', 'passwd', 'self', 'up'],
    ]);
  });
  it('follows links inside a wider folder where it is given one', async () => {
    await put('shared/b.md', 'shared');
    await put('plugin/a.md');
    await symlink('../shared', join(root, 'plugin', 'common'));
    const paths = async (linksWithin?: string) =>
      (await readPlugin(join(root, 'plugin'), { maxBytes: 1e6, linksWithin })).map((f) => f.path);
    expect(await paths()).toEqual(['a.md']);
    expect(await paths(root)).toEqual(['a.md', 'common/b.md']);
  });
  it('ends on links that fan out without end', async () => {
    for (let i = 0; i < 20; i++) {
      await mkdir(join(root, `d${i}`));
      for (const side of ['l', 'r']) await symlink(`../d${i + 1}`, join(root, `d${i}`, side));
    }
    await put('d20/x', '');
    expect(await codeOf()).toMatch(/PATH_UNSAFE|PLUGIN_TOO_LARGE/);
  });
  it('refuses pipes and sockets without opening them', async () => {
    execFileSync('mkfifo', [join(root, 'pipe')]);
    expect(await codeOf()).toBe('FILE_KIND_UNSUPPORTED');
    await rm(join(root, 'pipe'));
    const server = createServer();
    await new Promise<void>((done) => server.listen(join(root, 's'), done));
    expect(await codeOf()).toBe('FILE_KIND_UNSUPPORTED');
    await new Promise((done) => server.close(done));
    expect(await codeOf('/dev/null')).toBe('FILE_KIND_UNSUPPORTED');
  });
  it('adds sizes up before it reads', async () => {
    await put('a', Buffer.alloc(600));
    await put('b', Buffer.alloc(600));
    expect(await codeOf(root, 1199)).toBe('PLUGIN_TOO_LARGE');
    expect(await codeOf(root, 1200)).toBe('ok');
    execFileSync('truncate', ['-s', '10G', join(root, 'sparse')]);
    expect(await codeOf(root, 1_000_000)).toBe('PLUGIN_TOO_LARGE');
  });
  it('says when there is nothing, or no zip', async () => {
    await put('x.zip', 'no zip at all');
    expect(await codeOf(join(root, 'none'))).toBe('NOT_FOUND');
    expect(await codeOf(join(root, 'x.zip', 'y'))).toBe('NOT_FOUND');
    expect(await codeOf(join(root, 'x.zip'))).toBe('ARCHIVE_INVALID');
  });
  it('refuses a name that is not UTF-8', async () => {
    await writeFile(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0x61, 0xff])]), 'x');
    expect(await codeOf()).toBe('PATH_UNSAFE');
  });
});
