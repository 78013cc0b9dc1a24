import { readlinkSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { errnoOf } from '../domain/errors.ts';
import { temporaryOf } from './files/atomic-file.ts';
import { fileError, lookAt, removeFile } from './files/file-port.ts';
import type { Machine } from './machine.ts';
import type { Receipts } from './receipts/index.ts';

/** Links named after plugins, for people: `~/.claude/plugins/NAME` leads to the tree that is live. */

/** `free`: nothing there · `ours`: a link into our versions · `theirs`: anything else, left alone. */
export async function whoseLink(m: Machine, path: string): Promise<'free' | 'ours' | 'theirs'> {
  try {
    const there = lookAt(path);
    if (there === null) return 'free';
    if (!there.isSymbolicLink()) return 'theirs';
    const target = resolve(dirname(path), readlinkSync(path));
    return target.startsWith(m.paths.versions + sep) ? 'ours' : 'theirs';
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 'free';
    throw fileError(error, path, 'read');
  }
}

/** Makes the links say what `next` says, leaving alone what is not ours. */
export async function applyLinks(m: Machine, prev: Receipts, next: Receipts): Promise<void> {
  const { pluginsDir, root } = m.paths;
  const wanted = new Map<string, string>();
  for (const receipt of Object.values(next.plugins)) {
    // Of a plugin that the change is not about, the link is as it was left.
    if (prev.plugins[receipt.name] === receipt) continue;
    for (const link of receipt.links) wanted.set(link, join(root, receipt.dir));
  }
  for (const receipt of Object.values(prev.plugins)) {
    for (const link of receipt.links) {
      const path = join(pluginsDir, link);
      if (next.plugins[receipt.name] === receipt) continue;
      if (!wanted.has(link) && (await whoseLink(m, path)) === 'ours') await removeFile(m.port, path);
    }
  }
  for (const [link, target] of [...wanted].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const path = join(pluginsDir, link);
    const whose = await whoseLink(m, path);
    if (whose === 'theirs') continue;
    const text = textOf(path, target);
    if (whose === 'ours' && readlinkSync(path) === text) continue;
    await replaceLink(m, path, text);
  }
}

/** Links of installed plugins in whose place nothing lies. */
export async function missingLinks(m: Machine, { plugins }: Receipts): Promise<string[]> {
  const links = Object.values(plugins).flatMap((receipt) => receipt.links);
  const whose = await Promise.all(links.map((link) => whoseLink(m, join(m.paths.pluginsDir, link))));
  return links.filter((_, index) => whose[index] === 'free');
}

/** Makes links that are gone again, each in one step. The lock must be held and recovery done. @returns which they were */
export async function mendLinks(m: Machine, receipts: Receipts): Promise<string[]> {
  const gone = await missingLinks(m, receipts);
  for (const { dir, links } of Object.values(receipts.plugins)) {
    for (const link of links.filter((one) => gone.includes(one))) {
      const path = join(m.paths.pluginsDir, link);
      await m.port.symlink(textOf(path, join(m.paths.root, dir)), path, 'junction');
    }
  }
  return gone;
}

/** What stands in a link at `path` that leads to `target`. */
const textOf = (path: string, target: string): string =>
  process.platform === 'win32' ? target : relative(dirname(path), target);

async function replaceLink(m: Machine, path: string, text: string): Promise<void> {
  if (process.platform === 'win32') {
    // A junction cannot be renamed over; it is only for people, so a moment without it does no harm.
    await removeFile(m.port, path);
    await m.port.symlink(text, path, 'junction');
    return;
  }
  // What a crash left there was cleared by recovery.
  const temporary = temporaryOf(path);
  await m.port.symlink(text, temporary);
  await m.port.rename(temporary, path);
}
