// Files that lie ready before the commit: on the disk before they are renamed, and never in the way of what others write meanwhile.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { applyChange, type Install, recover } from '../../server/src/machine/change/transaction.ts';
import { FILE_OPERATIONS, type FilePort, realFilePort } from '../../server/src/machine/files/file-port.ts';
import { makeRig, type Rig } from './rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await makeRig();
});
afterEach(() => rig.close());

type Call = [name: string, ...args: unknown[]];

/** The real operations, noted; `before` each is called with it. */
function noting(calls: Call[], before: (call: Call) => Promise<void> = async () => {}): FilePort {
  const real = realFilePort() as unknown as Record<string, (...args: unknown[]) => Promise<void>>;
  const noted =
    (name: string) =>
    async (...args: unknown[]) => {
      await before([name, ...args]);
      calls.push([name, ...args]);
      await real[name]?.(...args);
    };
  return Object.fromEntries(FILE_OPERATIONS.map((name) => [name, noted(name)])) as unknown as FilePort;
}

const OTHERS = ['settings.json', 'installed_plugins.json', 'marketplace.json'];

/** Renames over files that others read, whose bytes were not waited for. */
function unsynced(calls: readonly Call[]): unknown[] {
  return calls.flatMap(([name, from, to], at) => {
    if (name !== 'rename' || !OTHERS.some((file) => String(to).endsWith(`/${file}`)) || String(to).includes('backups'))
      return [];
    const before = calls.slice(0, at);
    const written = before.findLastIndex(([op, path]) => op === 'writeFile' && path === from);
    const options = before[written]?.[3] as { fsync?: boolean } | undefined;
    const waited =
      before.findLastIndex(([op, path]) =>
        op === 'syncAll' ? (path as string[]).includes(from as string) : op === 'fsync' && path === from,
      ) > written;
    return options?.fsync === true || waited ? [] : [to];
  });
}

const change = (install: Install[], reason: 'install' | 'rollback' = 'install') => ({ install, remove: [], reason });

async function twoVersions(): Promise<[Install, Install]> {
  const one = await rig.store('ops', '1.0.0', { 'commands/go.md': 'go' });
  const two = await rig.store('ops', '2.0.0', { 'commands/go.md': 'went' });
  return [one, two];
}

async function debris(): Promise<string[]> {
  return (await readdir(rig.home, { recursive: true })).filter((path) => path.endsWith('.hv-tmp'));
}

it('every file that others read is on the disk before it is renamed: install, update, rollback, removal', async () => {
  const [one, two] = await twoVersions();
  const calls: Call[] = [];
  const m = rig.withPort(noting(calls));
  await applyChange(m, change([one]));
  await applyChange(m, change([two]));
  await applyChange(m, change([one], 'rollback'));
  await applyChange(m, { install: [], remove: ['ops'], reason: 'remove' });
  expect(calls.filter(([name, , to]) => name === 'rename' && String(to).endsWith('/marketplace.json'))).toHaveLength(4);
  expect(unsynced(calls)).toEqual([]);
  expect(await debris()).toEqual([]);
});

it('what a person writes after the files were made ready is kept, and ours comes on top', async () => {
  const [one] = await twoVersions();
  const other = await rig.store('other', '1.0.0', {});
  await rig.apply({ install: [one] });
  const settings = rig.path('.claude/settings.json');
  let edited = false;
  const m = rig.withPort(
    noting([], async ([name, , to]) => {
      if (edited || name !== 'rename' || !String(to).endsWith('/marketplace.json')) return;
      edited = true;
      const now = JSON.parse(await readFile(settings, 'utf8'));
      await writeFile(settings, JSON.stringify({ mine: 'kept', ...now }));
    }),
  );
  await applyChange(m, change([other]));
  const { mine, enabledPlugins } = JSON.parse(await readFile(settings, 'utf8'));
  expect({ mine, enabledPlugins }).toEqual({
    mine: 'kept',
    enabledPlugins: { 'ops@collective': true, 'other@collective': true },
  });
  expect(await debris()).toEqual([]);
});

it('what is needless by then is not written, and nothing of it stays', async () => {
  const [one, two] = await twoVersions();
  await rig.apply({ install: [one] });
  const list = rig.path('.claude/plugins/installed_plugins.json');
  const m = rig.withPort(
    noting([], async ([name, , to]) => {
      // As `claude plugin uninstall` does.
      if (name === 'rename' && String(to).endsWith('/marketplace.json'))
        await writeFile(list, '{"version":2,"plugins":{}}');
    }),
  );
  await applyChange(m, change([two]));
  expect(await readFile(list, 'utf8')).toBe('{"version":2,"plugins":{}}');
  expect(await debris()).toEqual([]);
});

it('a process that died before its journal leaves nothing of them either', async () => {
  const [one, two] = await twoVersions();
  await rig.apply({ install: [one] });
  const before = await rig.snapshot();
  const m = rig.withPort(
    noting([], async ([name, path]) => {
      if (name === 'writeFile' && String(path).includes('.journal.json')) throw new Error('killed');
    }),
  );
  // Nothing after it happens either: recovery is another process's.
  await applyChange(
    { ...m, port: { ...m.port, unlink: () => Promise.reject(new Error('killed')) } },
    change([two]),
  ).catch(() => {});
  expect(await debris()).toContain(join('.claude', 'plugins', '.installed_plugins.json.hv-tmp'));
  expect(await recover(rig.machine)).toBe('nothing');
  expect(await rig.snapshot()).toEqual(before);
});
