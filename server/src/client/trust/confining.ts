import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { LAUNCHER } from '../../domain/confine.ts';
import { CORE } from '../../domain/names.ts';
import type { VersionRecord } from '../../domain/version/record.ts';
import { applyChange } from '../../machine/change/transaction.ts';
import { type Confining, isMisplaced } from '../../machine/confine.ts';
import { writeAtomic } from '../../machine/files/atomic-file.ts';
import { makeDirs, readFileOrNull } from '../../machine/files/file-port.ts';
import type { Machine } from '../../machine/machine.ts';
import { entryOf, readReceipts } from '../../machine/receipts/index.ts';
import { getRecord, readBlob, sha256Of } from '../../machine/store/blob-store.ts';
import { readPolicies } from './policy.ts';

/** Whether this machine's policy wants programs of plugins confined, and whether that can be done here. */

/** The launcher's own source. */
const IN_CORE = `server/dist/${LAUNCHER}`;

/** What the sandbox needs of each system beyond Node: programs, and a try that shows whether the system lets them. */
const NEEDS: Partial<Record<NodeJS.Platform, { programs: string[]; attempt: string[] }>> = {
  linux: {
    programs: ['bwrap', 'socat', 'rg'],
    attempt: ['bwrap', '--ro-bind', '/', '/', '--unshare-net', '--unshare-pid', '--proc', '/proc', 'true'],
  },
  darwin: { programs: ['sandbox-exec', 'rg'], attempt: ['sandbox-exec', '-p', '(version 1)(allow default)', 'true'] },
};

/**
 * How programs are confined here by the policies of now; null where none says so.
 * @param path where programs are looked for, as in PATH
 * @throws HaiveError CONFIG_INVALID, IO_ERROR
 */
export async function confiningOf(m: Machine, path: string): Promise<Confining | null> {
  const asking = (await readPolicies(m)).filter((policy) => policy.sandbox === 'confine');
  if (asking.length === 0) return null;
  const fallback = asking.every((policy) => policy.sandbox_fallback === 'warn') ? 'warn' : 'refuse';
  const launcher = join(m.paths.bin, LAUNCHER);
  return { launcher, fallback, unable: await whyUnable(m, path) };
}

async function whyUnable(m: Machine, path: string): Promise<string | null> {
  if (!(await keepLauncher(m))) return `${join(m.paths.bin, LAUNCHER)} is not here; it comes with ${CORE}`;
  return whySystemCannot(path);
}

/**
 * Why no program can be confined on this system; null when it can.
 * @param path where programs are looked for, as in PATH
 */
export async function whySystemCannot(path: string): Promise<string | null> {
  const needs = NEEDS[process.platform];
  if (needs === undefined) return `there is no sandbox for ${process.platform}`;
  const missing: string[] = [];
  for (const program of needs.programs) if (!(await isOnPath(program, path))) missing.push(program);
  if (missing.length > 0) return `${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} not installed`;
  const [program = '', ...args] = needs.attempt;
  const failure = await new Promise<string | null>((resolve) => {
    execFile(program, args, { timeout: 10_000, env: { PATH: path } }, (error, _out, said) =>
      resolve(error === null ? null : (said.trim().split('\n')[0] ?? '') || error.message),
    );
  });
  return failure === null ? null : `the system does not let ${program} confine anything (${failure.slice(0, 200)})`;
}

async function isOnPath(program: string, path: string): Promise<boolean> {
  for (const dir of path.split(delimiter)) {
    const there =
      dir === ''
        ? false
        : await access(join(dir, program), constants.X_OK).then(
            () => true,
            () => false,
          );
    if (there) return true;
  }
  return false;
}

/**
 * Keeps the launcher where no plugin's update moves it: that of the installed core, or the one beside the running program.
 * @returns whether there is one
 */
async function keepLauncher(m: Machine): Promise<boolean> {
  const at = join(m.paths.bin, LAUNCHER);
  const here = await readFileOrNull(at);
  const offered = (await ofCore(m)) ?? (here === null ? await besideProgram() : null);
  if (offered === null || (here !== null && sha256Of(here) === sha256Of(offered))) return here !== null;
  await makeDirs(m.port, m.paths.bin);
  await writeAtomic(m.port, at, offered, { mode: 0o644 });
  return true;
}

/** As the core's record names it: its bytes are checked while they are read. */
async function ofCore(m: Machine): Promise<Buffer | null> {
  const { plugins } = await readReceipts(m);
  const record = plugins[CORE] === undefined ? null : await getRecord(m, plugins[CORE].digest);
  const sha256 = record?.record.files.find((file) => file.path === IN_CORE)?.sha256;
  return sha256 === undefined ? null : readBlob(m, sha256).catch(() => null);
}

/**
 * Takes the launcher from a core that is about to be installed, where a policy asks for one and there is none yet.
 * @param records what was fetched
 */
export async function takeLauncher(m: Machine, records: Iterable<VersionRecord>): Promise<void> {
  const core = [...records].find((record) => record.name === CORE);
  const sha256 = core?.files.find((file) => file.path === IN_CORE)?.sha256;
  const at = join(m.paths.bin, LAUNCHER);
  if (sha256 === undefined || (await readFileOrNull(at)) !== null) return;
  if (!(await readPolicies(m)).some((policy) => policy.sandbox === 'confine')) return;
  await makeDirs(m.port, m.paths.bin);
  await writeAtomic(m.port, at, await readBlob(m, sha256), { mode: 0o644 });
}

async function besideProgram(): Promise<Buffer | null> {
  return readFileOrNull(join(dirname(process.argv[1] ?? ''), LAUNCHER)).catch(() => null);
}

/**
 * Lays installed plugins out again whose programs are started otherwise than the policies of now say. The lock must be held.
 * @returns their names
 * @throws HaiveError of files, POLICY_REFUSED
 */
export async function alignConfinement(m: Machine): Promise<string[]> {
  const confining = (await m.confining?.()) ?? null;
  const { plugins } = await readReceipts(m);
  const wrong = Object.values(plugins).filter((receipt) => isMisplaced(receipt.name, receipt, confining));
  const install = [];
  for (const receipt of wrong) {
    const kept = await getRecord(m, receipt.digest);
    if (kept !== null) install.push({ entry: entryOf(receipt), record: kept.record, keyid: receipt.keyid });
  }
  if (install.length > 0) await applyChange(m, { install, remove: [], reason: 'sync' });
  return install.map(({ entry }) => entry.name);
}
