// A small collective for end-to-end tests: one hub, an operator on the hub's host, and machines that joined it.
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type HubOptions, type HubProcess, startHubProcess } from './hub-process.ts';
import { hvOk } from './hv.ts';
import { REPOSITORY } from './repository.ts';
import { type TempHome, tempHome } from './temp-home.ts';

export interface Membership {
  groups?: string[];
  capabilities?: string[];
}

/** What the seed's example plugin asks of a machine. */
export const DEVOPS: Membership = {
  groups: ['orchestrators'],
  capabilities: ['deployment', 'infrastructure_management'],
};

export class Collective {
  readonly hub: HubProcess;
  /** The HOME of the hub's host: its hub.json lets `hv` publish from there. */
  readonly operator: TempHome;
  private readonly cleanups: (() => Promise<void>)[] = [];

  private constructor(hub: HubProcess, operator: TempHome) {
    this.hub = hub;
    this.operator = operator;
  }

  static async start(options: HubOptions = {}): Promise<Collective> {
    const operator = await tempHome('operator');
    return new Collective(await startHubProcess(operator, options), operator);
  }

  /** A HOME that has joined nothing yet; goes away with the collective. */
  async home(name: string): Promise<TempHome> {
    const home = await tempHome(name);
    this.cleanups.push(() => home.remove());
    return home;
  }

  /** Joins `home` under `name`. */
  async join(home: TempHome, name: string, member: Membership = {}): Promise<void> {
    const lists = (flag: string, values: string[] = []) => (values.length > 0 ? [flag, values.join(',')] : []);
    const member2 = [...lists('--groups', member.groups), ...lists('--capabilities', member.capabilities)];
    await hvOk(home, ['join', this.hub.url, '--token', this.hub.joinToken, '--name', name, ...member2]);
  }

  /** A new HOME that has joined. */
  async machine(name: string, member: Membership = {}): Promise<TempHome> {
    const home = await this.home(name);
    await this.join(home, name, member);
    return home;
  }

  /** Publishes tests/fixtures/NAME, with another version when one is given, from the operator's host. */
  async publish(
    name: string,
    options: { version?: string; args?: string[]; edit?: (folder: string) => Promise<void> } = {},
  ) {
    const folder = await mkdtemp(join(tmpdir(), 'hv author ü-'));
    this.cleanups.push(() => rm(folder, { recursive: true, force: true }));
    await cp(join(REPOSITORY, 'tests', 'fixtures', name), folder, { recursive: true });
    if (options.version) {
      const file = join(folder, '.claude-plugin', 'plugin.json');
      const text = await readFile(file, 'utf8');
      await writeFile(file, text.replace(/"version": "[^"]+"/, `"version": "${options.version}"`));
    }
    await options.edit?.(folder);
    // The fixtures are the seed's examples, which declare nothing.
    return (await hvOk(this.operator, ['publish', folder, '--accept-surface', ...(options.args ?? [])])) as {
      id: string;
      name: string;
      version: string;
      digest: string;
    };
  }

  async close(): Promise<void> {
    await this.hub.stop();
    for (const cleanup of this.cleanups) await cleanup();
    await this.operator.remove();
  }
}
