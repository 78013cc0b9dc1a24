import { basename, dirname, join } from 'node:path';
import { lookAt, statOf } from './files/file-port.ts';
import type { Machine } from './machine.ts';

/** Whether what lies at the paths of our folders is of the kind that belongs there; a link counts as what it leads to. */

const FILES = [
  'receipts',
  'journal',
  'marketplace',
  'plan',
  'audit',
  'auditBefore',
  'made',
  'seen',
  'live',
  'inboxRevision',
  'trust',
] as const;

const FOLDERS = [
  'lock',
  'configLock',
  'blobs',
  'records',
  'versions',
  'overlays',
  'quarantine',
  'backups',
  'spool',
  'usage',
  'leases',
  'inbox',
  'told',
  'liveLock',
  'memoriesLock',
] as const;

export interface Misplaced {
  path: string;
  /** What lies there instead of the other. */
  is: 'file' | 'folder';
}

/** What is in the way of our own files and folders. Reads only. */
export function misplaced({ paths }: Machine): Misplaced[] {
  return [
    ...FILES.filter((name) => statOf(paths[name])?.isDirectory() === true).map(
      (name): Misplaced => ({ path: paths[name], is: 'folder' }),
    ),
    ...FOLDERS.filter((name) => statOf(paths[name])?.isDirectory() === false).map(
      (name): Misplaced => ({ path: paths[name], is: 'file' }),
    ),
  ];
}

/**
 * Renames it beside its place, with all that is in it. The lock must be held, but for the folder of the lock itself.
 * @returns where it lies now
 * @throws HaiveError READ_ONLY, IO_ERROR
 */
export async function putMisplacedAside(m: Machine, { path }: Misplaced): Promise<string> {
  const at = m.clock().toISOString().replace(/[:.]/g, '-');
  let aside = join(dirname(path), `${basename(path)}.aside-${at}`);
  for (let n = 2; lookAt(aside) !== null; n++) aside = join(dirname(path), `${basename(path)}.aside-${at}-${n}`);
  await m.port.rename(path, aside);
  return aside;
}
