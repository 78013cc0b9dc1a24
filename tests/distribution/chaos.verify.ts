// What goes wrong between a hub and its machines: a cable pulled in the middle of a transfer, a full disk, a clock that
// jumps (a killed hub is killed-hub.test.ts). Afterwards every machine has what it should have, and nothing that was acknowledged is lost.
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { HaiveError } from '../../server/src/domain/errors.ts';
import { updateConfig } from '../../server/src/machine/config-file.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { ask, publish, register, type TestHub, testHub } from '../hub/support.ts';
import { type RealClient, realClient } from './real-client.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

async function hub(...options: Parameters<typeof testHub> extends [unknown, ...infer R] ? R : never): Promise<TestHub> {
  const t = await testHub('sqlite', ...options);
  undo.push(() => t.close());
  return t;
}

async function machineOf(url: string, token: string, name: string, wish = {}): Promise<RealClient> {
  const machine = await realClient(url, token, name, wish);
  undo.push(() => machine.remove());
  return machine;
}

const versions = async ({ ctx }: RealClient): Promise<Record<string, string>> =>
  Object.fromEntries(Object.values((await readReceipts(ctx.machine)).plugins).map((p) => [p.name, p.version]));

async function moveTo(machine: RealClient, url: string): Promise<void> {
  await updateConfig(machine.ctx.machine, (raw) => ({ ...raw, hub_url: url }));
  machine.ctx.config.hub_url = url;
}

/** Why this host cannot have a network of its own; null when it can. */
function whyNot(...command: [string, ...string[]]): string | null {
  try {
    execFileSync(command[0], command.slice(1), { stdio: 'pipe' });
    return null;
  } catch (error) {
    return `${command.join(' ')}: ${String((error as { stderr?: Buffer }).stderr ?? error).trim()}`;
  }
}

/** Passes TCP on; `onBytes` hears of what goes back to who connected. */
async function forward(host: string, to: [string, number], onBytes: (n: number) => void = () => {}): Promise<number> {
  const open = new Set<Socket>();
  const server: Server = createServer((from) => {
    const onward = connect(to[1], to[0]);
    for (const socket of [from, onward]) open.add(socket.on('error', () => socket.destroy()));
    from.pipe(onward);
    onward.on('data', (bytes) => onBytes(bytes.length));
    onward.pipe(from);
    from.on('close', () => onward.destroy());
    onward.on('close', () => from.destroy());
  });
  server.listen(0, host);
  await once(server, 'listening');
  undo.push(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  const address = server.address();
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}

const id = process.pid % 250;
const NAMESPACE = `hv-test-${process.pid}`;
const cannot = whyNot('ip', 'netns', 'add', NAMESPACE);
if (cannot !== null) console.log(`skipped, no network namespaces here: ${cannot}`);
else execFileSync('ip', ['netns', 'del', NAMESPACE]);

describe.skipIf(cannot !== null)('a cable pulled in the middle of a transfer', () => {
  const ip = (...args: string[]) => execFileSync('ip', args, { stdio: 'pipe' });
  const [here, there] = [`10.201.${id}.1`, `10.201.${id}.2`];
  const link = `hvt${id}`;

  it('is said clearly, leaves nothing half installed, and is made good once the cable is back', async () => {
    const t = await hub();
    const machine = await machineOf(t.url, t.hub.joinToken, 'm1');
    // Machine → here → over the cable → a namespace of its own → over the cable → hub.
    ip('netns', 'add', NAMESPACE);
    undo.push(() => ip('netns', 'del', NAMESPACE));
    ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'far', 'netns', NAMESPACE);
    ip('addr', 'add', `${here}/30`, 'dev', link);
    ip('link', 'set', link, 'up');
    ip('-n', NAMESPACE, 'addr', 'add', `${there}/30`, 'dev', 'far');
    ip('-n', NAMESPACE, 'link', 'set', 'far', 'up');
    const back = await forward(here, ['127.0.0.1', t.hub.port]);
    const program =
      `require('net').createServer(a=>{const b=require('net').connect(${back},'${here}');a.pipe(b);b.pipe(a);` +
      `for(const s of [a,b])s.on('error',()=>{a.destroy();b.destroy()})}).listen(7000,'${there}',()=>console.log('up'))`;
    const far = spawn('ip', ['netns', 'exec', NAMESPACE, process.execPath, '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    undo.push(() => far.kill('SIGKILL'));
    await once(far.stdout, 'data');
    let carried = 0;
    let cutAt = Number.POSITIVE_INFINITY;
    const port = await forward('127.0.0.1', [there, 7000], (n) => {
      carried += n;
      if (carried < cutAt) return;
      cutAt = Number.POSITIVE_INFINITY;
      ip('link', 'set', link, 'down');
    });
    await moveTo(machine, `http://127.0.0.1:${port}`);

    const files: Record<string, string> = {};
    for (let i = 0; i < 24; i++) files[`docs/d${i}.txt`] = randomBytes(256 * 1024).toString('hex');
    await publish(t.url, t.admin, { name: 'large', files });
    carried = 0;
    // Early: megabytes may have crossed the cable already into the kernel's buffers.
    cutAt = 300_000;
    const error = await syncMachine(machine.ctx, { mode: 'session' }).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(HaiveError);
    expect(['TIMEOUT', 'HUB_UNREACHABLE']).toContain((error as HaiveError).code);
    expect(await versions(machine)).not.toHaveProperty('large');

    ip('link', 'set', link, 'up');
    await syncMachine(machine.ctx, { mode: 'explicit' });
    expect(await versions(machine)).toHaveProperty('large');
  });
});

const MOUNT = await mkdtemp(join(tmpdir(), 'hv-tmpfs-'));
const noMount = whyNot('mount', '-t', 'tmpfs', '-o', 'size=12m', 'none', MOUNT);
if (noMount === null) execFileSync('umount', [MOUNT]);
else console.log(`skipped, no tmpfs of its own here: ${noMount}`);

describe.skipIf(noMount !== null)('a hub whose disk is full', () => {
  it('says so, keeps what it acknowledged, still answers, and goes on once there is room', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'none', MOUNT]);
    undo.push(async () => {
      execFileSync('umount', ['-l', MOUNT]);
      await rm(MOUNT, { recursive: true, force: true });
    });
    const t = await hub({ config: { dataDir: MOUNT } });
    const machine = await machineOf(t.url, t.hub.joinToken, 'm1');
    const noise = (): Record<string, string> => ({ 'docs/noise.txt': randomBytes(200 * 1024).toString('base64') });
    const acknowledged: string[] = [];
    let refusal: Awaited<ReturnType<typeof register>> | undefined;
    for (let i = 0; i < 200 && refusal === undefined; i++) {
      const version = `1.0.${i}`;
      const registered = await register(t.url, t.admin, { name: 'aa', version, files: noise() });
      const body = { plugin_id: registered.json.id, all: true };
      const published =
        registered.status === 200
          ? await ask(t.url, 'POST', '/api/plugins/publish', { token: t.admin, body })
          : registered;
      if (published.status === 200) acknowledged.push(version);
      else refusal = published;
    }
    expect([refusal?.status, refusal?.code]).toEqual([507, 'DISK_FULL']);
    expect(acknowledged.length).toBeGreaterThan(2);
    // Reading goes on, and what was acknowledged arrives.
    await syncMachine(machine.ctx, { mode: 'agent' });
    expect((await versions(machine)).aa).toBe(acknowledged.at(-1));
    execFileSync('mount', ['-o', 'remount,size=64m', MOUNT]);
    await publish(t.url, t.admin, { name: 'aa', version: '2.0.0', files: noise() });
    await syncMachine(machine.ctx, { mode: 'agent' });
    expect((await versions(machine)).aa).toBe('2.0.0');
    const info = (await ask(t.url, 'GET', '/api/plugins/aa', { token: t.admin })).expect(200);
    const offered = (info.versions as { version: string; status: string }[]).filter((v) => v.status === 'published');
    expect(offered.map((v) => v.version).reverse()).toEqual([...acknowledged, '2.0.0']);
  });
});

describe('a hub whose clock jumps', () => {
  it.each([
    ['a year ahead', 365],
    ['a year back', -365],
  ])('%s serves its machines all the while, and again when the clock is right', async (_what, days) => {
    let off = 0;
    const t = await hub({ deps: { clock: () => new Date(Date.now() + off) } });
    const machine = await machineOf(t.url, t.hub.joinToken, 'm1');
    const step = async (version: string) => {
      await publish(t.url, t.admin, { name: 'aa', version });
      return syncMachine(machine.ctx, { mode: 'agent' });
    };
    await step('1.0.0');
    off = days * 86_400_000;
    const jumped = await step('1.1.0');
    // A plan that is older than a week by this machine's clock changes nothing, and is told to be.
    if (days < 0) expect(jumped.warnings.join()).toMatch(/clock/);
    else expect((await versions(machine)).aa).toBe('1.1.0');
    off = 0;
    await step('1.2.0');
    expect((await versions(machine)).aa).toBe('1.2.0');
    const seqs = (await ask(t.url, 'GET', '/api/events?limit=1000', { token: t.admin })).expect(200).events as {
      seq: number;
    }[];
    expect(seqs.map((e) => e.seq)).toEqual(seqs.map((_, i) => (seqs[0]?.seq ?? 0) + i));
  });
});
