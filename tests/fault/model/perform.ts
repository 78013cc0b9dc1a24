import { readFile, rm } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { applyChange, type Change, type Install } from '../../../server/src/machine/change/transaction.ts';
import { writeAtomic } from '../../../server/src/machine/files/atomic-file.ts';
import { makeDirs, realFilePort } from '../../../server/src/machine/files/file-port.ts';
import { scanTree } from '../../../server/src/machine/files/tree.ts';
import type { Machine } from '../../../server/src/machine/machine.ts';
import { collectVersions } from '../../../server/src/machine/processes/leases.ts';
import { type Receipts, readReceipts } from '../../../server/src/machine/receipts/index.ts';
import { makeVersion, type Rig } from '../../machine/rig.ts';
import { bodyOf, filesOf, NAMES, type Operation, VERSIONS, type view } from './operations.ts';

/** The same operations on a real machine, and what it holds. */

const installs = new Map<string, Install>();
for (const name of NAMES)
  for (const version of VERSIONS)
    installs.set(`${name}@${version}`, makeVersion(name, version, filesOf(name, version)).install);

function installOf(name: string, version: string): Install {
  const install = installs.get(`${name}@${version}`);
  if (install === undefined) throw new Error(`no ${name}@${version}`);
  return install;
}

/** Puts every version that operations name into the blob store. */
export async function storeAll(rig: Rig): Promise<void> {
  for (const name of NAMES) for (const version of VERSIONS) await rig.store(name, version, filesOf(name, version));
}

const PERSONS = realFilePort();

/** In one step: a person's half-written file would be an edit of its own. */
async function write(path: string, text: string): Promise<void> {
  await makeDirs(PERSONS, join(path, '..'));
  const home = path.slice(0, path.indexOf(`${sep}.claude`));
  await writeAtomic(PERSONS, path, text, { fsync: false, temporary: join(home, `.person-${process.pid}`) });
}

async function addKey(m: Machine, token: string): Promise<void> {
  const text = await readFile(m.paths.settings, 'utf8').catch(() => '{}');
  const settings = JSON.parse(text) as { mine?: Record<string, boolean> };
  settings.mine = { ...settings.mine, [token]: true };
  await write(m.paths.settings, JSON.stringify(settings));
}

function change(receipts: Receipts, operation: Operation): Partial<Change> | null {
  const installed = 'name' in operation && receipts.plugins[operation.name] !== undefined;
  switch (operation.kind) {
    case 'install':
      return { install: [installOf(operation.name, operation.version)], reason: 'install' };
    case 'rollback':
      return installed ? { install: [installOf(operation.name, operation.version)], reason: 'rollback' } : null;
    case 'remove':
      return installed ? { remove: [operation.name], purge: [operation.name], reason: 'remove' } : null;
    case 'repair': {
      const version = receipts.plugins[operation.name]?.version;
      return version === undefined ? null : { install: [installOf(operation.name, version)], overwriteEdits: true };
    }
    case 'sync': {
      const install = Object.entries(operation.wanted).map(([name, version]) => installOf(name, version));
      const remove = Object.keys(receipts.plugins).filter((name) => operation.wanted[name] === undefined);
      return { install, remove, purge: remove };
    }
    default:
      return null;
  }
}

async function edit(tree: string, operation: Operation, version: string): Promise<void> {
  const body = join(tree, 'commands/x.md');
  switch (operation.kind) {
    case 'line': {
      const lines = (await readFile(body, 'utf8')).split('\n');
      lines[operation.line] = operation.token;
      if (lines.length !== bodyOf('', version).split('\n').length) throw new Error(`${body} has ${lines.length} lines`);
      return write(body, lines.join('\n'));
    }
    case 'add':
      return write(join(tree, `notes/${operation.token}.txt`), operation.token);
    case 'replace':
      return write(join(tree, 'data.txt'), operation.token);
    case 'delete':
      return rm(join(tree, 'data.txt'), { force: true });
    default:
      throw new Error(`${operation.kind} is no edit`);
  }
}

/** Whether an operation is a person's, and so not one that we could fail. */
export function isPersons(operation: Operation): boolean {
  return ['line', 'add', 'replace', 'delete', 'key'].includes(operation.kind);
}

/** The lock must be held. */
export async function perform(m: Machine, operation: Operation): Promise<void> {
  if (operation.kind === 'collect') {
    await collectVersions(m, { graceMs: -1 });
    return;
  }
  if (operation.kind === 'key') return addKey(m, operation.token);
  const receipts = await readReceipts(m);
  if (isPersons(operation)) {
    const receipt = 'name' in operation ? receipts.plugins[operation.name] : undefined;
    if (receipt !== undefined) await edit(join(m.paths.root, receipt.dir), operation, receipt.version);
    return;
  }
  const wanted = change(receipts, operation);
  if (wanted !== null) await applyChange(m, { install: [], remove: [], reason: 'sync', ...wanted });
}

/** What the machine holds, as `view` says it, from the disk and the client's settings alone. */
export async function observe(m: Machine): Promise<ReturnType<typeof view>> {
  const settings = JSON.parse(await readFile(m.paths.settings, 'utf8').catch(() => '{}'));
  const pointer = JSON.parse(await readFile(m.paths.marketplace, 'utf8').catch(() => '{"plugins":[]}'));
  const listed = JSON.parse(await readFile(m.paths.installedPlugins, 'utf8').catch(() => '{"plugins":{}}'));
  const plugins: Record<string, Record<string, string>> = {};
  const rows = pointer.plugins as { name: string; source: string }[];
  const enabled = (key: Record<string, unknown> | undefined): string =>
    Object.keys(key ?? {})
      .sort()
      .join();
  const keys = rows.map(({ name }) => `${name}@collective`).join();
  if (enabled(settings.enabledPlugins) !== keys)
    throw new Error(`enabled: ${enabled(settings.enabledPlugins)}, pointer: ${keys}`);
  if (enabled(listed.plugins) !== keys) throw new Error(`listed: ${enabled(listed.plugins)}, pointer: ${keys}`);
  for (const { name, source } of rows) {
    const files: Record<string, string> = {};
    for (const [path, { absolute }] of await scanTree(join(m.paths.root, source)))
      if (path !== '.claude-plugin/plugin.json') files[path] = await readFile(absolute, 'utf8');
    plugins[name] = files;
  }
  return { plugins, keys: Object.keys(settings.mine ?? {}).sort() };
}
