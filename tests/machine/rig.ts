import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createKeyPair, sealJson } from '../../server/src/domain/signing/dsse.ts';
import type { Dependency } from '../../server/src/domain/version/manifest.ts';
import {
  pluginId,
  RECORD_FORMAT,
  RECORD_PAYLOAD_TYPE,
  sortFiles,
  type VersionRecord,
  versionDigest,
} from '../../server/src/domain/version/record.ts';
import {
  applyChange,
  type Change,
  type ChangeResult,
  type Install,
} from '../../server/src/machine/change/transaction.ts';
import type { FilePort } from '../../server/src/machine/files/file-port.ts';
import { type Machine, openMachine } from '../../server/src/machine/machine.ts';
import { machinePaths } from '../../server/src/machine/paths.ts';
import { putBlob, putRecord, sha256Of } from '../../server/src/machine/store/blob-store.ts';

const KEY = createKeyPair();
export const NOW = new Date('2026-05-01T12:00:00.000Z');

export interface Rig {
  home: string;
  machine: Machine;
  /** The same machine with other file operations. */
  withPort(port: FilePort): Machine;
  path(...parts: string[]): string;
  read(...parts: string[]): Promise<string>;
  write(path: string, text: string): Promise<void>;
  /** Puts a version into the blob store, ready to be installed. */
  store(name: string, version: string, files: Record<string, string>, extra?: Extra): Promise<Install>;
  apply(change: Partial<Change>): Promise<ChangeResult>;
  snapshot(): Promise<Record<string, string>>;
  close(): Promise<void>;
}

export interface Extra {
  globalCommands?: boolean;
  dependencies?: Dependency[];
  executable?: string[];
  force?: string;
}

/** A HOME of its own, with a space and letters beyond ASCII in its path. */
export async function makeRig(options: { home?: string } = {}): Promise<Rig> {
  const home = options.home ?? (await mkdtemp(join(tmpdir(), 'hv home ü-')));
  const paths = machinePaths({ home });
  const clock = (): Date => NOW;
  const machine = openMachine({ paths, clock });
  return {
    home,
    machine,
    withPort: (port) => openMachine({ paths, clock, port }),
    path: (...parts) => join(home, ...parts),
    read: (...parts) => readFile(join(home, ...parts), 'utf8'),
    async write(path, text) {
      await mkdir(dirname(join(home, path)), { recursive: true });
      await writeFile(join(home, path), text);
    },
    store: (name, version, files, extra) => store(machine, name, version, files, extra),
    apply: (change) => applyChange(machine, { install: [], remove: [], reason: 'sync', ...change }),
    snapshot: () => snapshot(home),
    close: () => rm(home, { recursive: true, force: true }),
  };
}

export function makeVersion(
  name: string,
  version: string,
  files: Record<string, string>,
  extra: Extra = {},
): { install: Install; blobs: Map<string, Buffer> } {
  const haivemind = extra.globalCommands ? { haivemind: { global_commands: true } } : {};
  const manifest = JSON.stringify({ name, version, description: `${name} for tests`, ...haivemind }, null, 2);
  const all: Record<string, string> = { '.claude-plugin/plugin.json': manifest, ...files };
  const blobs = new Map<string, Buffer>();
  const entries = Object.entries(all).map(([path, text]) => {
    const bytes = Buffer.from(text);
    const sha256 = sha256Of(bytes);
    blobs.set(sha256, bytes);
    return { path, sha256, size: bytes.length, executable: extra.executable?.includes(path) ?? false };
  });
  const sorted = sortFiles(entries);
  const digest = versionDigest(name, version, sorted);
  const record: VersionRecord = {
    format: RECORD_FORMAT,
    name,
    version,
    digest,
    files: sorted,
    imported: false,
    packedAt: NOW.toISOString(),
  };
  const entry = {
    id: pluginId(name, version),
    name,
    version,
    digest,
    origin: 'explicit' as const,
    dependencies: extra.dependencies ?? [],
    ...(extra.force === undefined ? {} : { force: extra.force }),
  };
  return { install: { entry, record, keyid: 'test-key' }, blobs };
}

async function store(
  m: Machine,
  name: string,
  version: string,
  files: Record<string, string>,
  extra?: Extra,
): Promise<Install> {
  const { install, blobs } = makeVersion(name, version, files, extra);
  for (const [sha256, bytes] of blobs) await putBlob(m, sha256, bytes);
  await putRecord(m, sealJson(RECORD_PAYLOAD_TYPE, install.record, KEY.privatePem), install.record);
  return install;
}

const CACHES = /\.haivemind\/(blobs|records|lock|leases)(\/|$)/;

/** Every path below a folder with its kind, mode and bytes; the blob cache and the lock aside. */
export async function snapshot(root: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  async function walk(prefix: string): Promise<void> {
    for (const name of (await readdir(join(root, prefix))).sort()) {
      const path = prefix === '' ? name : `${prefix}/${name}`;
      if (CACHES.test(path)) continue;
      const stat = await lstat(join(root, path));
      const mode = (stat.mode & 0o777).toString(8);
      if (stat.isDirectory()) {
        found[path] = 'dir';
        await walk(path);
      } else if (stat.isSymbolicLink()) found[path] = `-> ${await readlink(join(root, path))}`;
      else found[path] = `${mode} ${await readFile(join(root, path), 'latin1')}`;
    }
  }
  await walk('');
  return found;
}
