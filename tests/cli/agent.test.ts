import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Collective } from '../support/collective.ts';
import { hvOk } from '../support/hv.ts';
import { bareRepository } from '../support/repository.ts';
import type { TempHome } from '../support/temp-home.ts';

interface Line {
  type: string;
  state?: string;
  code?: string;
}

/** `hv agent --json` as a process of its own. */
class Agent {
  readonly lines: Line[] = [];
  readonly ended: Promise<unknown[]>;
  private constructor(readonly child: ChildProcess) {
    let rest = '';
    child.stdout?.on('data', (chunk) => {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts) {
        try {
          this.lines.push(JSON.parse(part));
        } catch {}
      }
    });
    this.ended = once(child, 'exit');
  }
  static async start(home: TempHome, program?: string): Promise<Agent> {
    const cli = program ?? join(await bareRepository(), 'server', 'dist', 'cli.mjs');
    const child = spawn(process.execPath, [cli, 'agent', '--json'], {
      cwd: home.project,
      env: home.env(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    return new Agent(child);
  }
  until(match: Partial<Line>): Promise<void> {
    return vi.waitFor(() => expect(this.lines).toContainEqual(expect.objectContaining(match)), {
      timeout: 30_000,
      interval: 50,
    });
  }
  async stop(): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill('SIGTERM');
      await this.ended;
    }
    return this.child.exitCode;
  }
}

describe('hv agent', () => {
  let collective: Collective;
  let machine: TempHome;
  const agents: Agent[] = [];
  const start = async (program?: string) => {
    const agent = await Agent.start(machine, program);
    agents.push(agent);
    return agent;
  };
  const live = () => readFile(join(machine.home, '.claude', 'plugins', '.haivemind', 'live'), 'utf8').catch(() => null);
  const has = async (name: string, version: string) => {
    const { plugins } = await hvOk(machine, ['status']);
    expect(plugins).toContainEqual(expect.objectContaining({ name, version, state: 'verified' }));
  };

  beforeAll(async () => {
    collective = await Collective.start();
    machine = await collective.machine('b');
    await hvOk(machine, ['config', 'set', 'auto_install_updates', 'true']);
  });
  afterEach(async () => {
    for (const agent of agents.splice(0)) await agent.stop();
  });
  afterAll(() => collective.close());

  it('installs what is published while it listens, and shows hooks that it lives', async () => {
    const agent = await start();
    await agent.until({ type: 'state', state: 'connected' });
    const line = (await live())?.split('\n')[0] ?? '';
    expect(line).toMatch(new RegExp(`^v1 ${agent.child.pid} \\d+ \\d+$`));
    await collective.publish('base-memory-tools', { args: ['--all'] });
    await vi.waitFor(() => has('base-memory-tools', '1.0.0'), { timeout: 30_000, interval: 300 });
    await collective.publish('base-memory-tools', { version: '1.1.0', args: ['--all'] });
    await vi.waitFor(() => has('base-memory-tools', '1.1.0'), { timeout: 30_000, interval: 300 });
    expect(await agent.stop()).toBe(0);
    expect(await live()).toBeNull();
  });

  it('holds the only live channel of its machine', async () => {
    const first = await start();
    await first.until({ type: 'state', state: 'connected' });
    const second = await start();
    await second.until({ type: 'state', state: 'waiting' });
    expect((await live())?.split(' ')[1]).toBe(String(first.child.pid));
  });

  it("goes on as the hub's program when it has replaced its own, as often as that is, and ends when told", async () => {
    const program = join(machine.home, '.haivemind', 'bin', 'hv.mjs');
    await mkdir(dirname(program), { recursive: true });
    const bytes = await readFile(join(await bareRepository(), 'server', 'dist', 'cli.mjs'));
    const other = bytes.toString().replace('\n', '\n// another\n');
    await writeFile(program, other);
    const agent = await start(program);
    const anew = (times: number) =>
      vi.waitFor(
        () => {
          const types = agent.lines.map((l) => (l.type === 'state' ? l.state : l.type));
          expect(types.filter((type) => type === 'self-update')).toHaveLength(times);
          expect(types.slice(types.lastIndexOf('self-update'))).toContain('connected');
        },
        { timeout: 60_000 },
      );
    await anew(1);
    expect(await readFile(program)).toEqual(bytes);
    await writeFile(program, other);
    await collective.publish('base-memory-tools', { version: '1.1.5', args: ['--all'] });
    await anew(2);
    expect(await agent.stop()).toBe(0);
    expect(await live()).toBeNull();
  });

  it('catches up on what was published while it was away', async () => {
    await collective.publish('base-memory-tools', { version: '1.2.0', args: ['--all'] });
    const agent = await start();
    await agent.until({ type: 'sync' });
    await has('base-memory-tools', '1.2.0');
  });

  it('ends when the machine leaves, and nothing of ours comes back', async () => {
    const agent = await start();
    await agent.until({ type: 'state', state: 'connected' });
    await hvOk(machine, ['leave']);
    await collective.publish('base-memory-tools', { version: '1.3.0', args: ['--all'] });
    await agent.ended;
    expect(agent.child.exitCode).toBe(78);
    expect(await live()).toBeNull();
    const left = join(machine.home, '.claude', 'plugins', '.haivemind');
    await expect(readFile(join(left, 'receipts.json'))).rejects.toThrow('ENOENT');
  });
});
